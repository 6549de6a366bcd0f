"""Amazon product reviews (J. McAuley): ratings as CSV and reviews as JSON lines, of 2014, 2018 and 2023.

The CSV files have no header: 2014 has user, item, rating, time; 2018 has item, user, rating, time. Which
is which is told by the ids: an item (ASIN) has ten characters, a book's is its ISBN, all others begin with
B. The CSV files of 2023 have a header and are plain tables (`dccl.data.tables`); their times are
milliseconds.
"""

import re
from pathlib import Path

import msgspec
import polars as pl

from dccl.data.config import DataConfig
from dccl.data.rows import RawLog
from dccl.data.text import first_lines, scan_fields, scan_lines
from dccl.wire.errors import DataError

ASIN = re.compile(r"(B[0-9A-Z]{9}|[0-9]{9}[0-9X])")
_JSON_KEYS = {
    "user": ("reviewerID", "user_id"),
    "item": ("parent_asin", "asin"),
    "rating": ("overall", "rating"),
    "time": ("unixReviewTime", "timestamp", "sort_timestamp"),
}


def read_amazon(path: Path, config: DataConfig) -> RawLog:
    """Read one file of reviews or ratings.

    Raises:
        DataError: the columns or keys of user, item and time cannot be told.
    """
    first = first_lines(path, 1)[0].lstrip()
    events = _read_json(path, config, first) if first.startswith("{") else _read_csv(path)
    return RawLog(
        format="amazon",
        name=re.sub(r"\.(csv|json|jsonl)(\.gz)?$", "", path.name),
        files=(path,),
        events=events.with_columns(pl.lit(0, dtype=pl.UInt8).alias("_file")),
        has_times=True,
    )


def _read_csv(path: Path) -> pl.LazyFrame:
    item_first = item_comes_first(first_lines(path))
    if item_first is None:
        raise DataError(
            f"cannot tell the user from the item in {path}: expected two ids, of which one is a product "
            "number of ten characters. Read it as a table: data.format=table with data.user=column_1, "
            "data.item=column_2, data.rating=column_3 and data.time=column_4"
        )
    ids = ("item", "user") if item_first else ("user", "item")
    return scan_fields(path, (*ids, "rating", "time"), ",")


def item_comes_first(lines: list[str]) -> bool | None:
    """Tell whether the first field of ratings lines is the item; None if that is not clear."""
    fields = [line.split(",") for line in lines]
    share = [
        sum(bool(ASIN.fullmatch(row[place])) for row in fields if len(row) > place) / len(lines)
        for place in (0, 1)
    ]
    if max(share) < 0.5 or share[0] == share[1]:
        return None
    return share[0] > share[1]


def _read_json(path: Path, config: DataConfig, first: str) -> pl.LazyFrame:
    try:
        keys = msgspec.json.decode(first, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise DataError(
            f"the first line of {path} is not a JSON object: {error}. Expected one review per line; the "
            "Python dictionaries of the oldest files (single quotes) must be rewritten first"
        ) from error
    chosen = {role: _key(keys, role, getattr(config, role), path) for role in _JSON_KEYS}
    text = pl.col("text")
    is_object = text.str.starts_with("{") & text.str.strip_chars_end().str.ends_with("}")
    return scan_lines(path, header=False).select(
        "_line",
        *(text.str.json_path_match(f"$.{key}").alias(role) for role, key in chosen.items()),
        fault=pl.when(text.is_not_null() & ~is_object).then(pl.lit("not a whole JSON object")),
    )


def _key(keys: dict[str, msgspec.Raw], role: str, wanted: str | None, path: Path) -> str:
    for name in (wanted,) if wanted else _JSON_KEYS[role]:
        if name in keys:
            return name
    raise DataError(
        f"the reviews of {path} have no key {wanted or ' or '.join(_JSON_KEYS[role])} for the {role}; "
        f"they have {', '.join(keys)}. Name the one to use with data.{role}=…"
    )
