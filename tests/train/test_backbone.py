"""The fit of a backbone on a tiny world."""

import shutil
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dccl.data.log import EventLog
from dccl.data.windows import all_windows
from dccl.method.losses import pointwise_cross_entropy
from dccl.models.din import Din, DinConfig
from dccl.train.backbone import BackboneFitConfig, backbone_task, fit_backbone
from dccl.train.batches import BatchSource, TrainBatch
from dccl.train.loop import LoopConfig

pytestmark = pytest.mark.usefixtures("one_thread")


def new_din(log: EventLog, dropout: float = 0.0) -> Din:
    torch.manual_seed(0)
    return Din(
        DinConfig(width=16, hidden=(32, 16), dropout=dropout),
        torch.from_numpy(log.categories),
        log.num_categories,
        log.profile_sizes,
        10,
    )


def climbing() -> Callable[[], float]:
    """A validation that likes every epoch better than the last."""
    return iter(range(1000)).__next__


def test_din_learns_a_tiny_world_by_heart(tiny_log: EventLog) -> None:
    config = BackboneFitConfig(
        loop=LoopConfig(epochs=40, learning_rate=0.01, decay=False),
        batch_size=16,
        scored_events=20,
        compile="off",
    )
    curve = fit_backbone(new_din(tiny_log), BatchSource(tiny_log, 10, 4), config, climbing(), seed=0)
    losses = [point.train_loss for point in curve[1:]]
    # 5 candidates, one of which is right: whoever knows only that has a loss of 0.5004.
    ignorant = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    assert losses[-1] < 0.75 * ignorant
    assert losses[-1] < 0.8 * losses[0]


def first_batch(log: EventLog) -> TrainBatch:
    return BatchSource(log, 10, 4).batch(all_windows(log, 10, 20)[:9], np.random.default_rng(1))


def test_the_loss_is_the_mean_over_the_batchs_candidates_and_not_over_its_users(tiny_log: EventLog) -> None:
    din, batch = new_din(tiny_log), first_batch(tiny_log)
    task = backbone_task(din, BatchSource(tiny_log, 10, 4), BackboneFitConfig(compile="off"), lambda: 0.0)
    with torch.no_grad():
        losses = pointwise_cross_entropy(din(din.look_up(batch.codes)), batch.labels).double()
        found = task.loss(batch).item()
    kept = batch.weights > 0
    assert found == pytest.approx(losses[kept].mean().item(), rel=1e-5)


def test_an_epoch_scores_every_event_of_the_log_once(tiny_log: EventLog) -> None:
    config = BackboneFitConfig(batch_size=7, scored_events=6, compile="off")
    task = backbone_task(new_din(tiny_log), BatchSource(tiny_log, 10, 2), config, lambda: 0.0)
    batches = list(task.batches(np.random.default_rng(0)))
    assert max(len(batch.user) for batch in batches) == 7
    events = sorted(
        (int(user), int(item))
        for batch in batches
        for user, row in zip(batch.user, batch.codes.candidates[:, :, 0], strict=True)
        for item in row[row > 0]
    )
    users = np.repeat(np.arange(tiny_log.num_users), np.diff(tiny_log.offsets))
    assert events == sorted(zip(users.tolist(), tiny_log.items.tolist(), strict=True))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_compiled_equals_eager(tiny_log: EventLog) -> None:
    din, batch = new_din(tiny_log), first_batch(tiny_log)
    source, gradients, losses = BatchSource(tiny_log, 10, 4), [], []
    for compiled in ("off", "on"):
        task = backbone_task(din, source, BackboneFitConfig(compile=compiled), lambda: 0.0)
        din.zero_grad()
        loss = task.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.item())
        gradients.append({key: p.grad.clone() for key, p in din.named_parameters() if p.grad is not None})
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert gradients[0].keys() == gradients[1].keys()
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, atol=1e-5, rtol=1e-4)
