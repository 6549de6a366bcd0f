import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from dccl.job import run as run_module
from dccl.job.config import load_config
from dccl.job.record import require_finite
from dccl.job.run import run
from dccl.report.record import load_record
from dccl.train.release import load_release
from dccl.wire.arrays import load_arrays
from dccl.wire.errors import CheckpointError, ConfigError, DataError, DcclError

SOURCE = Path(__file__).resolve().parents[2] / "src"
STATES = ("backbone", "basis", "surrogates-1", "assessment-0-din", "distil-backbone-1", "distil-basis-1")


def _figures(folder: Path) -> dict[str, Any]:
    """metrics.json without what may differ between two runs of the same: seconds, and how far it was to grow."""
    tree = json.loads((folder / "metrics.json").read_text())
    for seed in tree["seeds"]:
        del seed["seconds"]
    del tree["config"]["rounds"], tree["config"]["seeds"]
    return tree


def _copy(finished_run: Path, to: Path, *, without: str = "") -> Path:
    leave = shutil.ignore_patterns("report.html", *([without] if without else []))
    return Path(shutil.copytree(finished_run, to, ignore=leave))


def test_a_run_leaves_its_four_files_and_a_release(finished_run: Path) -> None:
    for name in ("config.json", "environment.json", "metrics.json", "report.html"):
        assert (finished_run / name).stat().st_size > 100
    assert list(finished_run.rglob("*.part")) == []
    release, plan = load_release(finished_run / "seed-0" / "release")
    assert release.version == 1
    assert plan.data_checksum == json.loads((finished_run / "config.json").read_text())["data_checksum"]


def test_the_record_holds_what_was_asked_for(finished_run: Path) -> None:
    record = load_record(finished_run / "metrics.json")
    assert record.protocol.num_negatives == 20
    assert record.protocol.n_users == 60
    (seed,) = record.seeds
    assert list(seed.models) == ["din", "dccl-e", "dccl-m", "dccl-m+e"]
    assert all(list(rankings) == ["sampled-20", "full"] for rankings in seed.models.values())
    assert {"backbone", "basis", "devices, round 1", "evaluation"} <= seed.seconds.keys()
    assert [point.epoch for point in seed.curve] == [1, 2]
    surrogates, _ = load_arrays(finished_run / "seed-0" / "surrogates-1.safetensors")
    assert seed.rounds[0].guard_share == pytest.approx(surrogates["serving"].mean())


def test_a_run_that_was_already_done_does_nothing_anew(
    finished_run: Path, tiny_run: list[str], tmp_path: Path
) -> None:
    folder = _copy(finished_run, tmp_path / "run")
    worked: list[str] = []
    run(load_config(None, tiny_run), folder, lambda what, done, total, remark: worked.append(what))
    assert worked == []
    assert _figures(folder) == _figures(finished_run)
    assert (folder / "report.html").exists()


@pytest.mark.parametrize("name", STATES)
def test_a_stage_whose_state_is_gone_is_done_again_to_the_same_bits(
    name: str, finished_run: Path, tiny_run: list[str], tmp_path: Path
) -> None:
    folder = _copy(finished_run, tmp_path / "run", without=f"{name}.safetensors")
    run(load_config(None, tiny_run), folder)
    assert _figures(folder) == _figures(finished_run)


@pytest.mark.parametrize("name", STATES)
def test_damaged_state_is_named_and_left_alone(
    name: str, finished_run: Path, tiny_run: list[str], tmp_path: Path
) -> None:
    folder = _copy(finished_run, tmp_path / "run")
    damaged = folder / "seed-0" / f"{name}.safetensors"
    cut = damaged.read_bytes()[:-100]
    damaged.write_bytes(cut)
    with pytest.raises(CheckpointError, match=rf"{name}\.safetensors.*Delete it"):
        run(load_config(None, tiny_run), folder)
    assert damaged.read_bytes() == cut
    assert _figures(folder) == _figures(finished_run)


@pytest.fixture(scope="module")
def run_on_another_log(tiny_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "other"
    run(load_config(None, [*tiny_run, "world.seed=1"]), folder)
    return folder


@pytest.mark.parametrize("name", STATES)
def test_state_of_a_run_on_another_log_is_refused(
    name: str, run_on_another_log: Path, finished_run: Path, tiny_run: list[str], tmp_path: Path
) -> None:
    folder = _copy(finished_run, tmp_path / "run")
    shutil.copy(run_on_another_log / "seed-0" / f"{name}.safetensors", folder / "seed-0")
    with pytest.raises(CheckpointError, match="made from other data or another configuration"):
        run(load_config(None, tiny_run), folder)


# Forks children that do the run and are killed at an fsync, that is before a rename or just after it: each child a
# few fsyncs later than the one before, until one gets through. torch is imported once, and no child inherits threads.
_KILLED_AGAIN_AND_AGAIN = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from dccl.job.config import load_config
from dccl.job.run import run

folder, first, changes = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]

def work(allowed):
    left, fsync = allowed, os.fsync
    def dying(descriptor):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)
    os.fsync = dying
    run(load_config(None, changes), folder)

kills = 0
while True:
    child = os.fork()
    if child == 0:
        work(first + 7 * kills)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    kills += 1
print(kills)
"""


def _killed_again_and_again(folder: Path, first: int, changes: list[str]) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AGAIN_AND_AGAIN, str(folder), str(first), *changes],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_run_killed_at_every_stage_ends_with_the_bits_of_one_that_was_not(
    tiny_run: list[str], tmp_path: Path
) -> None:
    changes = [*tiny_run, "rounds=2", "fit.loop.average=0.9"]
    assert _killed_again_and_again(tmp_path / "whole", 100_000, changes) == 0
    assert _killed_again_and_again(tmp_path / "killed", 3, changes) >= 6
    assert _figures(tmp_path / "killed") == _figures(tmp_path / "whole")
    assert list((tmp_path / "killed").rglob("*.part")) == []
    one, other = (tmp_path / which / "seed-0" / "release" for which in ("killed", "whole"))
    assert (one / "release.json").read_bytes() == (other / "release.json").read_bytes()
    tensors, facts = load_arrays(one / "release.safetensors")
    expected, expected_facts = load_arrays(other / "release.safetensors")
    assert facts == expected_facts
    assert tensors.keys() == expected.keys()
    assert all(np.array_equal(tensors[name], expected[name]) for name in expected)


def test_more_rounds_and_seeds_grow_a_finished_run_and_change_nothing_in_it(
    finished_run: Path, tiny_run: list[str], tmp_path: Path
) -> None:
    folder = _copy(finished_run, tmp_path / "run")
    untouched = {path: path.read_bytes() for path in folder.glob("seed-0/*.safetensors")}
    grown = run(load_config(None, [*tiny_run, "rounds=2", "seeds=2"]), folder)
    assert {path: path.read_bytes() for path in untouched} == untouched
    run(load_config(None, [*tiny_run, "rounds=2", "seeds=2"]), tmp_path / "at-once")
    assert _figures(folder) == _figures(tmp_path / "at-once")
    before = load_record(finished_run / "metrics.json").seeds[0]
    assert [seed.seed for seed in grown.seeds] == [0, 1]
    assert grown.seeds[0].rounds[0] == before.rounds[0]
    assert grown.seeds[1].models["din"] != grown.seeds[0].models["din"]


def test_a_training_that_diverges_leaves_no_metrics_and_says_what_to_lower(
    tiny_run: list[str], tmp_path: Path
) -> None:
    with pytest.raises(DcclError, match=r"not finite|learning_rate"):
        run(
            load_config(None, [*tiny_run, "fit.loop.learning_rate=1e30", "fit.loop.clip=1e30"]),
            tmp_path / "run",
        )
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_a_record_with_nan_is_refused_by_its_place(finished_run: Path) -> None:
    record = load_record(finished_run / "metrics.json")
    require_finite(record)
    worse = msgspec.structs.replace(record.bytes_per_device, item_table=math.nan)
    with pytest.raises(DcclError, match=r"bytes_per_device\.item_table"):
        require_finite(msgspec.structs.replace(record, bytes_per_device=worse))


def test_validation_candidates_that_are_the_test_candidates_are_refused(
    tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "hash_of", lambda *arrays: "same")
    with pytest.raises(DataError, match="validation and test hold the same candidates"):
        run(load_config(None, tiny_run), tmp_path / "run")


@pytest.mark.parametrize(
    ("junctions", "message"),
    [
        ("[hiden1]", "no junction 'hiden1'. There are: target, history, interest, hidden1, hidden2"),
        ("[]", "no patch would sit anywhere"),
        ("[target, target]", "names one twice"),
    ],
)
def test_junctions_that_the_backbone_does_not_have_are_refused_before_any_work(
    junctions: str, message: str, tiny_run: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(load_config(None, [*tiny_run, f"basis.junctions={junctions}"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_every_junction_can_be_patched(tiny_run: list[str], tmp_path: Path) -> None:
    everywhere = "basis.junctions=[target,history,interest,hidden1,hidden2]"
    record = run(load_config(None, [*tiny_run, everywhere]), tmp_path / "run")
    assert len(record.junctions) == 5


SIXTY_ITEMS = [(user, (7 * user + time) % 60, time) for user in range(20) for time in range(9)]


def _log(path: Path, rows: list[tuple[int, int, int]]) -> Path:
    lines = ["user_id,item_id,timestamp", *(f"{user},{item},{time}" for user, item, time in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_too_few_items_for_the_negatives_names_the_number_that_fits(tmp_path: Path) -> None:
    log = _log(tmp_path / "small.csv", SIXTY_ITEMS)
    with pytest.raises(DataError, match=r"--set evaluation\.num_negatives=51 everybody has enough"):
        run(load_config(None, [], log), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_number_that_was_named_does_fit(tiny_run: list[str], tmp_path: Path) -> None:
    log = _log(tmp_path / "small.csv", SIXTY_ITEMS)
    told: list[str] = []
    changes = [change for change in tiny_run if not change.startswith("world.")]
    config = load_config(None, [*changes, "evaluation.num_negatives=51"], log)
    record = run(config, tmp_path / "run", told=told.append)
    assert record.protocol.num_negatives == 51
    assert record.protocol.n_users == 20
    assert f"load {log}" in told


def test_what_the_load_reported_is_told(tiny_run: list[str], tmp_path: Path) -> None:
    rows = [(user, (user + 3 * time) % 90, time) for user in range(40) for time in range(8)]
    log = _log(tmp_path / "log.csv", rows)
    log.write_text(log.read_text() + "7,9,yesterday\n")
    told: list[str] = []
    changes = [change for change in tiny_run if not change.startswith("world.")]
    run(load_config(None, changes, log), tmp_path / "run", told=told.append)
    assert any("1 of 321 rows are bad" in line for line in told)
    assert any("line 322" in line for line in told)
