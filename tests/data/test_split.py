import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccl.data.log import EventLog, build_log, hash_of
from dccl.data.split import leave_one_out, refuse_same, train_only
from dccl.wire.errors import DataError


def log_of(histories: list[list[int]], num_items: int) -> EventLog:
    return build_log(
        name="made",
        items=[item for history in histories for item in history],
        offsets=np.cumsum([0, *map(len, histories)]),
        user_ids=[f"u{user}" for user in range(len(histories))],
        item_ids=["", *(f"i{item}" for item in range(1, num_items + 1))],
    )


@given(st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=12))
def test_training_validation_and_test_put_together_are_the_log(histories: list[list[int]]) -> None:
    histories.append([1, 2, 3])
    log = log_of(histories, 9)
    split = leave_one_out(log)
    assert split.users.tolist() == [user for user, history in enumerate(histories) if len(history) >= 3]
    rows = {user: row for row, user in enumerate(split.users.tolist())}
    part = train_only(log, split)
    for user, history in enumerate(histories):
        trained = log.items[log.offsets[user] : split.train_stop[user]].tolist()
        assert part.items[part.offsets[user] : part.offsets[user + 1]].tolist() == trained
        held_back = [split.validation[rows[user]], split.test[rows[user]]] if user in rows else []
        assert trained + held_back == history


def test_the_training_log_keeps_codes_and_times_and_has_its_own_checksum() -> None:
    log = log_of([[1, 2, 3, 4], [5, 6]], 7)
    part = train_only(log, leave_one_out(log))
    assert part.items.tolist() == [1, 2, 5, 6]
    assert part.times.tolist() == [0, 1, 0, 1]
    assert part.num_items == 7
    assert part.checksum != log.checksum


def test_a_log_whose_users_have_one_event_each_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"no user .* has 3 events .*has 1"):
        leave_one_out(log_of([[1], [2]], 3))


def test_validation_that_is_the_test_is_refused_by_its_hash() -> None:
    validation, test = np.array([[1, 2]]), np.array([[1, 3]])
    refuse_same(hash_of(validation), hash_of(test), "candidates")
    with pytest.raises(DataError, match="same candidates"):
        refuse_same(hash_of(test), hash_of(test.copy()), "candidates")
