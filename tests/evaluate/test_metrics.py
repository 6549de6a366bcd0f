"""Metrics against loops, against numbers worked by hand, and against the traps that fooled others."""

import math
import weakref
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccl.evaluate.metrics import (
    METRIC_NAMES,
    group_means,
    hit_rate,
    ndcg,
    per_user,
    pooled_auc,
    summarise,
    user_auc,
)
from dccl.evaluate.ranking import Places, ScoreError, places


def made_places(rows: list[tuple[int, int, int]]) -> Places:
    better, ties, total = np.array(rows, dtype=np.int64).T
    return Places(better, ties, total)


def place_rows() -> st.SearchStrategy[list[tuple[int, int, int]]]:
    row = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30)).map(
        lambda t: (t[0], t[1], max(1, sum(t)))
    )
    return st.lists(row, min_size=1, max_size=8)


@given(place_rows(), st.integers(1, 20))
def test_hit_rate_and_ndcg_are_means_over_every_tied_place(rows: list[tuple[int, int, int]], k: int) -> None:
    got_hit, got_ndcg = hit_rate(made_places(rows), k), ndcg(made_places(rows), k)
    for row, (better, ties, _) in enumerate(rows):
        hits, gains = 0, 0.0
        for place in range(better, better + ties + 1):
            if place < k:
                hits += 1
                gains += 1 / math.log2(place + 2)
        assert got_hit[row] == hits / (ties + 1)
        assert got_ndcg[row] == pytest.approx(gains / (ties + 1), abs=1e-14)


def test_a_constant_scorer_gets_what_chance_gets() -> None:
    constant = places(np.zeros(50, dtype=np.float32), np.zeros((50, 100), dtype=np.float32))
    for k in (1, 5, 10):
        assert (hit_rate(constant, k) == k / 101).all()
        mean_of_discounts = sum(1 / math.log2(place + 2) for place in range(k)) / 101
        np.testing.assert_allclose(ndcg(constant, k), mean_of_discounts, rtol=1e-14)
    assert (user_auc(constant) == 0.5).all()
    assert pooled_auc(np.zeros(50), [np.zeros((50, 100))]) == 0.5


def test_a_perfect_scorer_gets_one_everywhere() -> None:
    perfect = places(np.ones(20), np.zeros((20, 100)))
    for values in per_user(perfect).values():
        assert (values == 1.0).all()
    assert pooled_auc(np.ones(20), [np.zeros((20, 100))]) == 1.0


def test_a_worst_scorer_gets_zero_everywhere() -> None:
    worst = places(np.zeros(20), np.ones((20, 100)))
    for values in per_user(worst).values():
        assert (values == 0.0).all()
    assert pooled_auc(np.zeros(20), [np.ones((20, 100))]) == 0.0


def test_a_random_scorer_stays_within_binomial_bounds() -> None:
    rng = np.random.default_rng(11)
    scores = rng.standard_normal((5000, 101))
    got = hit_rate(places(scores[:, 0], scores[:, 1:]), 10).mean()
    p = 10 / 101
    assert abs(got - p) < 4 * math.sqrt(p * (1 - p) / 5000)


def test_known_places_give_known_figures() -> None:
    """Places 0, 2 and 7 of 10 others by hand: 1/log2(2), 1/log2(4), 1/log2(9)."""
    known = made_places([(0, 0, 10), (2, 0, 10), (7, 0, 10)])
    assert hit_rate(known, 1).tolist() == [1, 0, 0]
    assert hit_rate(known, 5).tolist() == [1, 1, 0]
    np.testing.assert_allclose(ndcg(known, 5), [1, 0.5, 0])
    np.testing.assert_allclose(ndcg(known, 10), [1, 0.5, 0.31546487678572877])
    np.testing.assert_allclose(user_auc(known), [1, 0.8, 0.3])


def test_a_tie_over_the_cut_counts_in_part() -> None:
    """Behind 9 and level with 3: places 9, 10, 11, 12; one of four is within the first ten."""
    over_the_cut = made_places([(9, 3, 100)])
    assert hit_rate(over_the_cut, 10).tolist() == [0.25]
    np.testing.assert_allclose(ndcg(over_the_cut, 10), [0.25 / math.log2(11)])


def auc_by_definition(positives: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> float:
    wins = sum(1.0 if p > o else 0.5 if p == o else 0.0 for p in positives for o in others)
    return wins / (len(positives) * len(others))


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    st.lists(st.lists(st.integers(-3, 3), max_size=9), min_size=1, max_size=4),
)
def test_pooled_auc_is_the_share_of_all_pairs(own: list[int], chunks: list[list[int]]) -> None:
    positives = np.array(own, dtype=float)
    arrays = [np.array(chunk, dtype=float) for chunk in chunks]
    together = np.concatenate(arrays)
    if together.size == 0:
        with pytest.raises(ScoreError, match="at least one positive and one negative"):
            pooled_auc(positives, arrays)
        return
    assert pooled_auc(positives, arrays) == pytest.approx(auc_by_definition(positives, together), abs=1e-12)


def test_pooled_auc_agrees_with_a_published_example() -> None:
    """scikit-learn's roc_auc_score documentation: labels 0 0 1 1, scores .1 .4 .35 .8 give 0.75."""
    assert pooled_auc(np.array([0.35, 0.8]), [np.array([0.1, 0.4])]) == 0.75


def test_pooled_and_macro_auc_differ_when_users_are_not_comparable() -> None:
    positives, others = np.array([1.0, 11.0]), np.array([[0.0], [10.0]])
    assert user_auc(places(positives, others)).mean() == 1.0
    assert pooled_auc(positives, [others]) == 0.75


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pooled_auc_refuses_scores_that_are_not_finite(bad: float) -> None:
    with pytest.raises(ScoreError, match="not finite"):
        pooled_auc(np.array([0.0, bad]), [np.zeros(3)])
    with pytest.raises(ScoreError, match="not finite"):
        pooled_auc(np.zeros(2), [np.zeros(3), np.array([1.0, bad, 0.0])])


def test_pooled_auc_holds_one_chunk_at_a_time() -> None:
    """Chunks are drawn from a generator and dropped: at most the one in hand is alive."""
    alive: list[weakref.ref[npt.NDArray[np.float64]]] = []

    def chunks() -> Iterator[npt.NDArray[np.float64]]:
        for number in range(5):
            assert sum(ref() is not None for ref in alive) <= 1
            chunk = np.full(10, float(number))
            alive.append(weakref.ref(chunk))
            yield chunk
            del chunk

    assert pooled_auc(np.array([2.0]), chunks()) == 0.5


def test_group_means_are_means_within_groups() -> None:
    assert group_means(np.array([1.0, 0.0, 0.5, 0.25]), np.array([0, 1, 1, 0])) == (0.625, 0.25)


def test_summarise_holds_the_means_of_the_users() -> None:
    rng = np.random.default_rng(5)
    scores = rng.integers(0, 20, (30, 101)).astype(float)
    ranked = places(scores[:, 0], scores[:, 1:])
    groups = np.repeat(np.arange(3), 10)
    got = summarise(ranked, 0.625, groups)
    assert got.n_users == 30
    assert got.auc == 0.625
    assert got.hit_rate_10 == pytest.approx(sum(hit_rate(ranked, 10)) / 30)
    assert got.hit_rate_1 == pytest.approx(sum(hit_rate(ranked, 1)) / 30)
    assert got.hit_rate_5 == pytest.approx(sum(hit_rate(ranked, 5)) / 30)
    assert got.ndcg_5 == pytest.approx(sum(ndcg(ranked, 5)) / 30)
    assert got.ndcg_10 == pytest.approx(sum(ndcg(ranked, 10)) / 30)
    assert got.macro_auc == pytest.approx(sum(user_auc(ranked)) / 30)
    assert got.groups == pytest.approx([sum(user_auc(ranked)[s : s + 10]) / 10 for s in (0, 10, 20)])


def test_per_user_metrics_bear_the_names_of_metrics_json() -> None:
    assert tuple(per_user(made_places([(0, 0, 1)]))) == METRIC_NAMES
