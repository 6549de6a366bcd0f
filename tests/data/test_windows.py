"""Windows against a plain loop over users and events."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccl.data.log import EventLog, build_log
from dccl.data.windows import WindowBatch, Windows, all_windows, gather, latest_windows, next_event_windows

logs = st.lists(st.lists(st.integers(1, 9), max_size=9), min_size=1, max_size=6).filter(any)
lengths, sizes = st.integers(1, 6), st.integers(1, 6)


def log_of(users: list[list[int]]) -> EventLog:
    return build_log(
        name="some",
        items=[item for events in users for item in events],
        offsets=np.cumsum([0, *(len(events) for events in users)]),
        user_ids=[str(u) for u in range(len(users))],
        item_ids=["", *"abcdefghi"],
    )


def seen_by(batch: WindowBatch, row: int, query: int) -> list[int]:
    """Items that a query may see, oldest first, by their age; ages must be 1, 2, 3 ... without a gap."""
    ages, items = batch.age[row, query], batch.history[row]
    visible = ages > 0
    order = np.argsort(-ages[visible])
    assert sorted(ages[visible]) == list(range(1, int(visible.sum()) + 1))
    found: list[int] = items[visible][order].tolist()
    return found


def expected(users: list[list[int]], length: int) -> list[tuple[int, int, list[int]]]:
    """(user, event, history) of every event, by a loop."""
    return [
        (user, events[place], events[max(place - length, 0) : place])
        for user, events in enumerate(users)
        for place in range(len(events))
    ]


def found_in(batch: WindowBatch) -> list[tuple[int, int, list[int]]]:
    return [
        (int(batch.user[row]), int(batch.positives[row, query]), seen_by(batch, row, query))
        for row in range(len(batch.user))
        for query in np.flatnonzero(batch.valid[row])
    ]


@settings(max_examples=150, deadline=None)
@given(users=logs, length=lengths, scored=sizes)
def test_every_event_is_scored_once_and_sees_exactly_the_events_before_it(
    users: list[list[int]], length: int, scored: int
) -> None:
    log = log_of(users)
    found = found_in(gather(log, all_windows(log, length, scored), length))
    assert sorted(found) == sorted(expected(users, length))


@settings(max_examples=80, deadline=None)
@given(users=logs, length=lengths, scored=sizes)
def test_a_window_gathered_alone_shows_what_it_shows_in_company(
    users: list[list[int]], length: int, scored: int
) -> None:
    log = log_of(users)
    windows = all_windows(log, length, scored)
    alone = [
        entry
        for row in range(len(windows))
        for entry in found_in(gather(log, windows[row : row + 1], length))
    ]
    assert alone == found_in(gather(log, windows, length))


@settings(max_examples=80, deadline=None)
@given(users=logs, length=lengths, scored=sizes)
def test_the_latest_windows_score_each_users_last_events(
    users: list[list[int]], length: int, scored: int
) -> None:
    log = log_of(users)
    batch = gather(log, latest_windows(log, np.arange(len(users)), length, scored), length)
    latest = [
        (user, event, history)
        for user, events in enumerate(users)
        for _, event, history in expected([events], length)[-scored:]
    ]
    assert found_in(batch) == latest


@settings(max_examples=80, deadline=None)
@given(users=logs, length=lengths)
def test_the_next_event_sees_the_last_events_and_has_no_positive(users: list[list[int]], length: int) -> None:
    log = log_of(users)
    batch = gather(log, next_event_windows(log, np.arange(len(users)), length), length)
    assert batch.positives.shape == (len(users), 1)
    assert not batch.valid.any()
    for row, events in enumerate(users):
        assert seen_by(batch, row, 0) == events[-length:]


@settings(max_examples=80, deadline=None)
@given(users=logs, length=lengths, scored=sizes)
def test_changing_an_event_changes_nothing_that_it_or_earlier_events_see(
    users: list[list[int]], length: int, scored: int
) -> None:
    user = next(u for u, events in enumerate(users) if events)
    for place in range(len(users[user])):
        changed = [list(events) for events in users]
        changed[user][place] = 10 - changed[user][place] if changed[user][place] != 5 else 6
        views = []
        for logged in (users, changed):
            log = log_of(logged)
            found = found_in(gather(log, all_windows(log, length, scored), length))
            own = [history for owner, _, history in found if owner == user]
            # Windows of one user stand oldest last: put the events in order of time.
            views.append(_by_time(log, user, own, length, scored)[: place + 1])
        assert views[0] == views[1]


def _by_time(
    log: EventLog, user: int, histories: list[list[int]], length: int, scored: int
) -> list[list[int]]:
    windows = all_windows(log, length, scored)
    own = windows[np.flatnonzero(windows.user == user)]
    places = np.concatenate([np.arange(a, b) for a, b in zip(own.start, own.stop, strict=True)])
    return [histories[i] for i in np.argsort(places)]


def test_only_a_users_oldest_window_is_short() -> None:
    windows = all_windows(log_of([[1, 2, 3, 4, 5, 6, 7]]), 2, 3)
    assert sorted((windows.stop - windows.start).tolist()) == [1, 3, 3]
    assert windows.start.min() == 0
    short = int(np.argmin(windows.stop - windows.start))
    assert windows.stop[short] == 1


def test_codes_of_padding_are_zero_and_no_column_is_empty_of_use() -> None:
    log = log_of([[1, 2, 3], [4]])
    batch = gather(log, all_windows(log, 5, 5), 5)
    # The last scored event is nobody's history, so two columns serve three events.
    assert batch.history.tolist() == [[1, 2], [4, 0]]
    assert batch.positives.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert batch.age.tolist() == [
        [[0, 0], [1, 0], [2, 1]],
        [[0, 0], [1, 0], [2, 0]],
    ]


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([2, 0])])
def test_windows_are_taken_by_slice_or_by_rows(rows: slice | npt.NDArray[np.int64]) -> None:
    fours = [np.arange(3) + 10 * k for k in range(4)]
    taken = Windows(*fours)[rows]
    assert len(taken) == 2
    for column, name in zip(fours, ("user", "first", "start", "stop"), strict=True):
        assert getattr(taken, name).tolist() == column[rows].tolist()
