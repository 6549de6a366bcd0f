"""Many devices at once do what each would do alone, and each on its own events only."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from dccl.data.episodes import later_part
from dccl.data.log import EventLog, build_log
from dccl.data.windows import latest_windows
from dccl.device.guard import GuardConfig, serves
from dccl.fleet.batched import personalise_fleet, train_devices
from dccl.method.losses import pointwise_cross_entropy
from dccl.models.contract import Codes
from dccl.models.din import DinConfig
from dccl.train.basis import BasisConfig
from dccl.train.batches import BatchSource, TrainBatch
from dccl.train.release import Release, blueprint, new_release

pytestmark = pytest.mark.usefixtures("one_thread")

HISTORY, WIDTH = 10, 6
GUARD, UNGUARDED = (
    GuardConfig(enabled=True, held_back_share=0.25, fewest_held_back=1),
    GuardConfig(enabled=False),
)


def config_of(batch_size: int = 16, bound: float = 2.0) -> BasisConfig:
    return BasisConfig(
        junctions=("interest", "hidden1", "hidden2"),
        surrogate_width=WIDTH,
        rank=3,
        steps=3,
        bound=bound,
        prior_samples=5.0,
        batch_size=batch_size,
        local_events=16,
        num_negatives=4,
    )


def release_for(log: EventLog) -> Release:
    """Untrained, but loud and with the right share of positives: patches move the logits, and some do harm."""
    plan = blueprint(log, DinConfig(width=8, hidden=(16, 8)), config_of(), 8, HISTORY)
    made = new_release(plan, log.categories, 0)
    made.backbone.eval().requires_grad_(False)
    with torch.no_grad():
        made.backbone.out.weight.mul_(30)
        made.backbone.out.bias.fill_(-1.2)
        made.basis.log_step_sizes.fill_(0.0)
    made.basis.requires_grad_(False)
    return made


@pytest.fixture(scope="module")
def release(tiny_log: EventLog) -> Release:
    return release_for(tiny_log)


@pytest.fixture(scope="module")
def batch(tiny_log: EventLog) -> TrainBatch:
    windows = latest_windows(tiny_log, np.arange(20), HISTORY, 16)
    return BatchSource(tiny_log, HISTORY, 4).batch(windows, np.random.default_rng(0))


def rows_of(batch: TrainBatch, rows: slice) -> TrainBatch:
    codes = Codes(*(part[rows] for part in batch.codes))
    return TrainBatch(codes, batch.labels[rows], batch.weights[rows], batch.user[rows])


def train(release: Release, batch: TrainBatch, guard: GuardConfig = GUARD) -> tuple[Tensor, np.ndarray]:
    return train_devices(release.backbone, release.basis, batch, config_of(), guard)


def test_devices_trained_together_equal_each_trained_alone(release: Release, batch: TrainBatch) -> None:
    together, passed = train(release, batch)
    assert (together.norm(dim=1) > 0.01).all()
    assert 0 < passed.sum() < len(passed)
    for row in range(20):
        alone, alone_passed = train(release, rows_of(batch, slice(row, row + 1)))
        torch.testing.assert_close(alone[0], together[row], rtol=1e-3, atol=1e-5)
        assert alone_passed[0] == passed[row]


def test_what_another_device_met_changes_nothing_for_this_one(release: Release, batch: TrainBatch) -> None:
    history, candidates = batch.codes.history.clone(), batch.codes.candidates.clone()
    history[3], candidates[3] = history[3] % 80 + 1, candidates[3].flip(-1)
    codes = batch.codes._replace(history=history, candidates=candidates)
    before, _ = train(release, batch)
    after, _ = train(release, dataclasses.replace(batch, codes=codes))
    others = [row for row in range(20) if row != 3]
    assert torch.equal(after[others], before[others])
    assert not torch.allclose(after[3], before[3], atol=1e-4)


def with_items_changed(log: EventLog, user: int) -> EventLog:
    """The log in which `user` met each time the next item of the catalogue."""
    items = np.array(log.items)
    own = slice(log.offsets[user], log.offsets[user + 1])
    items[own] = items[own] % log.num_items + 1
    return dataclasses.replace(log, items=items)


def test_through_the_whole_fleet_only_the_own_events_matter(release: Release, tiny_log: EventLog) -> None:
    """One device a batch, so that every device draws its own negatives."""
    results = [
        personalise_fleet(
            release.backbone, release.basis, BatchSource(log, HISTORY, 4), config_of(1), GUARD, seed=3
        )
        for log in (tiny_log, with_items_changed(tiny_log, 7))
    ]
    changed = (results[0].surrogates != results[1].surrogates).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [7]
    others = np.arange(60) != 7
    assert np.array_equal(results[0].serving[others], results[1].serving[others])


def test_the_guard_judges_a_patch_trained_on_the_earlier_events_on_the_later_ones(
    release: Release, batch: TrainBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written out: train without the later events, score everything by the whole forward pass, take the means."""
    late = torch.from_numpy(later_part(batch.weights[:, :, 0].numpy() > 0, 0.25))[:, :, None]
    earlier = dataclasses.replace(batch, weights=batch.weights * ~late)
    trial, _ = train(release, earlier, UNGUARDED)
    expected = []
    for patch in (None, release.basis.patch(trial)):
        with torch.no_grad():
            logits = release.backbone(release.backbone.look_up(batch.codes), patch)
        every = pointwise_cross_entropy(logits, batch.labels).double()
        kept = (batch.weights > 0) & late
        expected.append([float(every[row][kept[row]].mean()) for row in range(20)])
    asked: list[tuple[np.ndarray, np.ndarray, np.ndarray, GuardConfig]] = []
    monkeypatch.setattr("dccl.fleet.batched.serves", lambda *given: (asked.append(given), serves(*given))[1])
    _, passed = train(release, batch)
    ((cloud, patched, held_back, config),) = asked
    np.testing.assert_allclose(cloud, expected[0], rtol=1e-4)
    np.testing.assert_allclose(patched, expected[1], rtol=1e-3)
    assert held_back.tolist() == late[:, :, 0].sum(1).tolist()
    assert config == GUARD
    assert np.array_equal(passed, serves(cloud, patched, held_back, config))
    assert 0 < passed.sum() < 20


def test_a_served_patch_is_trained_on_all_events_guard_or_not(release: Release, batch: TrainBatch) -> None:
    guarded, _ = train(release, batch)
    free, everybody = train(release, batch, UNGUARDED)
    assert torch.equal(guarded, free)
    assert everybody.all()


def test_steps_that_go_nowhere_leave_every_device_on_the_cloud_model(
    tiny_log: EventLog, batch: TrainBatch
) -> None:
    still = release_for(tiny_log)
    with torch.no_grad():
        still.basis.log_step_sizes.fill_(-80.0)
    _, passed = train(still, batch)
    assert not passed.any()


def test_a_patch_that_became_nan_is_never_served(tiny_log: EventLog, batch: TrainBatch) -> None:
    broken = release_for(tiny_log)
    with torch.no_grad():
        broken.basis.theta["hidden1"][0, 0] = float("nan")
    for guard in (GUARD, UNGUARDED):
        _, passed = train(broken, batch, guard)
        assert not passed.any()


def test_surrogates_stay_within_the_bound_whatever_the_step_sizes(
    tiny_log: EventLog, batch: TrainBatch
) -> None:
    wild = release_for(tiny_log)
    with torch.no_grad():
        wild.basis.log_step_sizes.fill_(9.0)
    trained, _ = train_devices(wild.backbone, wild.basis, batch, config_of(bound=0.7), GUARD)
    assert trained.norm(dim=1).max() <= 0.7 * (1 + 1e-5)
    assert trained.norm(dim=1).max() > 0.3


def test_users_with_one_event_or_none_stay_on_the_cloud_model() -> None:
    counts = [1, 6, 0, 2, 1]
    log = build_log(
        name="short",
        items=np.arange(sum(counts)) + 1,
        offsets=np.cumsum([0, *counts]),
        user_ids=[str(u) for u in range(5)],
        item_ids=["", *(str(i) for i in range(1, 41))],
    )
    made = release_for(log)
    source = BatchSource(log, HISTORY, 4)
    fleet = personalise_fleet(made.backbone, made.basis, source, config_of(), UNGUARDED, seed=0)
    assert fleet.serving.tolist() == [False, True, False, True, False]
    assert fleet.surrogates.any(axis=1).tolist() == fleet.serving.tolist()
    nobody = personalise_fleet(
        made.backbone, made.basis, source, config_of(), GUARD, seed=0, users=np.array([0, 2])
    )
    assert not nobody.serving.any()


def test_only_the_named_users_train_and_progress_reaches_their_number(
    release: Release, tiny_log: EventLog
) -> None:
    told: list[tuple[int, int]] = []
    users = np.array([3, 8, 50])
    fleet = personalise_fleet(
        release.backbone,
        release.basis,
        BatchSource(tiny_log, HISTORY, 4),
        config_of(2),
        UNGUARDED,
        seed=0,
        users=users,
        progress=lambda what, done, total, remark: told.append((done, total)),
    )
    assert np.flatnonzero(fleet.surrogates.any(axis=1)).tolist() == users.tolist()
    assert told == [(2, 3), (3, 3)]


def test_the_same_seed_gives_the_same_fleet(release: Release, tiny_log: EventLog) -> None:
    source = BatchSource(tiny_log, HISTORY, 4)
    one, other, third = (
        personalise_fleet(release.backbone, release.basis, source, config_of(), GUARD, seed)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one.surrogates, other.surrogates)
    assert np.array_equal(one.serving, other.serving)
    assert not np.array_equal(one.surrogates, third.surrogates)


def test_devices_of_different_batches_draw_different_negatives() -> None:
    log = build_log(
        name="twins",
        items=[1, 2, 3, 4, 5, 6] * 2,
        offsets=[0, 6, 12],
        user_ids=["one", "other"],
        item_ids=["", *(str(i) for i in range(1, 41))],
    )
    made = release_for(log)
    source = BatchSource(log, HISTORY, 4)
    fleet = personalise_fleet(made.backbone, made.basis, source, config_of(1), UNGUARDED, seed=0)
    assert not np.array_equal(fleet.surrogates[0], fleet.surrogates[1])


def test_training_a_fleet_changes_nothing_of_the_release(tiny_log: EventLog) -> None:
    made = release_for(tiny_log)
    before = [p.clone() for module in (made.backbone, made.basis) for p in module.state_dict().values()]
    source = BatchSource(tiny_log, HISTORY, 4)
    personalise_fleet(made.backbone, made.basis, source, config_of(), GUARD, seed=0)
    after = [p for module in (made.backbone, made.basis) for p in module.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
