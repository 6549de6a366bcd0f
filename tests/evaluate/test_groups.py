"""Activity groups and the two ends of the line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccl.evaluate.groups import activity_groups, group_records, head_and_tail


@given(st.lists(st.integers(1, 9), min_size=1, max_size=300), st.integers(1, 25))
def test_groups_are_equal_ordered_by_activity_and_complete(events: list[int], asked: int) -> None:
    counts = np.array(events)
    group_of = activity_groups(counts, asked)
    sizes = np.bincount(group_of)
    assert len(sizes) <= asked
    assert sizes.max() - sizes.min() <= 1
    assert len(sizes) == 1 or sizes.min() >= 10
    for group in range(1, len(sizes)):
        assert counts[group_of == group - 1].max() <= counts[group_of == group].min()


@pytest.mark.parametrize(
    ("num_users", "expected"), [(1, 1), (9, 1), (19, 1), (20, 2), (199, 19), (200, 20), (5000, 20)]
)
def test_few_users_get_fewer_groups(num_users: int, expected: int) -> None:
    assert activity_groups(np.arange(num_users)).max() + 1 == expected


def test_equally_active_users_are_cut_in_the_order_listed() -> None:
    assert activity_groups(np.full(40, 7), 4).tolist() == sorted([0, 1, 2, 3] * 10)


def test_the_least_active_are_group_zero() -> None:
    group_of = activity_groups(np.array([50] * 10 + [3] * 10), 2)
    assert group_of.tolist() == [1] * 10 + [0] * 10
    assert group_of.dtype == np.int64


def test_records_tell_size_and_range_of_each_group() -> None:
    events = np.array([5] * 5 + [9] * 5 + [20] * 9 + [80])
    low, high = group_records(events, activity_groups(events))
    assert (low.n_users, low.min_events, low.max_events) == (10, 5, 9)
    assert (high.n_users, high.min_events, high.max_events) == (10, 20, 80)


def test_no_users_have_no_groups() -> None:
    assert group_records(np.array([], dtype=np.int64), activity_groups(np.array([], dtype=np.int64))) == []


def test_head_and_tail_are_the_outer_fifths() -> None:
    slices = head_and_tail(np.array([3, 30, 5, 10, 4, 8, 6, 7, 50, 9]))
    assert np.flatnonzero(slices["head"]).tolist() == [1, 8]
    assert np.flatnonzero(slices["tail"]).tolist() == [0, 4]


def test_head_and_tail_hold_at_least_one_user() -> None:
    slices = head_and_tail(np.array([4, 3, 9]))
    assert slices["head"].tolist() == [False, False, True]
    assert slices["tail"].tolist() == [False, True, False]


def test_with_twenty_groups_the_tail_is_the_first_four() -> None:
    events = np.random.default_rng(1).integers(3, 60, 500)
    np.testing.assert_array_equal(head_and_tail(events)["tail"], activity_groups(events) < 4)
    np.testing.assert_array_equal(head_and_tail(events)["head"], activity_groups(events) >= 16)
