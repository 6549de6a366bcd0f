import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dccl.data.negatives
from dccl.data.log import EventLog, build_log
from dccl.data.negatives import draw_negatives
from dccl.data.split import leave_one_out
from dccl.wire.errors import DataError


def log_of(histories: list[list[int]], num_items: int) -> EventLog:
    return build_log(
        name="made",
        items=[item for history in histories for item in history],
        offsets=np.cumsum([0, *map(len, histories)]),
        user_ids=[f"u{user}" for user in range(len(histories))],
        item_ids=["", *(f"i{item}" for item in range(1, num_items + 1))],
    )


@given(
    st.lists(st.lists(st.integers(1, 15), min_size=3, max_size=30), min_size=1, max_size=20),
    st.integers(1, 5),
    st.integers(0, 2**32),
)
def test_negatives_are_distinct_items_that_the_user_never_met(
    histories: list[list[int]], num: int, seed: int
) -> None:
    log = log_of(histories, 20)
    split = leave_one_out(log)
    negatives = draw_negatives(log, split, num, seed)
    for drawn, positives in ((negatives.validation, split.validation), (negatives.test, split.test)):
        assert drawn.shape == (len(histories), num)
        assert drawn.dtype == np.int32
        for row, history in enumerate(histories):
            assert len(set(drawn[row].tolist())) == num
            assert set(drawn[row].tolist()) <= set(range(1, 21)) - set(history)
            assert positives[row] not in drawn[row]


def test_all_unmet_items_are_drawn_when_exactly_as_many_are_wanted() -> None:
    log = log_of([[2, 4, 6, 2], [1, 2, 3]], 6)
    negatives = draw_negatives(log, leave_one_out(log), 3, seed=1)
    assert [sorted(row) for row in negatives.test.tolist()] == [[1, 3, 5], [4, 5, 6]]


def test_every_unmet_item_is_equally_likely_in_every_set() -> None:
    log = log_of([[1, 5, 9]] * 6000, 11)
    drawn = draw_negatives(log, leave_one_out(log), 3, seed=3)
    for sets in (drawn.validation, drawn.test):
        # 8 unmet items, sets of 3: 56 equally likely sets. Chi-square with 55 degrees of freedom stays
        # below 93.2 with probability 99.9 %.
        _, counts = np.unique(np.sort(sets, axis=1), axis=0, return_counts=True)
        expected = 6000 / 56
        assert len(counts) == 56
        assert ((counts - expected) ** 2 / expected).sum() < 93.2


def test_the_same_seed_gives_the_same_candidates_and_another_seed_others() -> None:
    log = log_of([[1, 2, 3]] * 50, 40)
    split = leave_one_out(log)
    first, again, other = (draw_negatives(log, split, 10, seed) for seed in (1, 1, 2))
    assert first.checksum == again.checksum != other.checksum
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)
    assert not np.array_equal(first.test, first.validation)


def test_users_beyond_the_first_chunk_get_their_own_negatives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dccl.data.negatives, "_USERS_AT_ONCE", 2)
    log = log_of([[user + 1, user + 2, user + 3] for user in range(5)], 8)
    negatives = draw_negatives(log, leave_one_out(log), 5, seed=1)
    for user in range(5):
        assert sorted(negatives.test[user].tolist()) == sorted(
            set(range(1, 9)) - {user + 1, user + 2, user + 3}
        )


def test_a_user_who_met_nearly_everything_is_named() -> None:
    log = log_of([[1, 2, 3], [1, 2, 3, 4, 5]], 6)
    with pytest.raises(DataError, match=r"user 'u1' met 5 of the 6 .* 1 remain.*at most 1"):
        draw_negatives(log, leave_one_out(log), 3)


def test_a_log_as_large_as_movielens_1m_takes_less_than_a_second() -> None:
    rng = np.random.default_rng(0)
    log = build_log(
        name="large",
        items=rng.integers(1, 3308, 6038 * 138),
        offsets=np.arange(6039) * 138,
        user_ids=map(str, range(6038)),
        item_ids=["", *map(str, range(3307))],
    )
    split = leave_one_out(log)
    start = time.process_time()
    draw_negatives(log, split)
    assert time.process_time() - start < 1.0
