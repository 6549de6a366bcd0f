"""RecBole atomic files: tab-separated `.inter`, `.user` and `.item` with a typed header (`user_id:token`, …).

Format: https://recbole.io/docs/user_guide/data/atomic_files.html
"""

import re
from pathlib import Path

import polars as pl

from dccl.data.config import DataConfig
from dccl.data.rows import ORDER_NAMES, RawLog, SideTable
from dccl.data.text import first_lines, read_table, scan_fields
from dccl.wire.errors import DataError

TYPED = re.compile(r"[^:]+:(token|float)(_seq)?")
CATEGORY_NAMES = ("category", "categories", "class", "genre", "genres", "category_id", "item_category")
TIME_NAMES = ("timestamp", "time")


def read_recbole(inter: Path, config: DataConfig, users: Path | None, items: Path | None) -> RawLog:
    """Read an `.inter` file, and the `.user` and `.item` files that belong to it.

    A category of several tokens (`token_seq`) counts by its first.

    Raises:
        DataError: the header has no types, or a column is missing; the message lists those there are.
    """
    columns = header_names(inter)
    user = _column(columns, config.user, ("user_id",), "user", inter)
    item = _column(columns, config.item, ("item_id",), "item", inter)
    time = None if config.time == "line" else _column(columns, config.time, TIME_NAMES, "time", inter)
    rating = config.rating or ("rating" if "rating" in columns else None)
    wanted = {"user": user, "item": item, "time": time, "rating": rating, "behaviour": config.behaviour}
    chosen = {
        name: _column(columns, column, (), name, inter)
        for name, column in wanted.items()
        if column is not None
    }
    events = scan_fields(inter, columns, "\t", header=True).select(
        pl.lit(0, dtype=pl.UInt8).alias("_file"),
        "_line",
        "_extra",
        *(pl.col(column).alias(name) for name, column in chosen.items()),
    )
    return RawLog(
        format="recbole",
        name=inter.name.removesuffix(".gz").removesuffix(".inter"),
        files=(inter,),
        events=events,
        has_times=time is not None and time not in ORDER_NAMES,
        users=read_users(users, user) if users else None,
        items=read_items(items, item, config) if items else None,
    )


def header_names(path: Path) -> list[str]:
    """Read the names of a typed header.

    Raises:
        DataError: the first line is not one.
    """
    fields = first_lines(path, 1)[0].split("\t")
    if not all(TYPED.fullmatch(field) for field in fields):
        raise DataError(
            f"{path} is not a RecBole atomic file: expected a first line like "
            f"'user_id:token<tab>item_id:token<tab>timestamp:float', found {fields[0][:60]!r}…"
        )
    return [field.rsplit(":", 1)[0] for field in fields]


def read_users(path: Path, user: str = "user_id") -> SideTable:
    """Read a `.user` file: every column but the id is a profile field."""
    names = header_names(path)
    key = _column(names, user, (), "user", path)
    rows = read_table(path, "\t", names).slice(1)
    others = [name for name in names if name != key]
    return SideTable(path, rows.select(pl.col(key).alias("user"), *others))


def read_items(path: Path, item: str, config: DataConfig) -> SideTable | None:
    """Read the category of items out of an `.item` file; None if it has none."""
    names = header_names(path)
    key = _column(names, item, (), "item", path)
    category = config.category or next((name for name in CATEGORY_NAMES if name in names), None)
    if category is None:
        return None
    column = _column(names, category, (), "category", path)
    rows = read_table(path, "\t", names).slice(1)
    first = pl.col(column).str.split(" ").list.first()
    return SideTable(path, rows.select(pl.col(key).alias("item"), first.alias("category")))


def _column(columns: list[str], wanted: str | None, usual: tuple[str, ...], role: str, path: Path) -> str:
    for name in (wanted,) if wanted else usual:
        if name in columns:
            return name
    expected = repr(wanted) if wanted else " or ".join(map(repr, usual))
    raise DataError(
        f"{path} has no column {expected} for the {role}; it has {', '.join(columns)}. Name the one to "
        f"use, for example data.{role}={columns[-1]}"
    )
