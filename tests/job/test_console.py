import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from dccl.job.console import Bars, Lines, as_json, show_results, watching
from dccl.report.record import load_record


def _fit(watcher: Bars | Lines) -> None:
    watcher.told("seed 0: pretrain")
    for epoch in (1, 2):
        watcher.progress("backbone", epoch - 1, 40, f"epoch {epoch}")
        watcher.progress("backbone", epoch - 1, 40, f"epoch {epoch}")
        watcher.progress("backbone", epoch, 40, f"validation 0.{epoch}")
    watcher.told("seed 0: round 1: devices")
    watcher.progress("devices", 64, 100, "")
    watcher.progress("devices", 100, 100, "")


def test_without_a_terminal_there_is_a_line_per_stage_and_per_epoch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with watching() as watcher:
        assert isinstance(watcher, Lines)
        _fit(watcher)
    shown = capsys.readouterr()
    assert shown.out == ""
    texts = [line.split(" s  ")[1].strip() for line in shown.err.splitlines()]
    assert texts == [
        "seed 0: pretrain",
        "backbone 1/40 validation 0.1",
        "backbone 2/40 validation 0.2",
        "seed 0: round 1: devices",
        "devices 100/100",
    ]


def test_on_a_terminal_a_finished_bar_becomes_a_line() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, no_color=True)
    with Progress(console=console) as progress:
        bars = Bars(progress)
        _fit(bars)
        assert len(progress.tasks) == 1
        bars.close()
        assert progress.tasks == []
    text = screen.getvalue()
    assert "backbone: 2 epochs, validation 0.2, " in text
    assert "100 devices, " in text


def test_the_results_show_each_model_its_interval_and_verdict_and_the_paths_unwrapped(
    finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = load_record(finished_run / "metrics.json")
    long = Path("a" * 100)
    show_results(record, long / "report.html", long / "metrics.json")
    out = capsys.readouterr().out
    assert f"report: {long}/report.html\n" in out
    assert f"metrics: {long}/metrics.json\n" in out
    assert all(f"│ {name} " in out for name in ("DIN", "DCCL-e", "DCCL-m", "DCCL-m+e"))
    comparison = next(c for c in record.comparisons if (c.model, c.metric) == ("dccl-m", "ndcg@10"))
    assert f"{100 * comparison.model_mean:.2f}" in out
    assert comparison.verdict in out


def test_the_json_is_one_object_with_paths_headline_and_figures(finished_run: Path) -> None:
    record = load_record(finished_run / "metrics.json")
    found = json.loads(as_json(record, Path("r/report.html"), Path("r/metrics.json")))
    assert (found["report"], found["metrics"]) == ("r/report.html", "r/metrics.json")
    assert found["ranking"] == "sampled-20"
    assert found["headline"].endswith(".")
    for model in ("din", "dccl-e", "dccl-m", "dccl-m+e"):
        measured = record.seeds[0].models[model]["sampled-20"]
        assert found["models"][model]["hit_rate@10"] == measured.hit_rate_10
    against = found["models"]["dccl-m"]["against din"]["ndcg@10"]
    assert against["low"] <= against["difference"] <= against["high"]
    assert "against din" not in found["models"]["din"]
