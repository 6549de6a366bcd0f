"""Load a log from its source files, or from the cache if nothing has changed since.

The cache is a folder per log under `$DCCL_CACHE` (or the user's cache folder). Its key holds the
configuration and path, size and modification time of every source file.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import platformdirs

from dccl.data.assembly import assemble
from dccl.data.config import DataConfig
from dccl.data.encoding import BadRow, encode_rows
from dccl.data.formats import open_log
from dccl.data.log import EventLog
from dccl.data.rows import RawLog
from dccl.data.storage import load_log, whole_folder, write_log
from dccl.wire.errors import DataError
from dccl.wire.files import read_json, write_json

_VERSION = 1
"""Raise it when the same files would give another log."""
_REPORT = "report.json"


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the rows of the source files."""

    format: str
    files: tuple[str, ...]
    """Names of all files that were read, events first."""
    rows: int
    bad: dict[str, int]
    """Rows that could not be read, by reason."""
    examples: tuple[BadRow, ...]
    """The first of them."""
    filtered: dict[str, int]
    """Rows that could be read but were not wanted, by reason."""
    notes: tuple[str, ...]
    seconds: float
    """What reading the source files took."""
    from_cache: bool = False

    @property
    def num_bad(self) -> int:
        """Number of bad rows."""
        return sum(self.bad.values())

    def lines(self) -> list[str]:
        """Say in sentences what a reader must know: bad rows with their lines, filtered rows, notes."""
        lines = [f"{number:,} of {self.rows:,} rows are bad: {reason}" for reason, number in self.bad.items()]
        lines += [f"bad row: {row.file} line {row.line}: {row.reason}" for row in self.examples]
        lines += [f"{number:,} rows are left out: {reason}" for reason, number in self.filtered.items()]
        return [*lines, *(f"note: {note}" for note in self.notes)]


def load(config: DataConfig) -> tuple[EventLog, LoadReport]:
    """Load a log; its arrays are memory-mapped when the cache is on.

    Raises:
        DataError: the path, the format or the rows are wrong, or nothing is left.
        ConfigError: the configuration names a format or column that makes no sense for this log.
        StorageError: the cache folder cannot be written.
    """
    raw = open_log(config)
    if not config.cache:
        return _read(raw, config)
    folder = cache_folder() / "logs" / f"{raw.name}-{_key(raw, config)}"
    with contextlib.suppress(DataError):  # not there yet, or damaged: made anew below
        report = msgspec.convert(read_json(folder / _REPORT), LoadReport)
        return load_log(folder), msgspec.structs.replace(report, from_cache=True)
    log, report = _read(raw, config)
    with whole_folder(folder) as new:
        write_log(log, new)
        write_json(new / _REPORT, report)
    return load_log(folder), report


def cache_folder() -> Path:
    """Return `$DCCL_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("DCCL_CACHE") or platformdirs.user_cache_dir("dccl")).expanduser()


def _read(raw: RawLog, config: DataConfig) -> tuple[EventLog, LoadReport]:
    start = time.perf_counter()
    rows, counts = encode_rows(raw, config)
    log = assemble(
        raw,
        rows,
        counts,
        min_user_events=config.min_user_events,
        min_item_events=config.min_item_events,
        profiles=config.profiles,
    )
    return log, LoadReport(
        format=raw.format,
        files=tuple(path.name for path in _sources(raw)),
        rows=counts.rows,
        bad=dict(counts.bad.most_common()),
        examples=tuple(counts.examples),
        filtered=dict(counts.filtered.most_common()),
        notes=tuple(raw.notes),
        seconds=time.perf_counter() - start,
    )


def _sources(raw: RawLog) -> Iterator[Path]:
    yield from raw.files
    yield from (table.path for table in (raw.users, raw.items) if table is not None)


def _key(raw: RawLog, config: DataConfig) -> str:
    states = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in _sources(raw)]
    settings = msgspec.json.encode(msgspec.structs.replace(config, path=""))
    return hashlib.sha256(f"{_VERSION}{raw.format}{states}".encode() + settings).hexdigest()[:16]
