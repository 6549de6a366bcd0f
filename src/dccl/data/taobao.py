"""Taobao UserBehavior (Tianchi 649): user, item, category, behaviour, time; no header.

All kinds of behaviour are events unless `data.behaviours` names some. The set documents 25 November to 3
December 2017 (China time); its few rows outside are left out and counted (`data.window=false` keeps them).
"""

import datetime
from pathlib import Path

import polars as pl

from dccl.data.config import DataConfig
from dccl.data.rows import RawLog
from dccl.data.text import scan_fields

BEHAVIOURS = frozenset({"pv", "fav", "cart", "buy"})
_CHINA = datetime.timezone(datetime.timedelta(hours=8))
WINDOW = (
    int(datetime.datetime(2017, 11, 25, tzinfo=_CHINA).timestamp()),
    int(datetime.datetime(2017, 12, 4, tzinfo=_CHINA).timestamp()),
)


def read_taobao(path: Path, config: DataConfig) -> RawLog:
    """Read the one file of the set, or a part of it."""
    del config  # the columns are fixed
    fields = ("user", "item", "category", "behaviour", "time")
    return RawLog(
        format="taobao",
        name=path.name.removesuffix(".gz").removesuffix(".csv"),
        files=(path,),
        events=scan_fields(path, fields, ",").with_columns(pl.lit(0, dtype=pl.UInt8).alias("_file")),
        has_times=True,
        known_behaviours=BEHAVIOURS,
        window=WINDOW,
    )
