"""The fit of a basis on a tiny world: what is computed once, what learns, and that adapting helps."""

import itertools
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dccl.data.episodes import later_part, random_windows
from dccl.data.log import EventLog
from dccl.method.losses import pointwise_cross_entropy
from dccl.models.contract import Backbone
from dccl.models.din import Din, DinConfig
from dccl.train.backbone import BackboneFitConfig, fit_backbone
from dccl.train.basis import (
    BasisConfig,
    basis_task,
    calibrate,
    device_loss,
    meta_loss,
    new_basis,
    scored_once,
)
from dccl.train.batches import BatchSource, TrainBatch
from dccl.train.loop import LoopConfig, fit

pytestmark = pytest.mark.usefixtures("one_thread")

HISTORY = 10
JUNCTIONS = ("target", "history", "interest", "hidden1", "hidden2")
SUBSETS = [subset for size in (1, 2, 5) for subset in itertools.combinations(JUNCTIONS, size)]


@pytest.fixture(scope="module")
def fitted(tiny_log: EventLog) -> Din:
    """A DIN that knows the tiny world a little; do not change it."""
    torch.manual_seed(0)
    din = Din(
        DinConfig(width=16, hidden=(32, 16), dropout=0.0),
        torch.from_numpy(tiny_log.categories),
        tiny_log.num_categories,
        tiny_log.profile_sizes,
        HISTORY,
    )
    config = BackboneFitConfig(
        loop=LoopConfig(epochs=12, learning_rate=0.02, decay=False),
        batch_size=16,
        scored_events=20,
        compile="off",
    )
    fit_backbone(din, BatchSource(tiny_log, HISTORY, 4), config, iter(range(99)).__next__, seed=0)
    return din.requires_grad_(False)


def config_of(
    junctions: tuple[str, ...] = ("interest", "hidden1", "hidden2"),
    method: Literal["meta", "joint"] = "meta",
    epochs: int = 4,
) -> BasisConfig:
    return BasisConfig(
        junctions=junctions,
        surrogate_width=6,
        rank=3,
        steps=2,
        first_step=0.2,
        bound=2.0,
        prior_samples=5.0,
        method=method,
        loop=LoopConfig(epochs=epochs, patience=9, learning_rate=0.02),
        batch_size=20,
        local_events=16,
        fewest_events=4,
        query_share=0.25,
        num_negatives=4,
    )


def episodes(log: EventLog, seed: int) -> TrainBatch:
    rng = np.random.default_rng(seed)
    windows = random_windows(log, np.arange(log.num_users), HISTORY, 16, 4, rng)
    return BatchSource(log, HISTORY, 4).batch(windows, rng)


def climbing() -> Callable[[], float]:
    return iter(range(1000)).__next__


def bits_of(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def same_bits(module: nn.Module, bits: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, bits[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("junctions", SUBSETS, ids=lambda subset: "+".join(subset))
def test_what_is_computed_once_equals_the_whole_forward_pass_under_every_patch(
    fitted: Din, tiny_log: EventLog, junctions: tuple[str, ...]
) -> None:
    """Devices train on the one and are served by the other."""
    batch = episodes(tiny_log, 0)
    basis = new_basis(fitted, config_of(junctions), seed=1)
    patch = basis.patch(torch.linspace(-1, 1, len(batch.user) * 6).view(-1, 6))
    with torch.no_grad():
        logits = scored_once(fitted, batch, junctions)
        whole = fitted(fitted.look_up(batch.codes), patch)
        torch.testing.assert_close(logits(patch), whole, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(logits(None), whole, atol=1e-3)


def test_the_work_below_the_patches_is_done_once_however_many_steps_follow(
    fitted: Din, tiny_log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooled: list[int] = []
    pool = fitted.pool
    monkeypatch.setattr(fitted, "pool", lambda *given: (pooled.append(1), pool(*given))[1])
    batch, basis = episodes(tiny_log, 0), new_basis(fitted, config_of(), seed=1)
    for junctions, times in ((("interest", "hidden1"), 1), (("target",), 3)):
        pooled.clear()
        logits = scored_once(fitted, batch, junctions)
        for _ in range(3):
            logits(basis.patch(torch.zeros(len(batch.user), 6)))
        assert len(pooled) == times


def test_a_devices_loss_is_its_own_events_loss_with_the_prior_counted_in(
    fitted: Din, tiny_log: EventLog
) -> None:
    batch, basis = episodes(tiny_log, 0), new_basis(fitted, config_of(), seed=1)
    surrogate = torch.linspace(-1, 1, len(batch.user) * 6).view(-1, 6)
    logits = scored_once(fitted, batch, ("interest", "hidden1", "hidden2"))
    found = device_loss(basis, logits, batch.labels, batch.weights, 5.0)(surrogate)
    with torch.no_grad():
        every = pointwise_cross_entropy(logits(basis.patch(surrogate)), batch.labels).double()
        for row in range(len(batch.user)):
            own = every[row][batch.weights[row] > 0]
            assert found[row].item() == pytest.approx(float(own.sum()) / (len(own) + 5.0), rel=1e-4)


def test_the_median_device_first_steps_as_far_as_it_is_told(fitted: Din, tiny_log: EventLog) -> None:
    config = config_of()
    basis = new_basis(fitted, config, seed=1)
    source = BatchSource(tiny_log, HISTORY, 4)
    calibrate(fitted, basis, source, config, seed=0)
    batch = episodes(tiny_log, 5)
    loss = device_loss(basis, scored_once(fitted, batch, config.junctions), batch.labels, batch.weights, 5.0)
    start = torch.zeros(len(batch.user), 6, requires_grad=True)
    (gradients,) = torch.autograd.grad(loss(start).sum(), start)
    steps = (basis.step_sizes()[0] * gradients).norm(dim=1)
    # Other episodes than those that it looked at: near, not equal.
    assert steps.median().item() == pytest.approx(0.2, rel=0.3)


def query_losses(
    fitted: Backbone, basis: nn.Module, log: EventLog, config: BasisConfig
) -> tuple[float, float]:
    """Mean loss on later events: adapted on the earlier ones, and not adapted."""
    adapted, plain = [], []
    for seed in range(100, 108):
        batch = episodes(log, seed)
        adapted.append(meta_loss(fitted, basis, batch, config).item())  # type: ignore[arg-type]
        late = later_part(batch.weights[:, :, 0].numpy() > 0, config.query_share)[:, :, None]
        kept = (batch.weights.numpy() > 0) & late
        with torch.no_grad():
            losses = pointwise_cross_entropy(fitted(fitted.look_up(batch.codes)), batch.labels)
        plain.append(float(losses[torch.from_numpy(kept)].mean()))
    return float(np.mean(adapted)), float(np.mean(plain))


def test_meta_learning_makes_a_few_local_steps_help_on_later_events(fitted: Din, tiny_log: EventLog) -> None:
    config = config_of(epochs=25)
    basis = new_basis(fitted, config, seed=1)
    source = BatchSource(tiny_log, HISTORY, 4)
    calibrate(fitted, basis, source, config, seed=0)
    untrained, cloud = query_losses(fitted, basis, tiny_log, config)
    before = bits_of(fitted)
    fit(basis_task(fitted, basis, source, config, climbing()), config.loop, seed=0)
    trained, same_cloud = query_losses(fitted, basis, tiny_log, config)
    assert same_cloud == cloud
    assert trained < cloud - 0.003
    assert trained < untrained - 0.003
    assert same_bits(fitted, before)


def test_the_query_loss_of_steps_that_go_nowhere_is_that_of_the_cloud_model(
    fitted: Din, tiny_log: EventLog
) -> None:
    config = config_of()
    basis = new_basis(fitted, config, seed=1)
    with torch.no_grad():
        basis.log_step_sizes.fill_(-40.0)
    adapted, cloud = query_losses(fitted, basis, tiny_log, config)
    assert adapted == pytest.approx(cloud, rel=1e-5)


def test_held_back_events_do_not_teach_the_surrogate(fitted: Din, tiny_log: EventLog) -> None:
    """Other labels for the later events change how a patch is judged, but not what it is."""
    config = config_of()
    basis = new_basis(fitted, config, seed=1)
    batch = episodes(tiny_log, 3)
    late = torch.from_numpy(later_part(batch.weights[:, :, 0].numpy() > 0, 0.25))[:, :, None]
    swapped = TrainBatch(
        batch.codes, torch.where(late, 1 - batch.labels, batch.labels), batch.weights, batch.user
    )
    loss, other = (meta_loss(fitted, basis, each, config) for each in (batch, swapped))
    logits = []
    for each in (batch, swapped):
        captured: list[Tensor] = []

        def patch(surrogate: Tensor, seen: list[Tensor] = captured) -> Callable[[str, Tensor], Tensor]:
            seen.append(surrogate.detach())
            return type(basis).patch(basis, surrogate)

        basis.patch = patch  # type: ignore[method-assign, assignment]
        meta_loss(fitted, basis, each, config)
        del basis.patch
        logits.append(captured[-1])
    assert torch.equal(logits[0], logits[1])
    assert logits[0].abs().max() > 0
    assert loss.item() != pytest.approx(other.item())


def test_the_joint_fit_lowers_the_training_loss_and_leaves_the_backbone_alone(
    fitted: Din, tiny_log: EventLog
) -> None:
    config = config_of(method="joint", epochs=12)
    basis = new_basis(fitted, config, seed=1)
    before, theta = bits_of(fitted), bits_of(basis)
    source = BatchSource(tiny_log, HISTORY, 4)
    task = basis_task(fitted, basis, source, config, climbing())
    surrogates = task.module.get_submodule("surrogates").get_parameter("weight")
    assert not surrogates.any()
    curve = fit(task, config.loop, seed=0)
    assert curve[-1].train_loss < curve[1].train_loss - 0.01
    assert same_bits(fitted, before)
    assert not same_bits(basis, theta)
    assert (surrogates.norm(dim=1) > 0).all()
