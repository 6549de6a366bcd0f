"""From encoded rows and side tables to an `EventLog`: dense codes in a fixed order, events sorted by user
and time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from dccl.data.encoding import Counts, EncodedRows
from dccl.data.ids import Ids
from dccl.data.log import EventLog, Int32, build_log
from dccl.data.rows import RawLog, SideTable
from dccl.wire.errors import ConfigError

_MANY_VALUES = 100


@dataclass(frozen=True)
class _Profiles:
    codes: Int32
    names: tuple[str, ...]
    sizes: tuple[int, ...]


def assemble(
    raw: RawLog,
    rows: EncodedRows,
    counts: Counts,
    *,
    min_user_events: int = 0,
    min_item_events: int = 0,
    profiles: tuple[str, ...] | None = None,
) -> EventLog:
    """Build the log; adds to `counts.filtered` and `raw.notes`.

    Codes follow the ids (as numbers if all are whole numbers, else as text), not the order of the file:
    the same events in another order of lines give the same log, but for events of the same time.

    Raises:
        DataError: no event is left.
    """
    _keep_core(rows, counts, min_user_events, min_item_events)
    user_names = _densify(rows, "users", rows.user_names, first=0)
    item_names = _densify(rows, "items", rows.item_names, first=1)
    categories, num_categories = _item_categories(raw, rows, item_names)
    rows.categories = None
    fields = _profile_codes(raw, user_names, profiles)
    offsets = np.zeros(len(user_names) + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows.users, minlength=len(user_names)), out=offsets[1:])
    order = _event_order(rows)
    return build_log(
        name=raw.name,
        items=rows.items[order],
        offsets=offsets,
        times=rows.times[order] if raw.has_times and rows.times is not None else None,
        user_ids=Ids.of(user_names),
        item_ids=Ids.of(["", *item_names]),
        categories=categories,
        num_categories=num_categories,
        profiles=fields.codes,
        profile_names=fields.names,
        profile_sizes=fields.sizes,
    )


def ordered_ids(names: pl.Series) -> npt.NDArray[np.int64]:
    """Return the positions that sort ids: by number if all are plain whole numbers, else by text."""
    whole = names.str.contains(r"^(0|[1-9][0-9]{0,17})$").all()
    keys = names.cast(pl.Int64) if whole else names
    return keys.arg_sort().to_numpy().astype(np.int64)


def _event_order(rows: EncodedRows) -> npt.NDArray[np.int64]:
    """Sort by user, then time, then place in the file (both sorts are stable)."""
    if rows.times is None:
        return np.argsort(rows.users, kind="stable")
    return np.lexsort((rows.times, rows.users))


def _keep_core(rows: EncodedRows, counts: Counts, min_user: int, min_item: int) -> None:
    """Drop rare users and items until every one that is left has enough events."""
    while True:
        before = len(rows.users)
        rare_users = np.bincount(rows.users)[rows.users] < min_user if min_user > 1 else None
        _drop(rows, counts, rare_users, f"user with fewer than {min_user} events")
        rare_items = np.bincount(rows.items)[rows.items] < min_item if min_item > 1 else None
        _drop(rows, counts, rare_items, f"item with fewer than {min_item} events")
        if len(rows.users) == before:
            return


def _drop(rows: EncodedRows, counts: Counts, rare: npt.NDArray[np.bool_] | None, reason: str) -> None:
    if rare is None or not rare.any():
        return
    counts.filtered[reason] += int(rare.sum())
    rows.users, rows.items = rows.users[~rare], rows.items[~rare]
    rows.times = None if rows.times is None else rows.times[~rare]
    rows.categories = None if rows.categories is None else rows.categories[~rare]


def _densify(rows: EncodedRows, column: str, names: pl.Series, first: int) -> pl.Series:
    """Replace a column's codes by dense ones in the order of the ids, from `first` on; return the ids."""
    codes = getattr(rows, column)
    used = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    kept = names.gather(used)
    order = ordered_ids(kept)
    new = np.zeros(len(names), dtype=np.int32)
    new[used[order]] = np.arange(first, first + len(used), dtype=np.int32)
    setattr(rows, column, new[codes])
    return kept.gather(order)


def _item_categories(raw: RawLog, rows: EncodedRows, item_names: pl.Series) -> tuple[Int32, int]:
    """Give every item a dense category code; 0 where nothing is known."""
    names: list[str | None] = [None] * (len(item_names) + 1)
    if raw.items is not None and _usable(raw, raw.items, "item", item_names):
        known = dict(raw.items.rows.select("item", "category").reverse().iter_rows())
        names[1:] = [known.get(item) for item in item_names]
    elif rows.categories is not None and len(rows.category_names):
        arrived = np.full(len(item_names) + 1, len(rows.category_names), dtype=np.int64)
        # Backwards, so that the first row of an item decides.
        arrived[rows.items[::-1]] = np.minimum(rows.categories[::-1], len(rows.category_names))
        names = [*rows.category_names, None]
        names = [names[code] for code in arrived]
        names[0] = None
    return _dense(pl.Series(names, dtype=pl.String))


def _dense(names: pl.Series) -> tuple[Int32, int]:
    """Code strings from 1 in the order of the ids, null and empty as 0; also the number of codes."""
    values = names.replace("", None)
    distinct = values.drop_nulls().unique(maintain_order=True)
    ordered = distinct.gather(ordered_ids(distinct)).to_list()
    codes = {value: code for code, value in enumerate(ordered, start=1)}
    return np.array([codes.get(value, 0) for value in values], dtype=np.int32), len(ordered) + 1


def _usable(raw: RawLog, table: SideTable, kind: str, ids: pl.Series) -> bool:
    missing = int((~ids.is_in(table.rows[kind].implode())).sum())
    if missing and table.must_cover:
        raw.notes.append(
            f"{table.path.name} is not used: it does not know {missing} of the {len(ids)} {kind}s"
        )
        return False
    if missing:
        raw.notes.append(f"{table.path.name} does not know {missing} of the {len(ids)} {kind}s: code 0")
    return True


def _profile_codes(raw: RawLog, user_names: pl.Series, wanted: tuple[str, ...] | None) -> _Profiles:
    nothing = _Profiles(np.zeros((len(user_names), 0), dtype=np.int32), (), ())
    if raw.users is None or not _usable(raw, raw.users, "user", user_names):
        return nothing
    table = user_names.to_frame("user").join(
        raw.users.rows.unique("user", keep="first"), on="user", how="left", maintain_order="left"
    )
    for name in wanted or ():
        if name not in table.columns[1:]:
            raise ConfigError(
                f"data.profiles names {name!r}, but {raw.users.path.name} has {', '.join(table.columns[1:])}"
            )
    columns, names, sizes = [], [], []
    for name in wanted if wanted is not None else table.columns[1:]:
        codes, size = _dense(table[name])
        if wanted is None and size - 1 > max(_MANY_VALUES, len(user_names) / 2):
            raw.notes.append(
                f"profile field {name} is left out: {size - 1} values for {len(user_names)} users nearly "
                "tell them apart (name it in data.profiles to keep it)"
            )
            continue
        columns.append(codes)
        names.append(name)
        sizes.append(size)
    return _Profiles(np.stack(columns, axis=1), tuple(names), tuple(sizes)) if columns else nothing
