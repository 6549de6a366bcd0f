"""Windows: the pieces of users' event sequences that are scored together, with the history that they see.

One window holds up to `scored` consecutive events of one user and the up to `history_length` events before the
first of them, so that one forward pass scores every event of the window against its own history. Every event is
scored exactly once in a pass over `all_windows`, and each sees exactly its last `history_length` events.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dccl.data.log import EventLog

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Where each window lies in a log; all arrays int64 (W,)."""

    user: Ints
    first: Ints
    """Index of the oldest event of the history."""
    start: Ints
    """Index of the first scored event."""
    stop: Ints
    """One past the last scored event."""

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.user)

    def __getitem__(self, rows: Ints | slice) -> "Windows":
        """The windows at `rows`."""
        return Windows(self.user[rows], self.first[rows], self.start[rows], self.stop[rows])


@dataclass(frozen=True)
class WindowBatch:
    """Windows as padded arrays, ready for a backbone."""

    user: Ints
    """(B,)"""
    history: Ints
    """(B, L) item codes, the window's events in order; 0 is padding."""
    age: Ints
    """(B, Q, L): history event l is the age-th before scored event q; 0 where q must not see it."""
    positives: Ints
    """(B, Q) item codes of the scored events; 0 is padding."""

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """(B, Q): which scored places hold an event."""
        return self.positives > 0


def all_windows(log: EventLog, history_length: int, scored: int) -> Windows:
    """Cut every user's events into windows that together score each event once."""
    begins, ends = log.offsets[:-1], log.offsets[1:]
    counts = -(-(ends - begins) // scored)
    user = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Aligned to the newest event, so that only a user's oldest window is short.
    stop = ends[user] - within * scored
    start = np.maximum(stop - scored, begins[user])
    first = np.maximum(start - history_length, begins[user])
    return Windows(user, first, start, stop)


def latest_windows(log: EventLog, users: Ints, history_length: int, scored: int) -> Windows:
    """For each of `users`, one window that scores the latest `scored` events."""
    begins, stop = log.offsets[users], log.offsets[users + 1]
    start = np.maximum(stop - scored, begins)
    return Windows(users, np.maximum(start - history_length, begins), start, stop)


def next_event_windows(log: EventLog, users: Ints, history_length: int) -> Windows:
    """For each of `users`, a window that scores nothing yet: the history of the event that comes next."""
    begins, stop = log.offsets[users], log.offsets[users + 1]
    return Windows(users, np.maximum(stop - history_length, begins), stop, stop + 1)


def gather(log: EventLog, windows: Windows, history_length: int) -> WindowBatch:
    """Read windows out of the log.

    A scored place beyond the user's last event (`next_event_windows`) is filled with 0: its candidates are the
    caller's to give.
    """
    length = int((windows.stop - windows.first).max())
    queries = int((windows.stop - windows.start).max())
    ends = log.offsets[windows.user + 1]
    places = windows.first[:, None] + np.arange(length)
    known = places < np.minimum(windows.stop, ends)[:, None]
    items = np.where(known, log.items[np.where(known, places, 0)], 0).astype(np.int64)
    scored = windows.start[:, None] + np.arange(queries)
    inside = scored < np.minimum(windows.stop, ends)[:, None]
    positives = np.where(inside, log.items[np.where(inside, scored, 0)], 0).astype(np.int64)
    age = scored[:, :, None] - places[:, None, :]
    hidden = (age < 1) | (age > history_length) | ~known[:, None, :]
    # The last scored event is nobody's history inside this window: drop its column if all rows agree.
    age = np.where(hidden, 0, age)
    keep = max(int((windows.stop - windows.first - 1).max()), 1)
    return WindowBatch(windows.user, items[:, :keep], age[:, :, :keep], positives)
