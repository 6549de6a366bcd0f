"""Places: ties, exclusions and scores that are not numbers."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dccl.evaluate.ranking import Places, ScoreError, places
from dccl.wire.errors import DcclError


def score_tables() -> st.SearchStrategy[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]:
    """(n, N+1) scores with many ties (column 0 is the positive) and an (n, N) mask that leaves one."""
    shapes = st.tuples(st.integers(1, 6), st.integers(1, 8))
    levels = st.sampled_from([-1.5, 0.0, 0.25, 2.0])
    return shapes.flatmap(
        lambda s: st.tuples(
            hnp.arrays(np.float32, (s[0], s[1] + 1), elements=levels),
            hnp.arrays(np.bool_, s, elements=st.booleans()).map(_leave_first),
        )
    )


def _leave_first(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    mask[:, 0] = False
    return mask


@given(score_tables())
def test_places_are_what_a_plain_loop_counts(
    table: tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]],
) -> None:
    scores, excluded = table
    got = places(scores[:, 0], scores[:, 1:], excluded)
    for row in range(len(scores)):
        kept = [s for s, out in zip(scores[row, 1:].tolist(), excluded[row], strict=True) if not out]
        own = float(scores[row, 0])
        assert got.better[row] == sum(s > own for s in kept)
        assert got.ties[row] == sum(s == own for s in kept)
        assert got.total[row] == len(kept)


def test_without_exclusions_every_candidate_counts() -> None:
    got = places(np.array([1.0, 2.0]), np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 3.0]]))
    assert (got.better.tolist(), got.ties.tolist(), got.total.tolist()) == ([1, 2], [1, 0], [3, 3])
    assert got.better.dtype == got.ties.dtype == got.total.dtype == np.int64


def test_a_positive_listed_first_wins_nothing_by_it() -> None:
    """The trap: a stable descending argsort of all-equal scores puts index 0, the positive, at place 0."""
    equal = np.full((3, 101), 5.0)
    assert (np.argsort(-equal, axis=1, kind="stable")[:, 0] == 0).all()
    got = places(equal[:, 0], equal[:, 1:])
    assert got.better.tolist() == [0, 0, 0]
    assert got.ties.tolist() == [100, 100, 100]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_positive_that_is_not_finite_is_refused_by_row(bad: float) -> None:
    positive = np.array([0.0, 1.0, bad], dtype=np.float32)
    with pytest.raises(ScoreError, match=r"positive of user row 2 is -?(nan|inf).*learning rate"):
        places(positive, np.zeros((3, 4), dtype=np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_candidate_that_is_not_finite_is_refused_by_row(bad: float) -> None:
    others = np.zeros((3, 4))
    others[1, 2] = bad
    with pytest.raises(ScoreError, match="candidate 2 of user row 1"):
        places(np.zeros(3), others)


def test_excluded_candidates_may_hold_anything() -> None:
    others = np.array([[np.nan, 1.0], [-np.inf, 0.0]])
    got = places(np.zeros(2), others, np.array([[True, False], [True, False]]))
    assert (got.better.tolist(), got.ties.tolist(), got.total.tolist()) == ([1, 0], [0, 1], [1, 1])


def test_a_nan_beside_an_excluded_one_is_still_found() -> None:
    others = np.array([[np.nan, 1.0], [np.nan, 0.0]])
    with pytest.raises(ScoreError, match="candidate 0 of user row 1"):
        places(np.zeros(2), others, np.array([[True, False], [False, False]]))


def test_a_user_with_no_candidate_is_refused_by_row() -> None:
    with pytest.raises(ScoreError, match=r"user row 1 .* no candidate"):
        places(np.zeros(2), np.zeros((2, 2)), np.array([[False, True], [True, True]]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ScoreError, match=r"\(3,\) and \(2, 4\)"):
        places(np.zeros(3), np.zeros((2, 4)))
    with pytest.raises(ScoreError, match="excluded must have the shape"):
        places(np.zeros(2), np.zeros((2, 4)), np.zeros((2, 3), dtype=bool))


def test_a_cast_of_only_one_side_is_refused_since_it_breaks_ties() -> None:
    equal = np.full((2, 4), 0.1, dtype=np.float32)
    with pytest.raises(ScoreError, match="float64 and others are float32"):
        places(np.full(2, 0.1), equal)


def test_score_errors_are_part_of_the_error_tree() -> None:
    assert issubclass(ScoreError, DcclError)


def test_joined_batches_equal_one_batch() -> None:
    rng = np.random.default_rng(3)
    positive, others = rng.integers(0, 3, 7).astype(float), rng.integers(0, 3, (7, 5)).astype(float)
    whole = places(positive, others)
    parts = Places.joined(places(positive[s], others[s]) for s in (slice(0, 3), slice(3, 7)))
    assert len(parts) == 7
    for field in ("better", "ties", "total"):
        np.testing.assert_array_equal(getattr(parts, field), getattr(whole, field))
