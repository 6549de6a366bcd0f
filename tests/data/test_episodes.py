"""Episodes: earlier events to adapt on, later ones to be judged by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccl.data.episodes import later_part, random_windows
from dccl.data.log import EventLog, build_log


def log_of_counts(counts: list[int]) -> EventLog:
    return build_log(
        name="some",
        items=np.arange(sum(counts)) % 9 + 1,
        offsets=np.cumsum([0, *counts]),
        user_ids=[str(u) for u in range(len(counts))],
        item_ids=["", *"abcdefghi"],
    )


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(0, 8), min_size=1, max_size=6),
    share=st.floats(0, 1),
    wider=st.integers(0, 3),
)
def test_the_later_part_is_the_end_of_each_row_but_never_its_first_event(
    counts: list[int], share: float, wider: int
) -> None:
    valid = np.arange(max(counts) + wider) < np.array(counts)[:, None]
    late = later_part(valid, share)
    for row, count in enumerate(counts):
        held = int(late[row].sum())
        if count < 2:
            assert held == 0
            continue
        assert 1 <= held <= count - 1
        assert abs(held - min(max(share * count, 1), count - 1)) <= 0.5
        assert np.flatnonzero(late[row]).tolist() == list(range(count - held, count))


@pytest.mark.parametrize(
    ("count", "share", "held"), [(2, 0.25, 1), (10, 0.25, 2), (12, 0.25, 3), (4, 1.0, 3), (5, 0.0, 1)]
)
def test_the_later_part_by_hand(count: int, share: float, held: int) -> None:
    assert later_part(np.ones((1, count), np.bool_), share).sum() == held


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any),
    length=st.integers(1, 5),
    scored=st.integers(4, 7),
    fewest=st.integers(2, 4),
    seed=st.integers(0, 99),
)
def test_random_windows_stay_inside_the_users_events(
    counts: list[int], length: int, scored: int, fewest: int, seed: int
) -> None:
    log = log_of_counts(counts)
    windows = random_windows(log, np.arange(len(counts)), length, scored, fewest, np.random.default_rng(seed))
    assert windows.user.tolist() == [user for user, count in enumerate(counts) if count >= fewest]
    assert np.all(windows.first >= log.offsets[windows.user])
    assert np.all(windows.stop <= log.offsets[windows.user + 1])
    sizes = windows.stop - windows.start
    assert np.all((sizes >= fewest) & (sizes <= scored))
    histories = windows.start - windows.first
    before = windows.start - log.offsets[windows.user]
    assert histories.tolist() == np.minimum(before, length).tolist()


def test_random_windows_end_at_every_event_from_the_fewest_on() -> None:
    log = log_of_counts([3, 7])
    rng = np.random.default_rng(0)
    ends = {int(random_windows(log, np.array([1]), 2, 3, 2, rng).stop[0]) for _ in range(300)}
    assert ends == {5, 6, 7, 8, 9, 10}


def test_the_same_rng_gives_the_same_windows() -> None:
    log = log_of_counts([9, 12, 30])
    draws = [
        random_windows(log, np.arange(3), 4, 5, 3, np.random.default_rng(seed)).stop.tolist()
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]
