"""The leak canary for the whole chain: backbone, basis and devices learn nothing about random events.

Every user meets items drawn uniformly at random, so whoever ranks the next one better than chance has seen it. The
control lets the held-out events into the training log, to show that the canary can sing. (That a model also learns
held-out items by their absence from the negatives is tested on free parameters, where it shows: tests/evaluate.)
"""

import math

import numpy as np
import pytest
import torch

from dccl.data.log import EventLog, build_log
from dccl.data.negatives import draw_negatives
from dccl.data.split import Split, leave_one_out, train_only
from dccl.device.guard import GuardConfig
from dccl.evaluate.metrics import hit_rate
from dccl.evaluate.ranking import places
from dccl.fleet.batched import personalise_fleet
from dccl.fleet.scoring import Patches, Ranker
from dccl.models.din import DinConfig
from dccl.train.backbone import BackboneFitConfig, fit_backbone
from dccl.train.basis import BasisConfig, basis_task, calibrate
from dccl.train.batches import BatchSource
from dccl.train.loop import LoopConfig, fit
from dccl.train.release import Release, blueprint, new_release

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_USERS, NUM_ITEMS, NUM_EVENTS, HISTORY = 150, 116, 14, 12
BASIS = BasisConfig(
    junctions=("target", "interest", "hidden1", "hidden2"),
    surrogate_width=64,
    rank=8,
    steps=8,
    first_step=0.3,
    bound=20.0,
    prior_samples=0.0,
    method="joint",
    loop=LoopConfig(epochs=40, patience=99, learning_rate=0.01),
    batch_size=32,
    local_events=16,
    fewest_events=4,
    num_negatives=8,
)


def random_log() -> EventLog:
    """Fourteen different items for everybody, drawn uniformly."""
    rng = np.random.default_rng(3)
    items = np.concatenate([rng.permutation(NUM_ITEMS)[:NUM_EVENTS] + 1 for _ in range(NUM_USERS)])
    return build_log(
        name="random",
        items=items,
        offsets=np.arange(NUM_USERS + 1) * NUM_EVENTS,
        user_ids=[str(u) for u in range(NUM_USERS)],
        item_ids=["", *(str(i) for i in range(1, NUM_ITEMS + 1))],
    )


def fitted(source: BatchSource) -> tuple[Release, torch.Tensor]:
    """A release, and the surrogates that the joint fit gave its users."""
    plan = blueprint(source.log, DinConfig(width=32, hidden=(64, 32), dropout=0.0), BASIS, 8, HISTORY)
    release = new_release(plan, source.log.categories, 0)
    config = BackboneFitConfig(
        loop=LoopConfig(epochs=50, patience=99, learning_rate=0.01),
        batch_size=32,
        scored_events=12,
        compile="off",
    )
    climbing = iter(range(1000)).__next__
    fit_backbone(release.backbone, source, config, climbing, seed=0)
    release.backbone.requires_grad_(False)
    calibrate(release.backbone, release.basis, source, BASIS, seed=0)
    task = basis_task(release.backbone, release.basis, source, BASIS, climbing)
    fit(task, BASIS.loop, seed=0)
    return release, task.module.get_parameter("surrogates.weight").detach()


def found(release: Release, train: EventLog, split: Split, log: EventLog, surrogates: torch.Tensor) -> float:
    """HR@10 of the test items among 100 negatives each, over validation and test."""
    negatives = draw_negatives(log, split, num=100, seed=1)
    ranker = Ranker(release.backbone, train, HISTORY, Patches(release.basis, surrogates))
    hits = []
    for positives, others in ((split.test, negatives.test), (split.validation, negatives.validation)):
        scores = ranker.scores(split.users, np.concatenate([positives[:, None], others], axis=1))
        hits.append(hit_rate(places(scores[:, 0], scores[:, 1:]), 10).mean())
    return float(np.mean(hits))


@pytest.mark.slow
@pytest.mark.parametrize("leaky", [False, True])
def test_the_whole_chain_stays_at_chance_on_random_events_unless_held_out_events_leak(leaky: bool) -> None:
    log = random_log()
    split = leave_one_out(log)
    train = train_only(log, split)
    source = BatchSource(log if leaky else train, HISTORY, 8)
    release, joint = fitted(source)
    fleet = personalise_fleet(
        release.backbone, release.basis, source, BASIS, GuardConfig(enabled=False), seed=5
    )
    assert fleet.serving.all()
    assert fleet.median_norm() > 0.3
    by_fit = found(release, train, split, log, joint)
    on_devices = found(release, train, split, log, fleet.served())
    chance = 10 / 101
    # Validation and test of one user are two draws; five standard deviations.
    allowed = 5 * math.sqrt(chance * (1 - chance) / (2 * NUM_USERS))
    if leaky:
        assert by_fit > chance + 2 * allowed
    else:
        assert abs(by_fit - chance) < allowed
        assert abs(on_devices - chance) < allowed
