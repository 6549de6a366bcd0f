"""Leave-one-out: a user's last event is the test, the one before it the validation, the rest is training."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from dccl.data.log import EventLog, Int32, Int64, checksum_of_log
from dccl.wire.errors import DataError

FEWEST_EVENTS = 3
"""A user is evaluated from this many events on: one to train on, one to validate, one to test."""


@dataclass(frozen=True)
class Split:
    """Which events are held back; n users are evaluated, of U in the log."""

    users: Int64
    """(n,) users with at least `FEWEST_EVENTS` events, ascending."""
    train_stop: Int64
    """(U,): user u trains on `items[offsets[u]:train_stop[u]]`; users with fewer events train on all."""
    validation: Int32
    """(n,) item of the last event but one."""
    test: Int32
    """(n,) item of the last event."""


def leave_one_out(log: EventLog) -> Split:
    """Hold back the last two events of every user who has at least `FEWEST_EVENTS`.

    Raises:
        DataError: no user has so many.
    """
    counts = np.diff(log.offsets)
    users = np.flatnonzero(counts >= FEWEST_EVENTS).astype(np.int64)
    stops = np.array(log.offsets[1:])
    if not len(users):
        raise DataError(
            f"no user of the log {log.name} has {FEWEST_EVENTS} events (the most active has "
            f"{counts.max(initial=0)}): leave-one-out needs one event each for training, validation and "
            "test. Check which column was taken for the user, or use a larger log"
        )
    ends = stops[users]
    stops[users] -= 2
    return Split(
        users=users,
        train_stop=stops,
        validation=np.array(log.items[ends - 2]),
        test=np.array(log.items[ends - 1]),
    )


def train_only(log: EventLog, split: Split) -> EventLog:
    """Make a log that holds only the training events, with the same codes of users and items."""
    counts = split.train_stop - log.offsets[:-1]
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
    kept = np.ones(log.num_events, dtype=bool)
    held_back = log.offsets[1:][split.users]
    kept[held_back - 1] = kept[held_back - 2] = False
    part = dataclasses.replace(log, items=log.items[kept], times=log.times[kept], offsets=offsets)
    return dataclasses.replace(part, checksum=checksum_of_log(part))


def refuse_same(validation: str, test: str, what: str) -> None:
    """Refuse to go on when validation and test are the same by their hashes (`hash_of`, `sha256_of`).

    A model chosen on its own test set looks better than it is; published code does this by a copied path.

    Raises:
        DataError: the hashes are equal.
    """
    if validation == test:
        raise DataError(
            f"validation and test hold the same {what} (hash {test[:16]}…): a model would be chosen on the "
            "very events that it is tested on. Give two different sets"
        )
