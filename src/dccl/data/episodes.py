"""Episodes for meta-learning: a user's earlier events to adapt on, the later ones to be judged by."""

import numpy as np
import numpy.typing as npt

from dccl.data.log import EventLog
from dccl.data.windows import Ints, Windows


def random_windows(
    log: EventLog, users: Ints, history_length: int, scored: int, fewest: int, rng: np.random.Generator
) -> Windows:
    """For each of `users`, one window that ends at a random event, with `fewest` to `scored` scored events.

    Users with fewer than `fewest` events are left out.
    """
    begins, ends = log.offsets[users], log.offsets[users + 1]
    enough = ends - begins >= fewest
    users, begins, ends = users[enough], begins[enough], ends[enough]
    stop = rng.integers(begins + fewest, ends + 1)
    start = np.maximum(stop - scored, begins)
    return Windows(users, np.maximum(start - history_length, begins), start, stop)


def later_part(valid: npt.NDArray[np.bool_], share: float) -> npt.NDArray[np.bool_]:
    """Mark the last `share` of each row's events (at least one, and never the first).

    Args:
        valid: (B, Q), True for events; a row's events stand at its beginning.
        share: of the row's events, in 0..1.

    Returns:
        (B, Q) bool: the events that are held back; all False for a row with a single event.
    """
    counts = valid.sum(1)
    held = np.clip(np.round(counts * share).astype(np.int64), 1, np.maximum(counts - 1, 1))
    held = np.where(counts < 2, 0, held)
    places = np.arange(valid.shape[1])
    late: npt.NDArray[np.bool_] = valid & (places >= (counts - held)[:, None])
    return late
