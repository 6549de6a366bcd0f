"""Stream checked rows into integer arrays: memory holds the arrays and one batch, never the text."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from dccl.data.config import DataConfig
from dccl.data.rows import RawLog, checked
from dccl.wire.errors import DataError

NUM_EXAMPLES = 20
_ROWS_AT_ONCE = 1_000_000
UInt32 = npt.NDArray[np.uint32]


class BadRow(msgspec.Struct, frozen=True):
    """One row that could not be read."""

    file: str
    line: int
    reason: str


@dataclass
class Counts:
    """What happened to the rows."""

    rows: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)
    examples: list[BadRow] = field(default_factory=list)


@dataclass
class EncodedRows:
    """The good rows in file order; codes are indices into the names, in order of arrival."""

    users: UInt32
    items: UInt32
    times: npt.NDArray[np.int64] | None
    categories: UInt32 | None
    """The item's category as this row has it."""
    user_names: pl.Series
    item_names: pl.Series
    category_names: pl.Series


def encode_rows(raw: RawLog, config: DataConfig) -> tuple[EncodedRows, Counts]:
    """Read all rows once.

    Raises:
        DataError: a file cannot be read, or more than `config.allow_bad` of the rows are bad.
    """
    frame = checked(raw, config)
    has = set(frame.collect_schema().names())
    names = {"user": _categories(), "item": _categories(), "category": _categories()}
    frame = frame.select(
        "_file",
        "_line",
        "reason",
        "filtered",
        *(
            pl.col(column).cast(pl.String).cast(pl.Categorical(names[column])).to_physical()
            for column in names
            if column in has
        ),
        *(["seconds"] if "seconds" in has else []),
    )
    parts, counts = _collect(frame, raw)
    _refuse_many_bad(counts, raw, config)
    return EncodedRows(
        users=_joined(parts.pop("user")),
        items=_joined(parts.pop("item")),
        times=_joined(parts.pop("seconds")) if "seconds" in has else None,
        categories=_joined(parts.pop("category")) if "category" in has else None,
        user_names=names["user"].to_series(),
        item_names=names["item"].to_series(),
        category_names=names["category"].to_series(),
    ), counts


def _categories() -> pl.Categories:
    return pl.Categories.random(namespace="dccl", physical=pl.UInt32)


def _collect(frame: pl.LazyFrame, raw: RawLog) -> tuple[dict[str, list[npt.NDArray[Any]]], Counts]:
    counts = Counts()
    wanted = [name for name in frame.collect_schema().names() if name not in _VERDICT]
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in wanted}
    try:
        for batch in frame.collect_batches(chunk_size=_ROWS_AT_ONCE, maintain_order=True, engine="streaming"):
            _count(batch, raw, counts)
            good = batch.filter(pl.col("reason").is_null() & pl.col("filtered").is_null())
            for name in wanted:
                parts[name].append(good[name].fill_null(_NO_CATEGORY).to_numpy())
    except (pl.exceptions.PolarsError, OSError) as error:
        files = ", ".join(map(str, raw.files))
        raise DataError(
            f"cannot read {files} as {raw.format}: {error}. Check that the file is whole"
        ) from error
    return parts, counts


_VERDICT = ("_file", "_line", "reason", "filtered")
_NO_CATEGORY = 2**32 - 1


def _count(batch: pl.DataFrame, raw: RawLog, counts: Counts) -> None:
    counts.rows += len(batch)
    bad = batch.filter(pl.col("reason").is_not_null()).select("_file", "_line", "reason")
    counts.bad.update(bad["reason"].to_list())
    shown = bad.head(NUM_EXAMPLES - len(counts.examples)).rows()
    counts.examples.extend(BadRow(raw.files[file].name, line, reason) for file, line, reason in shown)
    for reason, number in batch.group_by("filtered").len().rows():
        if reason is not None:
            counts.filtered[reason] += number


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint32)


def _refuse_many_bad(counts: Counts, raw: RawLog, config: DataConfig) -> None:
    bad = counts.bad.total()
    if bad <= config.allow_bad * counts.rows:
        return
    reasons = "; ".join(f"{number} x {reason}" for reason, number in counts.bad.most_common())
    where = ", ".join(f"{row.file} line {row.line} ({row.reason})" for row in counts.examples[:3])
    raise DataError(
        f"{bad} of the {counts.rows} rows of {raw.name} are bad, more than {config.allow_bad:.1%}: "
        f"{reasons}. First: {where}. Check that the file is {raw.format} data with the right columns, or "
        f"allow it with data.allow_bad={bad / counts.rows + 0.005:.2f}"
    )
