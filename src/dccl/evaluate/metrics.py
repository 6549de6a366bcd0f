"""HitRate, NDCG and AUC from places: expectations over tied places, one figure per user, exact.

With one held-out item per user the ideal DCG is 1, so NDCG@k is the discount 1 / log2(place + 2) of the
positive's place (from 0) if that is below k, else 0.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from dccl.evaluate.ranking import Places, ScoreError, Scores
from dccl.wire.results import Metrics

PerUser = npt.NDArray[np.float64]

METRIC_NAMES = ("hit_rate@1", "hit_rate@5", "hit_rate@10", "ndcg@5", "ndcg@10", "macro_auc")
"""What `per_user` measures, spelt as in `metrics.json`; `macro_auc` is the mean of the users' own AUC."""


def hit_rate(places: Places, k: int) -> PerUser:
    """Probability that each user's positive is among the first k, (n,).

    >>> constant = Places(np.array([0]), np.array([100]), np.array([100]))
    >>> float(hit_rate(constant, 10)[0]) == 10 / 101
    True
    """
    num_places = places.ties + 1
    return np.clip(k - places.better, 0, num_places) / num_places


def ndcg(places: Places, k: int) -> PerUser:
    """Expected discount of each user's positive within the first k, (n,)."""
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    gained_before = np.concatenate([[0.0], np.cumsum(discounts)])
    first = np.minimum(places.better, k)
    behind_last = np.minimum(places.better + places.ties + 1, k)
    expected = (gained_before[behind_last] - gained_before[first]) / (places.ties + 1)
    # Without a tie the discount itself, not a difference of sums that is off by the last bit.
    untied = np.where(first < k, discounts[np.minimum(first, k - 1)], 0.0)
    return np.where(places.ties == 0, untied, expected)


def user_auc(places: Places) -> PerUser:
    """Share of each user's candidates that the positive beats, ties half, (n,)."""
    return 1.0 - (places.better + 0.5 * places.ties) / places.total


def per_user(places: Places) -> dict[str, PerUser]:
    """Every metric of METRIC_NAMES for each user, (n,) each: what the paired bootstrap resamples."""
    return {
        "hit_rate@1": hit_rate(places, 1),
        "hit_rate@5": hit_rate(places, 5),
        "hit_rate@10": hit_rate(places, 10),
        "ndcg@5": ndcg(places, 5),
        "ndcg@10": ndcg(places, 10),
        "macro_auc": user_auc(places),
    }


def per_seed_and_user(seeds: Sequence[Places]) -> dict[str, PerUser]:
    """Every metric of METRIC_NAMES for one model under all seeds, (S, n) each: what `compare` takes."""
    measured = [per_user(places) for places in seeds]
    return {name: np.stack([users[name] for users in measured]) for name in METRIC_NAMES}


def pooled_auc(positives: Scores, others: Iterable[Scores]) -> float:
    """Share of ALL (positive, negative) pairs, across users, in which the positive wins; ties half; exact.

    Unlike the macro-AUC it asks that scores be comparable between users.

    Args:
        positives: (n,) every user's positive.
        others: the negatives, in chunks of any shape, one held at a time; chunks of 10^5 to 10^7 scores
            are fastest, since each is sorted and every positive looked up in it. For a full ranking yield
            `scores[~excluded]` batch by batch.

    Raises:
        ScoreError: a score is NaN or infinite, or there is no pair.
    """
    if not np.isfinite(positives).all():
        raise ScoreError(
            f"positive {int(np.argmin(np.isfinite(positives)))} is not finite: the model diverged"
        )
    half_wins, num_others = 0, 0
    for chunk in others:
        ranked = np.sort(chunk, axis=None)
        if ranked.size and not (np.isfinite(ranked[0]) and np.isfinite(ranked[-1])):  # NaN sorts last
            raise ScoreError(
                f"negatives {num_others}..{num_others + ranked.size} hold a score that is not finite"
            )
        below = np.searchsorted(ranked, positives, side="left")
        not_above = np.searchsorted(ranked, positives, side="right")
        half_wins += int(below.sum()) + int(not_above.sum())
        num_others += ranked.size
    if num_others == 0 or positives.size == 0:
        raise ScoreError(
            "AUC needs at least one positive and one negative; none came. Check the split's users"
        )
    return half_wins / (2 * positives.size * num_others)


def group_means(values: PerUser, group_of: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Mean of `values` (n,) in each group 0..G-1 of `group_of` (n,), as in `Metrics.groups`."""
    sums = np.bincount(group_of, weights=values)
    return tuple((sums / np.bincount(group_of)).tolist())


def summarise(places: Places, pooled: float, group_of: npt.NDArray[np.int64]) -> Metrics:
    """One model under one ranking, as it stands in `metrics.json`.

    Args:
        places: where each user's positive stands.
        pooled: `pooled_auc` of the same scores.
        group_of: (n,) each user's activity group, from `groups.activity_groups`.
    """
    users = per_user(places)
    return Metrics(
        hit_rate_1=float(users["hit_rate@1"].mean()),
        hit_rate_5=float(users["hit_rate@5"].mean()),
        hit_rate_10=float(users["hit_rate@10"].mean()),
        ndcg_5=float(users["ndcg@5"].mean()),
        ndcg_10=float(users["ndcg@10"].mean()),
        auc=pooled,
        macro_auc=float(users["macro_auc"].mean()),
        groups=group_means(users["macro_auc"], group_of),
        n_users=len(places),
    )
