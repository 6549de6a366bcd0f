"""A release comes back from its folder as it was, or not at all."""

import dataclasses
import shutil
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor

from dccl.data.log import EventLog
from dccl.data.windows import all_windows
from dccl.models.din import DinConfig
from dccl.train.basis import BasisConfig
from dccl.train.batches import BatchSource
from dccl.train.release import Blueprint, Release, blueprint, load_release, new_release, save_release
from dccl.wire.errors import CheckpointError
from dccl.wire.files import read_json, write_json

pytestmark = pytest.mark.usefixtures("one_thread")


def plan_for(log: EventLog, attention: Literal["dot", "mlp"] = "dot", width: int = 8) -> Blueprint:
    din = DinConfig(width=width, attention=attention, hidden=(8, 6))
    return blueprint(log, din, BasisConfig(surrogate_width=4, rank=2, steps=2), 8, 10)


def release_for(log: EventLog, plan: Blueprint, seed: int = 0) -> Release:
    release = new_release(plan, log.categories, seed)
    release.backbone.eval()
    return release


def outputs(release: Release, log: EventLog) -> tuple[Tensor, Tensor]:
    """Logits under patches, and encoded surrogates."""
    batch = BatchSource(log, 10, 3).batch(all_windows(log, 10, 20)[:8], np.random.default_rng(0))
    surrogate = torch.linspace(-1, 1, 8 * 4).view(8, 4)
    with torch.no_grad():
        inputs = release.backbone.look_up(batch.codes)
        logits = release.backbone(inputs, release.basis.patch(surrogate))
        return logits, release.encoder(surrogate, inputs.profile)


@pytest.mark.parametrize("attention", ["dot", "mlp"])
def test_a_release_loads_into_fresh_modules_with_equal_outputs(
    tmp_path: Path, tiny_log: EventLog, attention: Literal["dot", "mlp"]
) -> None:
    plan = plan_for(tiny_log, attention)
    release = dataclasses.replace(release_for(tiny_log, plan, seed=3), version=7)
    save_release(tmp_path, release, plan)
    back, same_plan = load_release(tmp_path)
    assert same_plan == plan
    assert back.version == 7
    assert not back.backbone.training
    for found, expected in zip(outputs(back, tiny_log), outputs(release, tiny_log), strict=True):
        assert torch.equal(found, expected)


def test_the_same_seed_makes_the_same_release_and_leaves_the_global_generator_alone(
    tiny_log: EventLog,
) -> None:
    plan = plan_for(tiny_log)
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    one, other, third = (outputs(release_for(tiny_log, plan, seed), tiny_log) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one[0], other[0])
    assert not torch.equal(one[0], third[0])


@pytest.mark.parametrize("taken", ["release.json", "release.safetensors"])
def test_a_folder_with_one_of_the_two_files_is_refused(
    tmp_path: Path, tiny_log: EventLog, taken: str
) -> None:
    plan = plan_for(tiny_log)
    save_release(tmp_path, release_for(tiny_log, plan), plan)
    (tmp_path / taken).unlink()
    with pytest.raises(CheckpointError, match=tmp_path.name):
        load_release(tmp_path)


@pytest.mark.parametrize("other", ["log", "shape", "version", "bound"])
def test_two_files_that_do_not_belong_together_are_refused(
    tmp_path: Path, tiny_log: EventLog, other: str
) -> None:
    plan = plan_for(tiny_log)
    release = release_for(tiny_log, plan)
    save_release(tmp_path / "one", release, plan)
    if other == "log":
        plan = msgspec.structs.replace(plan, data_checksum="of another log")
    if other == "shape":
        plan = plan_for(tiny_log, width=6)
        release = release_for(tiny_log, plan)
    if other == "version":
        release = dataclasses.replace(release, version=1)
    if other == "bound":
        plan = msgspec.structs.replace(plan, basis=msgspec.structs.replace(plan.basis, bound=0.123))
    save_release(tmp_path / "other", release, plan)
    shutil.copy(tmp_path / "other" / "release.json", tmp_path / "one" / "release.json")
    with pytest.raises(CheckpointError, match="one"):
        load_release(tmp_path / "one")


def test_a_damaged_description_is_refused(tmp_path: Path, tiny_log: EventLog) -> None:
    plan = plan_for(tiny_log)
    save_release(tmp_path, release_for(tiny_log, plan), plan)
    whole = read_json(tmp_path / "release.json")
    unknown = {**whole, "blueprint": {**whole["blueprint"], "colour": "red"}}
    for broken in ([], "text", {"version": 0}, unknown):
        write_json(tmp_path / "release.json", broken)
        with pytest.raises(CheckpointError, match="holds no release"):
            load_release(tmp_path)
