"""The leak canary: a model with free parameters per user learns nothing about random events.

The events carry no signal, so whoever ranks better than chance has seen the answers. With negatives drawn
outside *all* of a user's items the canary sings (HR@10 near 1, the published trap); with ours it must stay at
chance.
"""

import math

import numpy as np
import numpy.typing as npt
import pytest

from dccl.data.log import EventLog, build_log
from dccl.data.negatives import draw_negatives
from dccl.data.sampler import NegativeSampler
from dccl.data.split import leave_one_out, train_only
from dccl.evaluate.metrics import hit_rate
from dccl.evaluate.ranking import places

NUM_USERS, NUM_ITEMS, NUM_EVENTS = 400, 200, 12


def random_log() -> EventLog:
    """Every user meets twelve different items, drawn uniformly: one tells nothing about another."""
    rng = np.random.default_rng(7)
    items = np.concatenate([rng.permutation(NUM_ITEMS)[:NUM_EVENTS] + 1 for _ in range(NUM_USERS)])
    return build_log(
        name="random",
        items=items,
        offsets=np.arange(NUM_USERS + 1) * NUM_EVENTS,
        user_ids=[str(u) for u in range(NUM_USERS)],
        item_ids=["", *(str(i) for i in range(1, NUM_ITEMS + 1))],
    )


def scores_of_free_parameters(train: EventLog, sampler: NegativeSampler) -> npt.NDArray[np.float64]:
    """One score per user and item, fitted by 40 gradient steps of cross-entropy; (U, I + 1)."""
    rng = np.random.default_rng(8)
    scores = rng.normal(0, 0.01, (train.num_users, NUM_ITEMS + 1))
    users = np.repeat(np.arange(train.num_users), np.diff(train.offsets))
    for _ in range(40):
        drawn, good = sampler.draw(users, 1, 4, rng)
        assert good.all()
        for items, label in ((train.items[:, None], 1.0), (drawn[:, 0], 0.0)):
            rows = np.repeat(users[:, None], items.shape[1], axis=1)
            slope = label - 1 / (1 + np.exp(-scores[rows, items]))
            np.add.at(scores, (rows, items), 0.5 * slope)
    return scores


@pytest.mark.parametrize("leaky", [False, True])
def test_free_parameters_on_random_events_stay_at_chance_unless_negatives_leak(leaky: bool) -> None:
    log = random_log()
    split = leave_one_out(log)
    train, candidates = train_only(log, split), draw_negatives(log, split, num=100, seed=1).test
    scores = scores_of_free_parameters(train, NegativeSampler(log if leaky else train))
    rows = np.arange(NUM_USERS)
    ranked = places(scores[rows, split.test], scores[rows[:, None], candidates])
    found = hit_rate(ranked, 10).mean()
    if leaky:
        assert found > 0.9
    else:
        chance = 10 / 101
        assert abs(found - chance) < 4 * math.sqrt(chance * (1 - chance) / NUM_USERS)
