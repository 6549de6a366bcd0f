"""Raw rows of any format, lazily, and the checks that each of them must pass.

A reader turns its files into a `RawLog`: columns of strings that all formats share. `checked` adds the
verdict on every row. A bad row is one that cannot be read; a row that the configuration does not want is
filtered. Both are counted and reported, neither is dropped silently.
"""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from dccl.data.config import DataConfig
from dccl.wire.errors import ConfigError

ORDER_NAMES = frozenset({"order", "rank", "position", "index", "line"})
"""A time column of this name is an order, not a time."""


@dataclass(frozen=True)
class SideTable:
    """What is known about users or items beside the log: strings, the first column is the id."""

    path: Path
    rows: pl.DataFrame
    must_cover: bool = False
    """The table came from elsewhere: it is used only if it knows every id of the log."""


@dataclass(frozen=True)
class RawLog:
    """What a reader found; no event has been read yet."""

    format: str
    name: str
    files: tuple[Path, ...]
    """The files that hold events; a row's `_file` is an index into them."""
    events: pl.LazyFrame
    """Columns `_file`, `_line`, `user`, `item`; and where the format has them `time`, `rating`, `category`,
    `behaviour` (strings or numbers), `_extra` (not null: the line has too many fields), `fault` (the
    reader's own verdict)."""
    has_times: bool
    """False: `time` is an order, or there is none and the order of the lines counts."""
    users: SideTable | None = None
    items: SideTable | None = None
    """`rows` has the columns `item` and `category`."""
    known_behaviours: frozenset[str] = frozenset()
    window: tuple[int, int] | None = None
    """First second, and first second after, of the days that the set documents."""
    notes: list[str] = field(default_factory=list)


def checked(raw: RawLog, config: DataConfig) -> pl.LazyFrame:
    """Add `reason` (why a row is bad), `filtered` (why it is not wanted) and the time as an integer."""
    columns = raw.events.collect_schema().names()
    frame = raw.events
    if "time" in columns:
        frame = frame.with_columns(seconds=_seconds(pl.col("time"), raw.has_times))
    if "rating" in columns:
        frame = frame.with_columns(stars=pl.col("rating").cast(pl.Float64, strict=False))
    frame = frame.with_columns(reason=_first_of(_faults(raw, columns)))
    return frame.with_columns(
        filtered=pl.when(pl.col("reason").is_null()).then(_first_of(_unwanted(raw, config, columns)))
    )


def _faults(raw: RawLog, columns: list[str]) -> list[tuple[pl.Expr, pl.Expr]]:
    """List (condition, reason) in the order in which they are looked for."""
    faults: list[tuple[pl.Expr, pl.Expr]] = []
    if "fault" in columns:
        faults.append((pl.col("fault").is_not_null(), pl.col("fault")))
    if "_extra" in columns:
        faults.append((pl.col("_extra").is_not_null(), pl.lit("too many fields")))
    needed = [name for name in ("user", "item", "time", "rating") if name in columns]
    blank = pl.all_horizontal(_missing(name) for name in needed)
    faults.append((blank, pl.lit("blank line")))
    faults.extend((_missing(name), pl.lit(f"no {name}")) for name in needed)
    if "time" in columns:
        faults.append((pl.col("seconds").is_null(), pl.lit("the time is not a number")))
    if "rating" in columns:
        faults.append(
            (pl.col("stars").is_null() | pl.col("stars").is_nan(), pl.lit("the rating is not a number"))
        )
    if "behaviour" in columns and raw.known_behaviours:
        unknown = ~pl.col("behaviour").is_in(sorted(raw.known_behaviours)).fill_null(value=False)
        faults.append((unknown, pl.lit("unknown behaviour")))
    return faults


def _unwanted(raw: RawLog, config: DataConfig, columns: list[str]) -> list[tuple[pl.Expr, pl.Expr]]:
    unwanted: list[tuple[pl.Expr, pl.Expr]] = []
    if config.min_rating is not None:
        _need("rating", "data.min_rating", columns)
        unwanted.append((pl.col("stars") < config.min_rating, pl.lit(f"rating below {config.min_rating:g}")))
    if config.behaviours:
        _need("behaviour", "data.behaviours", columns)
        wanted = pl.col("behaviour").is_in(list(config.behaviours)).fill_null(value=False)
        unwanted.append((~wanted, pl.lit(f"behaviour is not {' or '.join(config.behaviours)}")))
    if raw.window and config.window:
        start, stop = raw.window
        outside = (pl.col("seconds") < start) | (pl.col("seconds") >= stop)
        unwanted.append((outside, pl.lit("outside the documented days")))
    return unwanted


def _need(column: str, key: str, columns: list[str]) -> None:
    if column not in columns:
        raise ConfigError(
            f"{key} is set, but this log has no {column}. Unset it, or name the column with data.{column}"
        )


def _first_of(verdicts: list[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    return pl.coalesce(
        *(pl.when(condition).then(reason) for condition, reason in verdicts), pl.lit(None, dtype=pl.String)
    )


def _missing(name: str) -> pl.Expr:
    return pl.col(name).is_null() | (pl.col(name).cast(pl.String) == "")


def _seconds(time: pl.Expr, has_times: bool) -> pl.Expr:
    """Whole numbers, or fractions cut off; milli-, micro- and nanoseconds are told by their size."""
    whole = pl.coalesce(
        time.cast(pl.Int64, strict=False), time.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
    )
    if not has_times:
        return whole
    # 10^11 seconds is the year 5138; 10^11 milliseconds is 1973.
    return (
        pl.when(whole.abs() > 10**17)
        .then(whole // 10**9)
        .when(whole.abs() > 10**14)
        .then(whole // 10**6)
        .when(whole.abs() > 10**11)
        .then(whole // 10**3)
        .otherwise(whole)
    )
