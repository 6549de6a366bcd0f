import json
import time
from pathlib import Path

import pytest

from dccl.job import stopwatch
from dccl.job.stopwatch import Stopwatch
from dccl.wire.errors import DataError


def test_a_second_process_adds_to_what_the_first_one_took(tmp_path: Path) -> None:
    path = tmp_path / "seconds.json"
    path.write_text('{"basis": 100.0}')
    watch = Stopwatch(path)
    with watch.timed("basis"):
        time.sleep(0.01)
    assert 100.01 <= json.loads(path.read_text())["basis"] < 101


def test_a_stage_that_fails_is_counted_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Stopwatch(tmp_path / "seconds.json").timed("basis"):
        raise KeyboardInterrupt
    assert json.loads((tmp_path / "seconds.json").read_text())["basis"] >= 0


def test_ticks_write_while_a_stage_runs_and_count_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopwatch, "_WRITE_EVERY_S", 0.0)
    path = tmp_path / "seconds.json"
    watch = Stopwatch(path)
    start = time.perf_counter()
    with watch.timed("basis"):
        for _ in range(3):
            time.sleep(0.01)
            watch.tick()
        assert json.loads(path.read_text())["basis"] >= 0.03
    assert watch.seconds["basis"] <= time.perf_counter() - start


def test_a_tick_between_stages_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch, "_WRITE_EVERY_S", 0.0)
    Stopwatch(tmp_path / "seconds.json").tick()
    assert not (tmp_path / "seconds.json").exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "seconds.json").write_text("[1]")
    with pytest.raises(DataError, match=r"seconds\.json does not hold seconds"):
        Stopwatch(tmp_path / "seconds.json")
