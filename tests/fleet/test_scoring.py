"""Scores for the next event: from the right history, under the right patch, the same by either way."""

import numpy as np
import pytest
import torch

from dccl.data.log import EventLog
from dccl.fleet.scoring import Patches, Ranker
from dccl.models.contract import Codes
from dccl.models.din import DinConfig
from dccl.train.basis import BasisConfig
from dccl.train.release import Release, blueprint, new_release

pytestmark = pytest.mark.usefixtures("one_thread")

HISTORY = 8
USERS = np.array([5, 0, 33, 59])


@pytest.fixture(scope="module")
def release(tiny_log: EventLog) -> Release:
    basis = BasisConfig(junctions=("target", "interest", "hidden1"), surrogate_width=4, rank=2, steps=2)
    plan = blueprint(tiny_log, DinConfig(width=8, hidden=(16, 8)), basis, 8, HISTORY)
    made = new_release(plan, tiny_log.categories, 0)
    made.backbone.eval()
    return made


def candidates(num: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 81, (len(USERS), num)).astype(np.int32)


def surrogates(scale: float) -> torch.Tensor:
    return scale * torch.randn(60, 4, generator=torch.Generator().manual_seed(2))


def test_each_user_is_scored_from_the_last_events_under_the_own_patch(
    release: Release, tiny_log: EventLog
) -> None:
    """One user at a time, the codes written down by hand."""
    drawn = surrogates(1.0)
    ranker = Ranker(release.backbone, tiny_log, HISTORY, Patches(release.basis, drawn))
    found = ranker.scores(USERS, candidates())
    for row, user in enumerate(USERS):
        events = tiny_log.items[tiny_log.offsets[user] : tiny_log.offsets[user + 1]][-HISTORY:]
        ages = np.arange(len(events), 0, -1)
        codes = Codes(
            torch.tensor(events, dtype=torch.int64)[None],
            torch.from_numpy(ages)[None, None],
            torch.from_numpy(candidates()[row].astype(np.int64))[None, None],
            torch.from_numpy(tiny_log.profiles[user].astype(np.int64))[None],
        )
        with torch.no_grad():
            patch = release.basis.patch(drawn[user][None])
            expected = release.backbone(release.backbone.look_up(codes), patch)[0, 0]
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-5)


def test_the_patch_of_a_zero_surrogate_gives_exactly_the_scores_of_the_cloud_model(
    release: Release, tiny_log: EventLog
) -> None:
    plain = Ranker(release.backbone, tiny_log, HISTORY).scores(USERS, candidates())
    patches = [Patches(release.basis, surrogates(scale)) for scale in (0.0, 1.0)]
    zero, one = (Ranker(release.backbone, tiny_log, HISTORY, p).scores(USERS, candidates()) for p in patches)
    assert np.array_equal(zero, plain)
    assert (np.abs(one - plain).max(axis=1) > 1e-4).all()


def test_only_the_user_whose_surrogate_changed_is_scored_otherwise(
    release: Release, tiny_log: EventLog
) -> None:
    one = surrogates(1.0)
    other = one.clone()
    other[33] = -other[33]
    found, changed = (
        Ranker(release.backbone, tiny_log, HISTORY, Patches(release.basis, s)).scores(USERS, candidates())
        for s in (one, other)
    )
    assert (found != changed).any(axis=1).tolist() == [False, False, True, False]


@pytest.mark.parametrize("cells", [1, 200, 100_000])
def test_full_ranking_scores_every_item_as_the_sampled_one_does(
    release: Release, tiny_log: EventLog, cells: int
) -> None:
    ranker = Ranker(release.backbone, tiny_log, HISTORY, Patches(release.basis, surrogates(1.0)))
    parts = list(ranker.full_scores(USERS, cells))
    rows = np.concatenate([part[0] for part in parts])
    whole = np.concatenate([part[1] for part in parts])
    assert rows.tolist() == [0, 1, 2, 3]
    assert whole.shape == (4, 80)
    every = np.tile(np.arange(1, 81), (4, 1))
    np.testing.assert_allclose(whole, ranker.scores(USERS, every), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 256])
def test_the_batch_size_changes_no_score(release: Release, tiny_log: EventLog, size: int) -> None:
    ranker = Ranker(release.backbone, tiny_log, HISTORY)
    np.testing.assert_allclose(
        ranker.scores(USERS, candidates(), size), ranker.scores(USERS, candidates()), rtol=1e-4, atol=1e-5
    )
