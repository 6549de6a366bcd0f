"""MovieLens as GroupLens publishes it: 100K (`u.data`, tabs) and 1M or 10M (`ratings.dat`, `::`).

MovieLens-20M and later are plain CSV tables (`dccl.data.tables`).
"""

from pathlib import Path

import polars as pl

from dccl.data.config import DataConfig
from dccl.data.rows import RawLog, SideTable
from dccl.data.text import first_lines, read_table, scan_fields
from dccl.wire.errors import DataError

_FIELDS = ("user", "item", "rating", "time")
_USERS_1M = ("user", "gender", "age", "occupation", "zip_code")
_USERS_100K = ("user", "age", "gender", "occupation", "zip_code")
_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip


def read_grouplens(path: Path, config: DataConfig, users: Path | None, items: Path | None) -> RawLog:
    """Read ratings, and the users and films that lie beside them; a film's category is its first genre.

    Raises:
        DataError: the ratings have no time and the configuration does not say that the lines are in order.
    """
    separator = "::" if "::" in first_lines(path, 1)[0] else "\t"
    fields = _FIELDS[: first_lines(path, 1)[0].count(separator) + 1]
    timed = len(fields) == len(_FIELDS)
    if not timed and config.time != "line":
        raise DataError(
            f"{path} has {len(fields)} fields and no time: the order of a user's events is unknown. If "
            "its lines are in time order, say so with data.time=line"
        )
    used = [name for name in fields if name != "time" or config.time != "line"]
    events = scan_fields(path, fields, separator).select(
        pl.lit(0, dtype=pl.UInt8).alias("_file"), "_line", "_extra", *used
    )
    return RawLog(
        format="grouplens",
        name=path.resolve().parent.name
        if path.name.startswith(("ratings.dat", "u.data"))
        else path.name.split(".")[0],
        files=(path,),
        events=events,
        has_times="time" in used,
        users=read_users(users) if users else None,
        items=read_films(items) if items else None,
    )


def read_users(path: Path, *, must_cover: bool = False) -> SideTable:
    """Read `users.dat` or `u.user`."""
    is_1m = "::" in first_lines(path, 1)[0]
    columns, separator = (_USERS_1M, "::") if is_1m else (_USERS_100K, "|")
    return SideTable(path, read_table(path, separator, columns), must_cover)


def read_films(path: Path, *, must_cover: bool = False) -> SideTable:
    """Read the first genre of films out of `movies.dat` or `u.item`."""
    if "::" in first_lines(path, 1)[0]:
        films = read_table(path, "::", ("item", "title", "genres"))
        genre = pl.col("genres").str.split("|").list.first()
    else:
        films = read_table(path, "|", ("item", "title", "released", "video", "url", *_GENRES_100K))
        genre = pl.coalesce(pl.when(pl.col(name) == "1").then(pl.lit(name)) for name in _GENRES_100K)
    return SideTable(path, films.select("item", category=genre), must_cover)
