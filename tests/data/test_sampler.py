"""Training negatives: never met in training, held-out items among them, the same bits from the same rng."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccl.data.log import EventLog, build_log
from dccl.data.sampler import NegativeSampler
from dccl.data.split import leave_one_out, train_only

NUM_ITEMS = 8


def log_of(users: list[list[int]], num_items: int = NUM_ITEMS) -> EventLog:
    return build_log(
        name="some",
        items=[item for events in users for item in events],
        offsets=np.cumsum([0, *(len(events) for events in users)]),
        user_ids=[str(u) for u in range(len(users))],
        item_ids=["", *(f"i{i}" for i in range(1, num_items + 1))],
    )


@settings(max_examples=100, deadline=None)
@given(
    users=st.lists(st.lists(st.integers(1, NUM_ITEMS), max_size=12), min_size=1, max_size=5).filter(any),
    seed=st.integers(0, 99),
)
def test_a_negative_that_counts_is_an_item_that_the_user_never_met(users: list[list[int]], seed: int) -> None:
    rows = np.arange(len(users))[::-1].copy()
    items, good = NegativeSampler(log_of(users)).draw(rows, 3, 4, np.random.default_rng(seed))
    assert items.shape == good.shape == (len(users), 3, 4)
    assert items.min() >= 1
    assert items.max() <= NUM_ITEMS
    for row, user in enumerate(rows):
        met = set(users[user])
        for item, counts in zip(items[row].ravel().tolist(), good[row].ravel().tolist(), strict=True):
            assert counts == (item not in met)


def test_met_agrees_with_a_set_of_pairs() -> None:
    users = [[1, 2, 2], [], [8, 1], [3]]
    sampler = NegativeSampler(log_of(users))
    grid_users, grid_items = np.repeat(np.arange(4), NUM_ITEMS), np.tile(np.arange(1, NUM_ITEMS + 1), 4)
    expected = [item in users[user] for user, item in zip(grid_users, grid_items, strict=True)]
    assert sampler.met(grid_users, grid_items).tolist() == expected


def test_held_out_items_are_drawn_as_negatives_as_often_as_any_other() -> None:
    """Peers left them out, and models with parameters per user learned them by their absence."""
    log = log_of([[1, 2, 3, 4, 5]], num_items=53)
    train = train_only(log, leave_one_out(log))
    items, good = NegativeSampler(train).draw(np.array([0]), 10_000, 5, np.random.default_rng(0))
    assert good.all()
    counts = np.bincount(items.ravel(), minlength=54)
    assert counts[:4].tolist() == [0, 0, 0, 0]
    # 4 and 5 are validation and test. 50,000 draws of 50 items: 1000 each, standard deviation 31.3.
    assert np.all(np.abs(counts[4:] - 1000) < 5 * 31.3)


def test_a_user_who_met_nearly_everything_gets_masked_places_and_never_wrong_ones() -> None:
    nearly = list(range(1, 200))
    items, good = NegativeSampler(log_of([nearly], 200)).draw(np.array([0]), 50, 40, np.random.default_rng(1))
    assert set(items[good].tolist()) == {200}
    assert np.isin(items[~good], nearly).all()
    assert 0 < good.mean() < 0.1


def test_a_user_who_met_everything_gets_no_negative_at_all() -> None:
    _, good = NegativeSampler(log_of([list(range(1, 9))])).draw(np.array([0]), 5, 4, np.random.default_rng(1))
    assert not good.any()


@pytest.mark.parametrize(("other", "same"), [(5, True), (6, False)])
def test_the_same_rng_gives_the_same_bits(other: int, same: bool) -> None:
    sampler = NegativeSampler(log_of([[1, 2], [3]]))
    first, _ = sampler.draw(np.array([0, 1]), 10, 4, np.random.default_rng(5))
    second, _ = sampler.draw(np.array([0, 1]), 10, 4, np.random.default_rng(other))
    assert np.array_equal(first, second) == same
