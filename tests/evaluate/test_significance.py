"""The paired bootstrap against theory and degenerate cases; who gained; protocols that must agree."""

import math

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from dccl.evaluate.ranking import Places
from dccl.evaluate.significance import (
    bootstrap_means,
    compare,
    require_same_protocol,
    user_changes,
    verdict,
)
from dccl.wire.errors import DataError
from dccl.wire.results import Comparison, Protocol

Floats = npt.NDArray[np.float64]


def compare_one(model: Floats, baseline: Floats, seed: int = 0, num_resamples: int = 2000) -> Comparison:
    rng = np.random.default_rng(seed)
    (only,) = compare("new", "old", "full", {"m": model}, {"m": baseline}, rng, num_resamples)
    return only


def test_the_interval_agrees_with_the_normal_one_for_many_users() -> None:
    differences = np.random.default_rng(1).normal(0.01, 0.3, (1, 4000))
    got = compare_one(differences, np.zeros((1, 4000)), num_resamples=10_000)
    error = differences.std() / math.sqrt(4000)
    assert got.difference == pytest.approx(differences.mean())
    assert got.low == pytest.approx(differences.mean() - 1.96 * error, abs=0.06 * error)
    assert got.high == pytest.approx(differences.mean() + 1.96 * error, abs=0.06 * error)


def test_pairing_finds_what_the_spread_between_users_would_hide() -> None:
    """Unpaired, two means of 300 users with spread 0.3 cannot tell 0.01 apart; the differences can."""
    rng = np.random.default_rng(2)
    baseline = rng.normal(0.5, 0.3, (1, 300))
    got = compare_one(baseline + 0.01 + rng.normal(0, 0.01, (1, 300)), baseline)
    assert got.verdict == "gain"
    assert got.high - got.low < 0.005


def test_no_difference_in_truth_is_called_no_gain_about_95_times_in_100() -> None:
    rng = np.random.default_rng(3)
    verdicts = [
        compare_one(rng.normal(0, 1, (1, 200)), np.zeros((1, 200)), seed, 400).verdict for seed in range(200)
    ]
    assert 180 <= verdicts.count("no gain") <= 199


def test_equal_differences_leave_an_interval_of_no_width() -> None:
    got = compare_one(np.full((2, 50), 0.75), np.full((2, 50), 0.5))
    assert (got.low, got.difference, got.high) == (0.25, 0.25, 0.25)
    assert (got.verdict, got.relative, got.seed_deviation) == ("gain", 0.5, 0.0)


def test_a_model_against_itself_is_no_gain() -> None:
    same = np.random.default_rng(4).random((3, 60))
    got = compare_one(same, same)
    assert (got.low, got.difference, got.high, got.verdict) == (0.0, 0.0, 0.0, "no gain")


def test_one_user_in_two_who_gains_makes_a_binomial_interval() -> None:
    """Differences 0 and 1 half and half: the resampled mean is binomial(100, 1/2) / 100."""
    got = compare_one(np.repeat([[0.0, 1.0]], 50, axis=1), np.zeros((1, 100)), num_resamples=10_000)
    assert got.low == pytest.approx(0.40, abs=0.011)
    assert got.high == pytest.approx(0.60, abs=0.011)


def test_seeds_are_averaged_within_users_and_not_counted_as_users() -> None:
    """Ten copies of the same seed know no more than one: the interval must not shrink."""
    differences = np.random.default_rng(5).normal(0, 1, (1, 300))
    once = compare_one(differences, np.zeros((1, 300)))
    ten_times = compare_one(np.repeat(differences, 10, axis=0), np.zeros((10, 300)))
    assert ten_times.high - ten_times.low == pytest.approx(once.high - once.low)


def test_the_deviation_between_seeds_is_that_of_their_means() -> None:
    model = np.array([[0.2, 0.4], [0.4, 0.6], [0.6, 0.8]])
    got = compare_one(model, np.zeros((3, 2)))
    assert got.seed_deviation == pytest.approx(0.2)
    assert compare_one(model[:1], np.zeros((1, 2))).seed_deviation is None


def test_a_baseline_of_zero_has_no_ratio() -> None:
    assert compare_one(np.ones((1, 5)), np.zeros((1, 5))).relative == 0.0


def test_a_loss_is_called_a_loss() -> None:
    got = compare_one(np.zeros((1, 30)), np.full((1, 30), 0.1))
    assert (got.verdict, got.difference, got.relative) == ("loss", pytest.approx(-0.1), pytest.approx(-1.0))


def test_an_interval_that_touches_zero_is_no_gain() -> None:
    assert verdict(0.0, 0.1) == verdict(-0.1, 0.0) == verdict(-1.0, 1.0) == "no gain"


def test_the_same_rng_gives_the_same_interval() -> None:
    values = np.random.default_rng(6).normal(0, 1, (2, 100))
    assert compare_one(values, np.zeros((2, 100)), 7) == compare_one(values, np.zeros((2, 100)), 7)
    assert compare_one(values, np.zeros((2, 100)), 7).low != compare_one(values, np.zeros((2, 100)), 8).low


def test_every_metric_is_compared_on_the_same_draws() -> None:
    values = np.random.default_rng(8).random((1, 40))
    model, baseline = {"a": values, "b": 2 * values}, {"a": values * 0, "b": values * 0}
    a, b = compare("new", "old", "sampled-100", model, baseline, np.random.default_rng(0), 500)
    assert (a.metric, b.metric, a.ranking) == ("a", "b", "sampled-100")
    assert b.low == pytest.approx(2 * a.low)


def test_chunks_of_resamples_are_invisible(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(9).random((30, 2))
    whole = bootstrap_means(values, np.random.default_rng(1), 100)
    monkeypatch.setattr("dccl.evaluate.significance._DRAWS_AT_ONCE", 210)
    np.testing.assert_allclose(bootstrap_means(values, np.random.default_rng(1), 100), whole)


def test_figures_that_are_not_of_the_same_users_are_refused() -> None:
    with pytest.raises(DataError, match=r"m of new is \(1, 3\), of old \(1, 4\)"):
        compare_one(np.zeros((1, 3)), np.zeros((1, 4)))
    with pytest.raises(DataError, match="measure both alike"):
        compare("new", "old", "full", {"a": np.zeros((1, 2))}, {}, np.random.default_rng(0))


def ranked(better: list[int], ties: list[int]) -> Places:
    return Places(np.array(better), np.array(ties), np.full(len(better), 10))


def test_who_gained_is_counted_by_mid_rank_and_by_group() -> None:
    old = ranked([5, 5, 5, 2], [0, 0, 0, 2])
    first, second = ranked([4, 5, 6, 3], [0, 0, 0, 0]), ranked([4, 5, 4, 3], [0, 0, 0, 0])
    got = user_changes(
        "new", "old", [first, second], [old, old], np.array([0, 0, 1, 1]), np.array([3, 4, 5, 6])
    )
    assert got.gained == pytest.approx(3 / 8)
    assert got.lost == pytest.approx(1 / 8)
    assert got.unchanged == pytest.approx(4 / 8)
    assert got.by_group == [(0.5, 0.0), (0.25, 0.25)]


def test_head_and_tail_hold_the_ndcg_of_both_models() -> None:
    old, new = ranked([0, 9, 9, 9, 2], [0] * 5), ranked([2, 9, 9, 9, 0], [0] * 5)
    got = user_changes("new", "old", [new], [old], np.zeros(5, dtype=np.int64), np.array([1, 2, 3, 4, 5]))
    assert got.head_tail == {"head": {"old": 0.5, "new": 1.0}, "tail": {"old": 1.0, "new": 0.5}}


def made_protocol() -> Protocol:
    return Protocol(
        split="leave-one-out", setting="poster", history_length=50, num_negatives=100,
        negatives_checksum="ab", ties="mid-rank", n_users=943,
    )  # fmt: skip


def test_the_same_protocol_may_be_compared() -> None:
    require_same_protocol(made_protocol(), made_protocol())


@pytest.mark.parametrize("field", Protocol.__struct_fields__)
def test_a_protocol_that_differs_in_any_field_is_refused_by_name(field: str) -> None:
    other = msgspec.structs.replace(made_protocol(), **{field: "another"})
    with pytest.raises(DataError, match=rf"differ in {field} \(.* and 'another'\)"):
        require_same_protocol(made_protocol(), other)
