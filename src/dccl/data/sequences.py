"""One line per user, `user item item …` in time order (S3-Rec and its followers); no times, only an order."""

from pathlib import Path

import msgspec
import polars as pl

from dccl.data.config import DataConfig
from dccl.data.rows import RawLog, SideTable
from dccl.data.text import open_bytes, scan_lines
from dccl.wire.errors import DataError


def read_sequences(path: Path, config: DataConfig, attributes: Path | None) -> RawLog:
    """Read sequences, and an `item2attributes.json` if there is one: an item's category is its first
    attribute.

    A line without items is bad; two spaces in a row make an item without a name, which is bad too.
    """
    del config  # there are no columns to choose
    words = pl.col("text").str.strip_chars_end(" ").str.split(" ")
    events = (
        scan_lines(path)
        .select("_line", user=words.list.first(), items=words.list.slice(1))
        .with_columns(fault=pl.when(pl.col("items").list.len() == 0).then(pl.lit("a user without items")))
        .explode("items", empty_as_null=True, keep_nulls=True)
        .select(pl.lit(0, dtype=pl.UInt8).alias("_file"), "_line", "user", item="items", fault="fault")
    )
    return RawLog(
        format="sequences",
        name=path.name.removesuffix(".gz").removesuffix(".txt"),
        files=(path,),
        events=events,
        has_times=False,
        items=_read_attributes(attributes) if attributes else None,
    )


def _read_attributes(path: Path) -> SideTable:
    try:
        with open_bytes(path) as file:
            table = msgspec.json.decode(file.read(), type=dict[str, list[int | str]])
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise DataError(
            f"{path} is not a table of attributes ({{'item': [1, 2], …}}): {error}. Move it away if it is "
            "not wanted"
        ) from error
    pairs = {
        "item": list(table),
        "category": [str(values[0]) if values else None for values in table.values()],
    }
    return SideTable(path, pl.DataFrame(pairs, schema={"item": pl.String, "category": pl.String}))
