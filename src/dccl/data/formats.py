"""From a path to the reader of its format: told by names and contents, never by a guess that could be
wrong silently."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl

from dccl.data import grouplens
from dccl.data.amazon import item_comes_first, read_amazon
from dccl.data.config import DataConfig
from dccl.data.recbole import TYPED, read_recbole
from dccl.data.rows import RawLog
from dccl.data.sequences import read_sequences
from dccl.data.tables import has_header, is_parquet, read_tables, told_separator
from dccl.data.taobao import BEHAVIOURS, read_taobao
from dccl.data.text import first_lines
from dccl.wire.errors import ConfigError, DataError

_PARTS = ("train", "dev", "valid", "validation", "test")
_SIDE_NAMES = re.compile(
    r"(users\.dat|movies\.dat|item_meta\..*|.*item2attributes\.json|.*\.(user|item|md|html))"
)
_LOG_NAMES = re.compile(r"(u\.data|.*\.(inter|dat|csv|tsv|txt|json|jsonl|parquet))")
_NOT_LOGS = re.compile(r"(SOURCE|README.*|LICEN[CS]E.*)\.txt", re.IGNORECASE)


def open_log(config: DataConfig) -> RawLog:
    """Find the log at `config.path` and what lies beside it.

    Raises:
        DataError: nothing is there, the format is not known, or a folder holds several logs.
        ConfigError: `config.format` is not a format.
    """
    path = Path(config.path).expanduser()
    if not path.exists():
        raise DataError(f"{path} does not exist. Check the path; `dccl data get NAME` downloads public sets")
    paths = _logs_in(path) if path.is_dir() else [path]
    readers: dict[str, Callable[[], RawLog]] = {
        "recbole": lambda: _open_recbole(paths[0], config),
        "grouplens": lambda: _open_grouplens(paths[0], config),
        "sequences": lambda: read_sequences(paths[0], config, _attributes_of(paths[0])),
        "amazon": lambda: read_amazon(paths[0], config),
        "taobao": lambda: read_taobao(paths[0], config),
        "table": lambda: read_tables(paths, config, _beside(paths[0], "item_meta.csv")),
    }
    known = ", ".join(readers)
    format_ = recognise(paths[0]) if config.format == "auto" else config.format
    if format_ is None:
        raise DataError(
            f"the format of {paths[0]} is not recognised. First line: "
            f"{first_lines(paths[0], 1)[0][:80]!r}. Name it with data.format (one of {known})"
        )
    if format_ not in readers:
        raise ConfigError(f"data.format is {format_!r}, expected auto or one of {known}")
    try:
        return readers[format_]()
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"cannot read {paths[0]} as {format_}: {error}. Check that the file is whole"
        ) from error


def recognise(path: Path) -> str | None:
    """Tell the format of a file by its name and first lines; None if none fits."""
    if is_parquet(path):
        return "table"
    lines = first_lines(path)
    first = lines[0]
    if _plain_name(path).endswith(".inter"):
        return "recbole"
    for name, fits in _SIGNS.items():
        if fits(path, first, lines):
            return name
    return None


def _is_recbole(path: Path, first: str, lines: list[str]) -> bool:
    return all(TYPED.fullmatch(part) for part in first.split("\t"))


def _is_grouplens(path: Path, first: str, lines: list[str]) -> bool:
    return bool(re.fullmatch(r"\d+::\d+::[\d.]+(::\d+)?", first)) or _plain_name(path) == "u.data"


def _is_taobao(path: Path, first: str, lines: list[str]) -> bool:
    fields = first.split(",")
    return len(fields) == 5 and fields[3] in BEHAVIOURS


def _is_amazon(path: Path, first: str, lines: list[str]) -> bool:
    if first.lstrip().startswith("{"):
        return True
    rating = re.fullmatch(r"[^,]+,[^,]+,[0-5](\.\d)?,\d{9,10}", first)
    return rating is not None and item_comes_first(lines) is not None


def _is_sequences(path: Path, first: str, lines: list[str]) -> bool:
    # Ids that are words are read with data.format=sequences; any prose would pass for them otherwise.
    return all(re.fullmatch(r"\d+( \d+)*", line.rstrip()) for line in lines if line) and " " in first


def _is_table(path: Path, first: str, lines: list[str]) -> bool:
    separator = told_separator(first)
    return separator in first and (
        has_header(first, separator) or _plain_name(path).endswith((".csv", ".tsv"))
    )


_SIGNS: dict[str, Callable[[Path, str, list[str]], bool]] = {
    "recbole": _is_recbole,
    "grouplens": _is_grouplens,
    "taobao": _is_taobao,
    "amazon": _is_amazon,
    "table": _is_table,
    "sequences": _is_sequences,
}


def _logs_in(folder: Path) -> list[Path]:
    """Find the one log of a folder, which may be in parts (train, dev, test)."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    by_name = {_plain_name(path): path for path in files}
    parts = [by_name[f"{part}.csv"] for part in _PARTS if f"{part}.csv" in by_name]
    if "train.csv" in by_name and len(parts) > 1:
        return parts
    logs = [by_name["u.data"]] if "u.data" in by_name else [path for path in files if _may_be_log(path)]
    if not logs:
        raise DataError(
            f"{folder} holds no log of events: expected one .inter, .dat, .csv, .txt, .json or .parquet "
            f"file (gzip'd or not), or train.csv with test.csv. It holds: "
            f"{', '.join(path.name for path in files) or 'nothing'}"
        )
    if len(logs) > 1:
        names = ", ".join(path.name for path in logs)
        raise DataError(f"{folder} holds several logs: {names}. Give the path of the one to use")
    return logs


def _may_be_log(path: Path) -> bool:
    name = _plain_name(path)
    return (
        bool(_LOG_NAMES.fullmatch(name)) and not _SIDE_NAMES.fullmatch(name) and not _NOT_LOGS.fullmatch(name)
    )


def _open_recbole(path: Path, config: DataConfig) -> RawLog:
    stem = _plain_name(path).removesuffix(".inter")
    users, items = _beside(path, f"{stem}.user"), _beside(path, f"{stem}.item")
    raw = read_recbole(path, config, users, items)
    # Sequences made from MovieLens keep the original ids; the original tables are used if they know every id.
    films, people = _beside(path, "movies.dat"), _beside(path, "users.dat")
    if users or items or not (films and people):
        return raw
    return dataclasses.replace(
        raw,
        users=grouplens.read_users(people, must_cover=True),
        items=grouplens.read_films(films, must_cover=True),
    )


def _open_grouplens(path: Path, config: DataConfig) -> RawLog:
    users = _beside(path, "users.dat") or _beside(path, "u.user")
    films = _beside(path, "movies.dat") or _beside(path, "u.item")
    return grouplens.read_grouplens(path, config, users, films)


def _attributes_of(path: Path) -> Path | None:
    stem = _plain_name(path).removesuffix(".txt")
    return _beside(path, f"{stem}_item2attributes.json") or _beside(path, "item2attributes.json")


def _beside(path: Path, name: str) -> Path | None:
    for candidate in (path.parent / name, path.parent / f"{name}.gz"):
        if candidate.is_file() and candidate != path:
            return candidate
    return None


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".gz")
