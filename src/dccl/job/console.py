"""What a run shows while it works and when it is done: bars on a terminal, lines elsewhere, one JSON object."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from dccl.report.headline import headline, interval
from dccl.report.labels import (
    count,
    duration,
    metric_label,
    model_label,
    points,
    ranking_label,
    signed_points,
)
from dccl.report.record import METRICS, Reading
from dccl.wire.results import RunRecord

_SHOWN = ("hit_rate@1", "hit_rate@10", "ndcg@10")


class Watcher(Protocol):
    """Whoever is told how far a run is."""

    def progress(self, what: str, done: int, total: int, remark: str) -> None:
        """As `dccl.train.loop.Progress`."""
        ...

    def told(self, sentence: str) -> None:
        """As `dccl.job.run.Told`."""
        ...


@contextmanager
def watching() -> Iterator[Watcher]:
    """Show a run on stderr: bars if it is a terminal, otherwise a line per epoch and stage."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    # Spinner and clock run on their own; the estimate looks far back, for an epoch may take minutes.
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
    )
    with Progress(*columns, console=console, speed_estimate_period=3600) as progress:
        bars = Bars(progress)
        yield bars
        bars.close()


@dataclass
class Lines:
    """Plain lines, for a file or a pipe."""

    _started: float = field(default_factory=perf_counter)

    def progress(self, what: str, done: int, total: int, remark: str) -> None:
        """A line per epoch, and one when all devices are done."""
        if remark.startswith("validation") or (what == "devices" and done == total):
            self._line(f"  {what} {done}/{total} {remark}".rstrip())

    def told(self, sentence: str) -> None:
        """A line per stage."""
        self._line(sentence)

    def _line(self, text: str) -> None:
        sys.stderr.write(f"{perf_counter() - self._started:7.1f} s  {text}\n")
        sys.stderr.flush()


@dataclass
class Bars:
    """One bar for the stage at work; what is done stays above it as a line."""

    _progress: Progress
    _what: str = ""
    _task: TaskID | None = None
    _remark: str = ""
    _epochs: int = 0
    _started: float = 0.0

    def progress(self, what: str, done: int, total: int, remark: str) -> None:
        """Move the bar of `what`, or begin it."""
        if self._task is None or what != self._what:
            self.close()
            self._what, self._started = what, perf_counter()
            self._task = self._progress.add_task(escape(what), total=total, remark="")
        if not remark.startswith("epoch"):
            self._remark, self._epochs = remark, done
        self._progress.update(self._task, completed=done, total=total, remark=escape(remark))

    def told(self, sentence: str) -> None:
        """A line above the bar."""
        self.close()
        self._print(sentence)

    def close(self) -> None:
        """Leave a line in the place of the bar."""
        if self._task is None:
            return
        self._progress.remove_task(self._task)
        self._task = None
        took = duration(perf_counter() - self._started)
        counted = count(self._epochs, "device" if self._what == "devices" else "epoch")
        name = "" if self._what == "devices" else f"{self._what}: "
        self._print("  " + ", ".join(part for part in (f"{name}{counted}", self._remark, took) if part))
        self._remark, self._epochs = "", 0

    def _print(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def show_results(record: RunRecord, report: Path, metrics: Path) -> None:
    """Print the headline, the figures of every model and where the report is, for people."""
    console = Console()
    reading = Reading(record)
    ranking = reading.main_ranking
    seeds = count(len(record.seeds), "seed")
    table = Table(caption=f"(difference to {model_label(reading.baseline)}), its 95 % interval, verdict")
    table.title = f"{ranking_label(ranking)}, {seeds}"
    table.add_column("model", no_wrap=True)
    for metric in _SHOWN:
        table.add_column(metric_label(metric), justify="right")
    for model in reading.models:
        table.add_row(model_label(model), *(_cell(reading, model, ranking, metric) for metric in _SHOWN))
    console.print(table)
    # The lines below are for copying: never wrapped, never coloured.
    for line in (headline(reading), *record.notes, f"report: {report}", f"metrics: {metrics}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _cell(reading: Reading, model: str, ranking: str, metric: str) -> str:
    spread = reading.spread(model, ranking, metric)
    comparison = reading.comparison(model, ranking, metric)
    figure = "–" if spread is None else points(spread.mean)
    if comparison is None:
        return figure
    return f"{figure} ({signed_points(comparison.difference)})\n{interval(comparison)}\n{comparison.verdict}"


def as_json(record: RunRecord, report: Path, metrics: Path) -> bytes:
    """One JSON object for programs: where the files are, the headline, and the figures of every model."""
    reading = Reading(record)
    ranking = reading.main_ranking
    content = {
        "metrics": str(metrics),
        "report": str(report),
        "headline": headline(reading),
        "ranking": ranking,
        "models": {model: _figures(reading, model, ranking) for model in reading.models},
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _figures(reading: Reading, model: str, ranking: str) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for metric in METRICS:
        if (spread := reading.spread(model, ranking, metric)) is not None:
            figures[metric] = spread.mean
    comparisons = {metric: reading.comparison(model, ranking, metric) for metric in METRICS}
    if any(comparisons.values()):
        figures[f"against {reading.baseline}"] = {
            metric: {"difference": c.difference, "low": c.low, "high": c.high, "verdict": c.verdict}
            for metric, c in comparisons.items()
            if c is not None
        }
    return figures
