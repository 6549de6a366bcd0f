"""MoMoDistill as fits: who learns, who does not, and from whom."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dccl.data.log import EventLog
from dccl.data.windows import all_windows
from dccl.method.losses import bernoulli_divergence
from dccl.models.din import DinConfig
from dccl.train.basis import BasisConfig
from dccl.train.batches import BatchSource, TrainBatch
from dccl.train.distil import (
    BasisAndEncoder,
    DistilConfig,
    Teachers,
    backbone_distil_task,
    basis_distil_task,
)
from dccl.train.loop import LoopConfig, fit
from dccl.train.release import Release, blueprint, new_release

pytestmark = pytest.mark.usefixtures("one_thread")

HISTORY, WIDTH = 10, 6
BASIS = BasisConfig(
    junctions=("interest", "hidden1", "hidden2"),
    surrogate_width=WIDTH,
    rank=3,
    steps=2,
    bound=2.0,
    batch_size=20,
    local_events=16,
    fewest_events=4,
)


@pytest.fixture
def release(tiny_log: EventLog) -> Release:
    plan = blueprint(tiny_log, DinConfig(width=8, hidden=(16, 8)), BASIS, 12, HISTORY)
    made = new_release(plan, tiny_log.categories, 0)
    made.backbone.eval()
    return made


@pytest.fixture
def surrogates(tiny_log: EventLog) -> Tensor:
    """Every second device has a patch; the others serve the cloud model."""
    drawn = torch.randn(tiny_log.num_users, WIDTH, generator=torch.Generator().manual_seed(1))
    drawn[::2] = 0.0
    return drawn


def some_batch(log: EventLog) -> TrainBatch:
    return BatchSource(log, HISTORY, 4).batch(all_windows(log, HISTORY, 16), np.random.default_rng(0))


def climbing() -> Callable[[], float]:
    return iter(range(1000)).__next__


def distil_config(beta: float = 1.0, meta_weight: float = 1.0, epochs: int = 2) -> DistilConfig:
    loop = LoopConfig(epochs=epochs, patience=9, learning_rate=0.01)
    return DistilConfig(beta=beta, meta_weight=meta_weight, backbone=loop, basis=loop)


def bits_of(*modules: nn.Module) -> list[Tensor]:
    return [value.clone() for module in modules for value in module.state_dict().values()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_each_sample_is_taught_by_the_model_of_its_own_device(
    release: Release, surrogates: Tensor, tiny_log: EventLog
) -> None:
    batch = some_batch(tiny_log)
    taught = Teachers(release.backbone, release.basis, surrogates).logits(batch)
    assert not taught.requires_grad
    with torch.no_grad():
        inputs = release.backbone.look_up(batch.codes)
        plain = release.backbone(inputs)
        for row, user in enumerate(batch.user.tolist()):
            patch = release.basis.patch(surrogates[user].expand(len(batch.user), -1))
            expected = release.backbone(inputs, patch)[row]
            torch.testing.assert_close(taught[row], expected, rtol=1e-4, atol=1e-5)
            assert torch.equal(taught[row], plain[row]) == (user % 2 == 0)


def test_teachers_stay_as_they_were_while_their_backbone_and_basis_learn(
    release: Release, surrogates: Tensor, tiny_log: EventLog
) -> None:
    batch, teachers = some_batch(tiny_log), Teachers(release.backbone, release.basis, surrogates)
    before = teachers.logits(batch)
    source, config = BatchSource(tiny_log, HISTORY, 4), distil_config()
    task = backbone_distil_task(release.backbone, teachers, source, config, 16, 16, climbing())
    fit(task, config.backbone, 0)
    learning = BasisAndEncoder(release.basis, release.encoder)
    second = basis_distil_task(release.backbone, learning, teachers, source, config, BASIS, climbing())
    fit(second, config.basis, 0)
    assert torch.equal(teachers.logits(batch), before)
    assert not torch.equal(Teachers(release.backbone, release.basis, surrogates).logits(batch), before)


def test_teachers_do_not_drop_out_though_the_release_is_in_training(
    release: Release, surrogates: Tensor, tiny_log: EventLog
) -> None:
    release.backbone.train()
    teachers, batch = Teachers(release.backbone, release.basis, surrogates), some_batch(tiny_log)
    assert torch.equal(teachers.logits(batch), teachers.logits(batch))
    assert release.backbone.training


def test_phase_1_changes_the_backbone_alone(release: Release, surrogates: Tensor, tiny_log: EventLog) -> None:
    others, backbone = bits_of(release.basis, release.encoder), bits_of(release.backbone)
    teachers = Teachers(release.backbone, release.basis, surrogates)
    config, taught = distil_config(), surrogates.clone()
    task = backbone_distil_task(
        release.backbone, teachers, BatchSource(tiny_log, HISTORY, 4), config, 16, 16, climbing()
    )
    fit(task, config.backbone, 0)
    assert same(bits_of(release.basis, release.encoder), others)
    assert torch.equal(teachers.surrogates, taught)
    assert not same(bits_of(release.backbone), backbone)


@pytest.mark.parametrize("meta_weight", [0.0, 1.0])
def test_phase_2_changes_basis_and_encoder_and_not_one_bit_of_the_backbone(
    release: Release, surrogates: Tensor, tiny_log: EventLog, meta_weight: float
) -> None:
    backbone, basis, encoder = (bits_of(part) for part in (release.backbone, release.basis, release.encoder))
    teachers, config = Teachers(release.backbone, release.basis, surrogates), distil_config(1.0, meta_weight)
    learning = BasisAndEncoder(release.basis, release.encoder)
    task = basis_distil_task(
        release.backbone, learning, teachers, BatchSource(tiny_log, HISTORY, 4), config, BASIS, climbing()
    )
    fit(task, config.basis, 0)
    assert same(bits_of(release.backbone), backbone)
    assert not release.backbone.training
    assert not same(bits_of(release.basis), basis)
    assert not same(bits_of(release.encoder), encoder)


def test_phase_1_with_a_large_beta_brings_the_backbone_nearer_to_its_devices(
    release: Release, surrogates: Tensor, tiny_log: EventLog
) -> None:
    batch, teachers = some_batch(tiny_log), Teachers(release.backbone, release.basis, surrogates)
    kept = batch.weights > 0

    def distance() -> float:
        with torch.no_grad():
            logits = release.backbone(release.backbone.look_up(batch.codes))
            return float(bernoulli_divergence(teachers.logits(batch), logits)[kept].mean())

    before, config = distance(), distil_config(beta=100.0, epochs=4)
    source = BatchSource(tiny_log, HISTORY, 4)
    fit(
        backbone_distil_task(release.backbone, teachers, source, config, 16, 16, climbing()),
        config.backbone,
        0,
    )
    assert distance() < 0.8 * before


def test_phase_2_with_a_large_beta_brings_the_proxies_nearer_to_their_devices(
    release: Release, surrogates: Tensor, tiny_log: EventLog
) -> None:
    batch, teachers = some_batch(tiny_log), Teachers(release.backbone, release.basis, surrogates)
    kept = batch.weights > 0
    # The encoder passes small surrogates on as they are; disturb it, so that there is something to mend.
    with torch.no_grad():
        release.encoder.outer.mul_(-0.5)

    def distance() -> float:
        with torch.no_grad():
            inputs = release.backbone.look_up(batch.codes)
            encoded = release.encoder(surrogates[batch.user], inputs.profile)
            logits = release.backbone(inputs, release.basis.patch(encoded))
            return float(bernoulli_divergence(teachers.logits(batch), logits)[kept].mean())

    before, config = distance(), distil_config(beta=100.0, meta_weight=0.0, epochs=6)
    learning = BasisAndEncoder(release.basis, release.encoder)
    source = BatchSource(tiny_log, HISTORY, 4)
    fit(
        basis_distil_task(release.backbone, learning, teachers, source, config, BASIS, climbing()),
        config.basis,
        0,
    )
    assert distance() < 0.5 * before
