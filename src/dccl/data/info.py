"""What is in a log: the figures of `dccl data info`."""

import sys
from datetime import UTC, datetime

import msgspec
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from dccl.data.cache import LoadReport, load
from dccl.data.config import DataConfig
from dccl.data.log import EventLog

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


class LogInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A log in figures."""

    name: str
    checksum: str
    users: int
    items: int
    events: int
    density: float
    """Share of all (user, item) pairs that met at least once."""
    repeats: float
    """Share of the events in which a user met an item again."""
    events_per_user: dict[str, float]
    """By quantile: `0%` (fewest), `50%` (median), …, `100%`, and `mean`."""
    events_per_item: dict[str, float]
    evaluated_users: int
    """Users with at least three events: one each for training, validation and test."""
    first_event: str | None
    """ISO 8601 in UTC; None if the log has only an order."""
    last_event: str | None
    categories: int
    """Without the unknown one."""
    items_with_category: int
    profiles: dict[str, int]
    """Number of values of each profile field."""
    report: LoadReport


def describe(log: EventLog, report: LoadReport) -> LogInfo:
    """Count what is in a log."""
    per_user = np.diff(log.offsets)
    pairs = _distinct_pairs(log, per_user)
    return LogInfo(
        name=log.name,
        checksum=log.checksum,
        users=log.num_users,
        items=log.num_items,
        events=log.num_events,
        density=pairs / (log.num_users * log.num_items),
        repeats=1 - pairs / log.num_events,
        events_per_user=_quantiles(per_user),
        events_per_item=_quantiles(np.bincount(log.items, minlength=log.num_items + 1)[1:]),
        evaluated_users=int((per_user >= 3).sum()),
        first_event=_date(log.times.min()) if log.has_times else None,
        last_event=_date(log.times.max()) if log.has_times else None,
        categories=log.num_categories - 1,
        items_with_category=int((log.categories[1:] > 0).sum()),
        profiles={name: size - 1 for name, size in zip(log.profile_names, log.profile_sizes, strict=True)},
        report=report,
    )


def run_info(config: DataConfig, *, as_json: bool = False) -> None:
    """Load a log and print what is in it (`dccl data info`)."""
    info = describe(*load(config))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(info), indent=2).decode() + "\n")
    else:
        print_info(info, Console())


def print_info(info: LogInfo, console: Console) -> None:
    """Print the figures as tables for people."""
    table = Table(title=info.name, show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("figure", overflow="fold")
    for what, figure in _rows(info):
        table.add_row(what, figure)
    console.print(table)
    quantiles = Table("events", *info.events_per_user, title="events per user and per item")
    for who, figures in (("user", info.events_per_user), ("item", info.events_per_item)):
        quantiles.add_row(f"per {who}", *(f"{figure:,.6g}" for figure in figures.values()))
    console.print(quantiles)
    for line in info.report.lines():
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _rows(info: LogInfo) -> list[tuple[str, str]]:
    report = info.report
    fields = ", ".join(f"{name} ({size})" for name, size in info.profiles.items())
    return [
        ("files", f"{', '.join(report.files)} ({report.format})"),
        ("users", f"{info.users:,} ({info.evaluated_users:,} with at least 3 events)"),
        ("items", f"{info.items:,}"),
        ("events", f"{info.events:,}"),
        ("density", f"{info.density:.3%}"),
        ("repeats", f"{info.repeats:.2%} of the events"),
        (
            "time span",
            f"{info.first_event} to {info.last_event}" if info.first_event else "no times, only an order",
        ),
        ("categories", f"{info.categories:,} ({info.items_with_category:,} items have one)"),
        ("profile fields", fields or "none"),
        (
            "rows read",
            f"{report.rows:,} in {report.seconds:.1f} s{' (now from the cache)' * report.from_cache}",
        ),
        ("bad rows", _counts(report.bad)),
        ("filtered rows", _counts(report.filtered)),
        ("checksum", info.checksum),
    ]


def _counts(by_reason: dict[str, int]) -> str:
    return "\n".join(f"{number:,} {reason}" for reason, number in by_reason.items()) or "none"


def _quantiles(counts: npt.NDArray[np.int64]) -> dict[str, float]:
    values = np.quantile(counts, QUANTILES)
    figures = {f"{share:.0%}": float(value) for share, value in zip(QUANTILES, values, strict=True)}
    return figures | {"mean": float(counts.mean())}


def _distinct_pairs(log: EventLog, per_user: npt.NDArray[np.int64]) -> int:
    """Count (user, item) pairs, some users at a time so that a large log is never copied whole."""
    total = 0
    for start in range(0, log.num_users, 65536):
        counts = per_user[start : start + 65536]
        items = log.items[log.offsets[start] : log.offsets[start + len(counts)]]
        pairs = np.sort(np.repeat(np.arange(len(counts)), counts) * (log.num_items + 1) + items)
        total += int((np.diff(pairs, prepend=-1) != 0).sum())
    return total


def _date(seconds: np.int64) -> str:
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{int(seconds)} s"
