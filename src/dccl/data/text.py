"""Text files as lazy columns of strings, line by line: gzip'd or not, in bounded memory, nothing guessed.

Every line becomes a row with its line number, however many fields it has, so that a bad one can be reported.
"""

import csv
import gzip
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import polars as pl

from dccl.wire.errors import DataError

_NOT_IN_TEXT = "\x01"
"""A separator that no text file holds: a whole line is one field."""
_DAMAGES = (OSError, EOFError, zlib.error)
"""What reading a file that is cut, changed or not ours to read can raise."""


def scan_fields(
    path: Path, columns: Sequence[str], separator: str, *, header: bool = False, quotes: bool = False
) -> pl.LazyFrame:
    """Split lines into the named columns of strings.

    Columns of the result: `_line` (from 1, the header counts), `columns` (null where the line ends early or
    the field is empty), and `_extra`, which holds something only if the line has more fields than names.
    """
    if len(set(columns)) < len(columns):
        raise DataError(f"{path} has two columns of the same name: {', '.join(columns)}. Rename one of them")
    if len(separator) > 1:
        return _split_lines(scan_lines(path, header=header), columns, separator)
    lines = pl.scan_csv(
        path,
        has_header=False,
        skip_lines=int(header),
        schema=dict.fromkeys([*columns, "_extra"], pl.String),
        separator=separator,
        quote_char='"' if quotes else None,
        encoding="utf8-lossy",
        missing_columns="insert",
        truncate_ragged_lines=True,
        row_index_name="_line",
        row_index_offset=1 + header,
        glob=False,
    )
    # The last field keeps the carriage return of a Windows file where quotes are off.
    return lines if quotes else lines.with_columns(pl.col(*columns).str.strip_chars_end("\r"))


def scan_lines(path: Path, *, header: bool = False) -> pl.LazyFrame:
    """Whole lines: columns `_line` (from 1) and `text` (null if blank)."""
    lines = pl.scan_csv(
        path,
        has_header=False,
        skip_lines=int(header),
        schema={"text": pl.String},
        separator=_NOT_IN_TEXT,
        quote_char=None,
        encoding="utf8-lossy",
        row_index_name="_line",
        row_index_offset=1 + header,
        glob=False,
    )
    return lines.with_columns(pl.col("text").str.strip_chars_end("\r"))


def first_lines(path: Path, count: int = 20) -> list[str]:
    """Read the first lines of a text file, without their ends.

    Raises:
        DataError: the file is missing, empty, or not text (a damaged gzip file, another binary file).
    """
    try:
        with open_bytes(path) as file:
            lines = [line.decode("utf-8", "replace").rstrip("\r\n") for line in islice(file, count)]
    except FileNotFoundError as error:
        raise DataError(
            f"{path} does not exist. Check the path; `dccl data get NAME` downloads public sets"
        ) from error
    except _DAMAGES as error:
        raise _unreadable(path, error) from error
    if not any(lines):
        raise DataError(f"{path} is empty: expected a log of events")
    if any("\x00" in line for line in lines):
        raise DataError(
            f"{path} is not a text file (it holds zero bytes). Unpack it first if it is an archive; "
            "gzip'd text and Parquet are read as they are"
        )
    return [lines[0].removeprefix("\ufeff"), *lines[1:]]


def read_table(path: Path, separator: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a small table about users or items as strings; without `columns` its first line names them.

    Short lines are filled up with nulls and long ones cut: such a table only adds features.
    """
    try:
        with open_bytes(path) as file:
            lines = _decoded(file.read()).splitlines()
        rows = _split_rows(lines, separator)
    except (*_DAMAGES, csv.Error) as error:
        raise _unreadable(path, error) from error
    names = list(columns) if columns else rows.pop(0) if rows else []
    padded = ([*row, *[None] * len(names)][: len(names)] for row in rows if row)
    return pl.DataFrame(list(padded), schema=dict.fromkeys(names, pl.String), orient="row")


def open_bytes(path: Path) -> BinaryIO | gzip.GzipFile:
    """Open a file that may be gzip'd (told by its first bytes, not by its name)."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if zipped else path.open("rb")


def _split_lines(lines: pl.LazyFrame, columns: Sequence[str], separator: str) -> pl.LazyFrame:
    parts = pl.col("text").str.split_exact(separator, len(columns)).struct.rename_fields([*columns, "_extra"])
    return lines.select("_line", parts.alias("parts")).unnest("parts")


def _split_rows(lines: list[str], separator: str) -> list[list[str]]:
    if separator == ",":
        return list(csv.reader(lines))
    return [line.split(separator) for line in lines]


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"cannot read {path}: {error}. Check that the file is whole and may be read")


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # the GroupLens films
