"""The fixed candidates of sampled evaluation: items that the user never met, the same for every model.

Drawn uniformly and without replacement from all items that the user met neither in training nor as
validation or test event, so the positive is never among them and no item is there twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dccl.data.log import EventLog, Int32, Int64, hash_of
from dccl.data.split import Split
from dccl.wire.errors import DataError

DEFAULT_SEED = 20210814
_USERS_AT_ONCE = 8192


@dataclass(frozen=True)
class Negatives:
    """K negatives per evaluated user; rows are parallel to `Split.users`."""

    validation: Int32
    """(n, K) item codes to rank the validation item against."""
    test: Int32
    """(n, K) item codes to rank the test item against, drawn independently."""
    seed: int
    checksum: str
    """SHA-256 over both arrays: equal for everybody who ranks against the same candidates."""


def draw_negatives(log: EventLog, split: Split, num: int = 100, seed: int = DEFAULT_SEED) -> Negatives:
    """Draw `num` negatives per evaluated user, once for validation and once for test.

    Raises:
        DataError: a user met so many items that fewer than `num` remain.
    """
    rng = np.random.default_rng(seed)
    validation = np.empty((len(split.users), num), dtype=np.int32)
    test = np.empty_like(validation)
    for rows in _in_chunks(len(split.users)):
        users = split.users[rows]
        owners, met = _met_items(log, users)
        free = log.num_items - np.bincount(owners, minlength=len(users))
        _check_enough(log, users, free, num)
        for target in (validation, test):
            ranks = _distinct_ranks(rng, free, num)
            target[rows] = _unmet_items(ranks, owners, met, log.num_items)
    return Negatives(validation=validation, test=test, seed=seed, checksum=hash_of(validation, test))


def _in_chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, _USERS_AT_ONCE):
        yield slice(start, min(start + _USERS_AT_ONCE, count))


def _met_items(log: EventLog, users: Int64) -> tuple[Int64, Int64]:
    """Return (row of the user, item) of every distinct pair in the whole log, sorted by both."""
    starts, counts = log.offsets[:-1][users], np.diff(log.offsets)[users]
    owners = np.repeat(np.arange(len(users)), counts)
    places = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    # Sorting is much faster here than np.unique, which hashes.
    pairs = np.sort(owners * (log.num_items + 1) + log.items[places])
    return np.divmod(pairs[np.diff(pairs, prepend=-1) != 0], log.num_items + 1)


def _check_enough(log: EventLog, users: Int64, free: Int64, num: int) -> None:
    short = np.flatnonzero(free < num)
    if len(short):
        user, left = int(users[short[0]]), int(free[short[0]])
        raise DataError(
            f"user {log.user_ids[user]!r} met {log.num_items - left} of the {log.num_items} items of "
            f"{log.name}: {left} remain, but {num} negatives are wanted. Ask for at most {int(free.min())} "
            "negatives, or leave such users out of the log"
        )


def _distinct_ranks(rng: np.random.Generator, free: Int64, num: int) -> Int64:
    """Draw for every row a uniform set of `num` different numbers below `free[row]`; shape (num, rows).

    Floyd's algorithm (Bentley and Floyd, CACM 30(9), 1987), all rows at once: it never has to draw again,
    even if a row needs all its numbers.
    """
    ranks = np.empty((num, len(free)), dtype=np.int64)
    for step in range(num):
        last = free - num + step
        drawn = rng.integers(0, last, endpoint=True)
        taken = (ranks[:step] == drawn).any(axis=0)
        ranks[step] = np.where(taken, last, drawn)
    return ranks


def _unmet_items(ranks: Int64, owners: Int64, met: Int64, num_items: int) -> Int32:
    """Turn rank r into the r-th item (from 0, by code) that the row's user never met; shape (rows, num).

    The j-th met item m_j (from 0) has m_j - 1 - j unmet items below it, so r lies above exactly those m_j
    for which that is at most r: one sorted search over all users.
    """
    num_rows = ranks.shape[1]
    firsts = np.searchsorted(owners, np.arange(num_rows))
    below = met - 1 - (np.arange(len(met)) - firsts[owners])
    keys = owners * (num_items + 1) + below
    wanted = np.arange(num_rows) * (num_items + 1) + ranks
    above = np.searchsorted(keys, wanted, side="right") - firsts
    return (ranks + above + 1).T.astype(np.int32)
