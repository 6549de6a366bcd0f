"""Plain tables: CSV (any one-character separator, quotes, with or without header) and Parquet, by column
names.

Common names are recognised; others are given by `data.user`, `data.item`, `data.time`, `data.rating`,
`data.category` and `data.behaviour`. The columns of a file without a header are `column_1`, `column_2`, ….
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from dccl.data.config import DataConfig
from dccl.data.rows import ORDER_NAMES, RawLog, SideTable
from dccl.data.split import refuse_same
from dccl.data.text import first_lines, read_table, scan_fields
from dccl.wire.errors import ConfigError, DataError
from dccl.wire.files import sha256_of

_NAMES = {
    "user": ("user_id", "user", "userid", "uid", "reviewerid", "visitorid", "customer_id", "session_id"),
    "item": ("item_id", "item", "itemid", "iid", "movieid", "movie_id", "parent_asin", "asin", "product_id"),
    "time": (
        "timestamp",
        "time",
        "ts",
        "unixreviewtime",
        "event_time",
        "datetime",
        "date",
        *sorted(ORDER_NAMES),
    ),
    "rating": ("rating", "overall", "score", "stars"),
    "category": ("category", "category_id", "item_category", "i_category", "cate_id"),
    "behaviour": ("behaviour", "behavior", "behaviour_type", "behavior_type", "event_type"),
}
_DATE_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d")


def read_tables(paths: Sequence[Path], config: DataConfig, items: Path | None = None) -> RawLog:
    """Read one table, or several of the same columns (`train`, `dev`, `test`) as one log.

    Raises:
        DataError: a needed column is missing, tables differ in their columns, or two of them are the same
        file.
    """
    _refuse_equal_files(paths)
    frames, names = zip(*(_scan(path, config) for path in paths), strict=True)
    if any(set(columns) != set(names[0]) for columns in names):
        raise DataError(
            f"the tables {', '.join(path.name for path in paths)} have different columns: {names}"
        )
    chosen = choose_columns(names[0], config, paths[0])
    parts = [
        frame.select(pl.lit(index, dtype=pl.UInt8).alias("_file"), *_as_events(frame, chosen))
        for index, frame in enumerate(frames)
    ]
    path = paths[0].resolve()
    return RawLog(
        format="table",
        name=path.name.split(".")[0] if len(paths) == 1 else path.parent.name,
        files=tuple(paths),
        events=pl.concat(parts),
        has_times=chosen.get("time", "line").lower() not in ORDER_NAMES,
        items=_read_categories(items, config) if items else None,
    )


def choose_columns(names: Sequence[str], config: DataConfig, path: Path) -> dict[str, str]:
    """Map role to column: the configured one, else one with a usual name; user, item and time must be there.

    Raises:
        DataError: one of them is not; the message lists what the file has.
    """
    by_lower = {name.lower(): name for name in reversed(names)}
    chosen = {}
    for role, usual in _NAMES.items():
        wanted = getattr(config, role)
        if role == "time" and wanted == "line":
            continue
        found = wanted if wanted in names else None
        if wanted is None:
            found = next((by_lower[name] for name in usual if name in by_lower), None)
        if found is not None:
            chosen[role] = found
        elif wanted is not None or role in ("user", "item", "time"):
            raise DataError(
                f"{path} has no column {wanted or ' or '.join(usual[:3])} for the {role}; it has "
                f"{', '.join(names)}. Name the one to use with data.{role}=…"
                + (" or say data.time=line if its lines are in time order" if role == "time" else "")
            )
    return chosen


def told_separator(line: str) -> str:
    """Tell what separates the fields of a line: the most frequent of tab, comma, semicolon and bar."""
    return max("\t,;|", key=line.count)


def has_header(line: str, separator: str) -> bool:
    """Tell a header from data: no field of it is a number."""
    return not any(_is_number(field.strip('" ')) for field in line.split(separator))


def is_parquet(path: Path) -> bool:
    """Tell by the first bytes; an unreadable file is reported when it is read as text."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return False


def _scan(path: Path, config: DataConfig) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    if is_parquet(path):
        frame = pl.scan_parquet(path, glob=False)
        names = tuple(frame.collect_schema().names())
        return frame.with_row_index("_line", offset=1), names
    first = first_lines(path, 1)[0]
    separator = config.separator or told_separator(first)
    if len(separator.encode()) != 1:
        raise ConfigError(f"data.separator must be one character, not {separator!r}")
    fields = [field.strip('" ') for field in first.split(separator)]
    header = has_header(first, separator)
    names = tuple(fields) if header else tuple(f"column_{place}" for place in range(1, len(fields) + 1))
    return scan_fields(path, names, separator, header=header, quotes=True), names


def _as_events(frame: pl.LazyFrame, chosen: dict[str, str]) -> list[pl.Expr]:
    ours = [pl.col(name) for name in ("_line", "_extra") if name in frame.collect_schema()]
    return ours + [
        (_as_seconds(frame, name) if role == "time" else pl.col(name)).alias(role)
        for role, name in chosen.items()
    ]


def _as_seconds(frame: pl.LazyFrame, time: str) -> pl.Expr:
    """Turn dates into seconds, UTC unless they say otherwise; numbers, and what is neither, stay."""
    column, dtype = pl.col(time), frame.collect_schema()[time]
    if dtype.is_temporal():
        return column.cast(pl.Datetime("us")).dt.epoch("s")
    if dtype != pl.String or not _looks_like_dates(frame, time):
        return column
    dates = [column.str.to_datetime(form, strict=False, time_unit="us") for form in _DATE_FORMATS]
    return pl.coalesce(pl.coalesce(dates).dt.epoch("s").cast(pl.String), column)


def _looks_like_dates(frame: pl.LazyFrame, time: str) -> bool:
    # Only then is every row tried as a date, which takes longer than all the rest.
    try:
        sample = frame.select(pl.col(time).drop_nulls()).head(20).collect().to_series()
    except (OSError, pl.exceptions.PolarsError):
        return False  # a damaged file: reading its rows says so better
    return any(text.count("-") == 2 for text in sample)


def _read_categories(path: Path, config: DataConfig) -> SideTable | None:
    header = first_lines(path, 1)[0]
    separator = told_separator(header)
    rows = read_table(path, separator)
    named = {name.lower(): name for name in rows.columns}
    item = next((named[name] for name in (config.item or "", *_NAMES["item"]) if name in named), None)
    wanted = (config.category or "", *_NAMES["category"])
    category = next((named[name] for name in wanted if name in named), None)
    if item is None or category is None:
        return None
    return SideTable(path, rows.select(pl.col(item).alias("item"), pl.col(category).alias("category")))


def _refuse_equal_files(paths: Sequence[Path]) -> None:
    hashes = {path.name.split(".")[0]: sha256_of(path) for path in paths} if len(paths) > 1 else {}
    for validation in ("dev", "valid", "validation"):
        if validation in hashes and "test" in hashes:
            refuse_same(hashes[validation], hashes["test"], f"events ({validation} and test are one file)")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
