"""Training batches: what is scored, what it weighs, and in which order windows come."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dccl.data.log import EventLog, build_log
from dccl.data.windows import Windows, all_windows, gather
from dccl.train.batches import BatchSource, in_order, shuffled

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_positive_stands_first_and_every_negative_is_unmet(tiny_log: EventLog) -> None:
    windows = all_windows(tiny_log, 6, 7)
    batch = BatchSource(tiny_log, 6, 3).batch(windows, np.random.default_rng(0))
    piece = gather(tiny_log, windows, 6)
    candidates = batch.codes.candidates.numpy()
    assert candidates.shape == (len(windows), 7, 4)
    assert np.array_equal(candidates[:, :, 0], piece.positives)
    assert np.array_equal(batch.codes.history, piece.history)
    assert np.array_equal(batch.codes.age, piece.age)
    assert np.array_equal(batch.codes.profile, tiny_log.profiles[windows.user])
    assert np.array_equal(batch.user, windows.user)
    for row, user in enumerate(windows.user):
        met = set(tiny_log.items[tiny_log.offsets[user] : tiny_log.offsets[user + 1]].tolist())
        assert met.isdisjoint(candidates[row, :, 1:][batch.weights[row, :, 1:].numpy() > 0].tolist())


def test_labels_name_the_positive_and_weights_leave_out_the_padding(tiny_log: EventLog) -> None:
    windows = all_windows(tiny_log, 6, 7)
    batch = BatchSource(tiny_log, 6, 3).batch(windows, np.random.default_rng(0))
    assert batch.labels[:, :, 0].min() == 1
    assert batch.labels[:, :, 1:].max() == 0
    scored = windows.stop - windows.start
    assert scored.min() < 7
    valid = np.arange(7) < scored[:, None]
    assert np.array_equal(batch.weights[:, :, 0], valid)
    assert not batch.weights[~torch.from_numpy(valid)].any()
    # All but a few negatives of the users who met half of the catalogue.
    assert batch.weights[torch.from_numpy(valid)].mean() > 0.99


def test_negatives_may_weigh_less_than_positives(tiny_log: EventLog) -> None:
    windows = all_windows(tiny_log, 6, 7)
    batches = [
        BatchSource(tiny_log, 6, 4, weight).batch(windows, np.random.default_rng(0)) for weight in (1.0, 0.25)
    ]
    assert np.array_equal(batches[1].weights[:, :, 0], batches[0].weights[:, :, 0])
    assert np.array_equal(batches[1].weights[:, :, 1:], 0.25 * batches[0].weights[:, :, 1:])


def test_a_candidate_for_which_no_unmet_item_was_found_weighs_nothing() -> None:
    log = build_log(
        name="all met", items=[1, 2, 3], offsets=[0, 3], user_ids=["u"], item_ids=["", "a", "b", "c"]
    )
    batch = BatchSource(log, 2, 2).batch(all_windows(log, 2, 3), np.random.default_rng(0))
    assert batch.weights[0].tolist() == [[1, 0, 0]] * 3


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    size=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_one_epoch_meets_every_window_once_with_those_of_like_length_together(
    lengths: list[int], size: int, seed: int
) -> None:
    stop = np.array(lengths)
    zeros = np.zeros_like(stop)
    batches = shuffled(Windows(zeros, zeros, zeros, stop), size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert max(len(batch) for batch in batches) <= size
    spans = sorted((stop[batch].min(), stop[batch].max()) for batch in batches)
    assert all(spans[i][1] <= spans[i + 1][0] for i in range(len(spans) - 1))


def test_batches_come_in_another_order_in_each_epoch() -> None:
    stop = np.arange(1, 41)
    zeros = np.zeros_like(stop)
    rng = np.random.default_rng(0)
    first, second = ([tuple(b) for b in shuffled(Windows(zeros, zeros, zeros, stop), 4, rng)] for _ in "12")
    assert first != second


def test_passes_without_shuffling_cover_every_row_in_order() -> None:
    assert [rows.tolist() for rows in in_order(5, 2)] == [[0, 1], [2, 3], [4]]
    assert list(in_order(0, 2)) == []
