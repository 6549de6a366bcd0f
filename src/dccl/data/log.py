"""The log of events as compact arrays, in memory or memory-mapped (`dccl.data.storage`)."""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dccl.data.ids import Ids
from dccl.wire.errors import DataError

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EventLog:
    """Who met which item, and in which order; the arrays may be memory-mapped and must not be changed.

    U users, I items, E events, F profile fields. `build_log` makes one, checked and with its checksum.
    """

    name: str
    items: Int32
    """(E,) item codes 1..I, user after user, oldest first; 0 is padding and never occurs."""
    offsets: Int64
    """(U + 1,): user u's events are `items[offsets[u]:offsets[u + 1]]`."""
    times: Int64
    """(E,) seconds since the epoch, or the rank within the user if the log has only an order."""
    categories: Int32
    """(I + 1,) category code of each item; 0 = none or unknown; [0] belongs to the padding."""
    profiles: Int32
    """(U, F) code of each profile field per user; 0 = unknown; F may be 0."""
    profile_names: tuple[str, ...]
    profile_sizes: tuple[int, ...]
    """Number of codes of each profile field, code 0 included."""
    num_categories: int
    """Code 0 included."""
    user_ids: Sequence[str]
    item_ids: Sequence[str]
    """Original ids by code; `item_ids[0]` is empty."""
    has_times: bool
    """False if `times` is only a rank."""
    checksum: str
    """SHA-256 over names and bytes of all arrays."""

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.offsets) - 1

    @property
    def num_items(self) -> int:
        """I, the padding not counted."""
        return len(self.categories) - 1

    @property
    def num_events(self) -> int:
        """E."""
        return len(self.items)


def build_log(
    *,
    name: str,
    items: npt.ArrayLike,
    offsets: npt.ArrayLike,
    user_ids: Iterable[str],
    item_ids: Iterable[str],
    times: npt.ArrayLike | None = None,
    categories: npt.ArrayLike | None = None,
    num_categories: int | None = None,
    profiles: npt.ArrayLike | None = None,
    profile_names: Sequence[str] = (),
    profile_sizes: Sequence[int] | None = None,
    has_times: bool = True,
) -> EventLog:
    """Check arrays, give them their types, and make a log of them.

    Without `times` the log has only an order. `item_ids` starts with the padding's empty string. Sizes that
    are not given are one more than the largest code.

    Raises:
        DataError: the log is empty, or arrays do not fit together.
    """
    codes, ends = np.asarray(items, dtype=np.int32), np.asarray(offsets, dtype=np.int64)
    users, catalogue = Ids.of(user_ids), Ids.of(item_ids)
    kinds = np.asarray(np.zeros(len(catalogue)) if categories is None else categories, dtype=np.int32)
    fields = np.asarray(np.zeros((len(users), 0)) if profiles is None else profiles, dtype=np.int32)
    log = EventLog(
        name=name,
        items=codes,
        offsets=ends,
        times=_ranks(codes, ends) if times is None else np.asarray(times, dtype=np.int64),
        categories=kinds,
        profiles=fields,
        profile_names=tuple(profile_names),
        profile_sizes=_sizes(fields) if profile_sizes is None else tuple(profile_sizes),
        num_categories=int(kinds.max(initial=0)) + 1 if num_categories is None else num_categories,
        user_ids=users,
        item_ids=catalogue,
        has_times=has_times and times is not None,
        checksum="",
    )
    _check_shapes(log)
    return dataclasses.replace(log, checksum=checksum_of_log(log))


def hash_of(*arrays: npt.NDArray[np.generic]) -> str:
    """Hex SHA-256 over dtype, shape and bytes of arrays: equal only for equal arrays in equal order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def checksum_of_log(log: EventLog) -> str:
    """Compute the checksum anew: everything but the log's name counts."""
    arrays = arrays_of(log)
    fields = (log.profile_names, log.profile_sizes, log.num_categories, log.has_times, tuple(arrays))
    return hashlib.sha256(f"{fields}{hash_of(*arrays.values())}".encode()).hexdigest()


def arrays_of(log: EventLog) -> dict[str, npt.NDArray[np.generic]]:
    """Everything large in a log, by name: what is hashed and what is stored."""
    users, catalogue = Ids.of(log.user_ids), Ids.of(log.item_ids)
    return {
        "items": log.items,
        "offsets": log.offsets,
        "times": log.times,
        "categories": log.categories,
        "profiles": log.profiles,
        "user_ids": users.text,
        "user_ids_ends": users.ends,
        "item_ids": catalogue.text,
        "item_ids_ends": catalogue.ends,
    }


def _sizes(fields: Int32) -> tuple[int, ...]:
    return tuple(int(largest) + 1 for largest in fields.max(axis=0, initial=0))


def _ranks(items: Int32, offsets: Int64) -> Int64:
    return np.arange(len(items), dtype=np.int64) - np.repeat(offsets[:-1], np.diff(offsets))


def _check_shapes(log: EventLog) -> None:
    if not log.num_events:
        raise DataError(
            f"the log {log.name} is empty: it holds no event. Check the file, and the filters of its "
            "configuration (rating, behaviours, time window, fewest events)"
        )
    if log.num_items < 2:
        raise DataError(
            f"the log {log.name} holds one item only ({log.item_ids[-1]!r}): there is nothing to rank. "
            "Check which column was taken for the item"
        )

    for expected, holds in _shape_checks(log).items():
        if not holds:
            raise DataError(f"the arrays of the log {log.name} do not fit together: expected {expected}")


def _profiles_fit(log: EventLog) -> bool:
    names, sizes = log.profile_names, log.profile_sizes
    if log.profiles.shape != (log.num_users, len(names)) or len(names) != len(sizes):
        return False
    return all(
        codes.min() >= 0 and codes.max() < size for codes, size in zip(log.profiles.T, sizes, strict=True)
    )


def _shape_checks(log: EventLog) -> dict[str, bool]:
    sizes = np.diff(log.offsets)
    return {
        "offsets start at 0, never fall and end at the number of events": log.offsets[0] == 0
        and log.offsets[-1] == log.num_events
        and bool(np.all(sizes >= 0)),
        "one time per event": len(log.times) == log.num_events,
        "one id per user": len(log.user_ids) == log.num_users,
        "one id and one category per item, and one of each for the padding": len(log.item_ids)
        == len(log.categories),
        "items between 1 and num_items": log.items.min() >= 1 and log.items.max() <= log.num_items,
        "categories between 0 and num_categories - 1": log.categories.min() >= 0
        and log.categories.max() < log.num_categories,
        "a row of profile codes per user, a column per name and size, all below it": _profiles_fit(log),
    }
