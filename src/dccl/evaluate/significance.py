"""Is a difference real? A paired bootstrap over users, and who gained and who lost.

What is resampled, and why. Two models are compared on the same users, so the unit is the user and the value
is the user's own difference; that pairing removes the large spread between easy and hard users. Seeds are
nested in users: the same users are measured S times, and S re-trained models are not S x n other people.
So a user's difference is first averaged over the seeds, and then users are resampled. The interval speaks
about other users of the same kind, served by the mean of these seeds; how much one more training run would
move the figure is told beside it, by the standard deviation between seeds.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from dccl.evaluate.groups import head_and_tail
from dccl.evaluate.metrics import group_means, ndcg
from dccl.evaluate.ranking import Places
from dccl.wire.errors import DataError
from dccl.wire.results import Comparison, Protocol, UserChanges

Floats = npt.NDArray[np.float64]

NUM_RESAMPLES = 10_000
_DRAWS_AT_ONCE = 4_000_000  # bounds the memory of a chunk of resamples: 32 MB of indices and of weights


def bootstrap_means(values: Floats, rng: np.random.Generator, num_resamples: int = NUM_RESAMPLES) -> Floats:
    """Means of `values` (n, M) over users drawn with replacement, (num_resamples, M).

    All M columns share each draw of users, so that figures of one table move together. 10,000 resamples of
    6,000 users take about a second, whatever M is.
    """
    num_users = len(values)
    means = np.empty((num_resamples, values.shape[1]))
    step = max(1, _DRAWS_AT_ONCE // num_users)
    for start in range(0, num_resamples, step):
        rows = min(step, num_resamples - start)
        drawn = rng.integers(num_users, size=(rows, num_users))
        drawn += np.arange(rows)[:, None] * num_users  # one bincount counts every resample of the chunk
        weights = np.bincount(drawn.ravel(), minlength=rows * num_users).reshape(rows, num_users)
        means[start : start + rows] = weights @ values / num_users
    return means


def compare(
    model: str,
    baseline: str,
    ranking: str,
    model_users: Mapping[str, Floats],
    baseline_users: Mapping[str, Floats],
    rng: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> list[Comparison]:
    """Set one model against its baseline: one Comparison per metric, with a 95 % percentile interval.

    Args:
        model: name of the model, as in `metrics.json`.
        baseline: name of the model it is measured against.
        ranking: `sampled-100` or `full`; both models under the same one.
        model_users: by metric (S, n), from `metrics.per_seed_and_user`.
        baseline_users: the same metrics, seeds and users, in the same order.
        rng: for the resamples.
        num_resamples: draws of users; 10,000 fix an end of the interval to about 2 % of its width.

    Raises:
        DataError: the two do not hold the same metrics, seeds and users.
    """
    _check_paired(model, baseline, model_users, baseline_users)
    metrics = list(model_users)
    differences = [model_users[name] - baseline_users[name] for name in metrics]
    means = bootstrap_means(np.stack([d.mean(axis=0) for d in differences], axis=1), rng, num_resamples)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return [
        _comparison(
            (model, baseline, ranking, name),
            (float(model_users[name].mean()), float(baseline_users[name].mean())),
            differences[column],
            (float(low[column]), float(high[column])),
        )
        for column, name in enumerate(metrics)
    ]


def _comparison(
    names: tuple[str, str, str, str],
    means: tuple[float, float],
    difference_Sn: Floats,
    interval: tuple[float, float],
) -> Comparison:
    model, baseline, ranking, metric = names
    difference = float(difference_Sn.mean())
    num_seeds = len(difference_Sn)
    return Comparison(
        model=model,
        baseline=baseline,
        ranking=ranking,
        metric=metric,
        model_mean=means[0],
        baseline_mean=means[1],
        difference=difference,
        low=interval[0],
        high=interval[1],
        relative=difference / means[1] if means[1] else 0.0,
        verdict=verdict(*interval),
        seed_deviation=float(difference_Sn.mean(axis=1).std(ddof=1)) if num_seeds > 1 else None,
    )


def verdict(low: float, high: float) -> str:
    """`gain` or `loss` if the interval lies on one side of zero, else (zero included) `no gain`.

    >>> verdict(0.001, 0.01), verdict(-0.01, -0.001), verdict(0.0, 0.01)
    ('gain', 'loss', 'no gain')
    """
    if low > 0:
        return "gain"
    return "loss" if high < 0 else "no gain"


def user_changes(
    model: str,
    baseline: str,
    model_seeds: Sequence[Places],
    baseline_seeds: Sequence[Places],
    group_of: npt.NDArray[np.int64],
    num_train_events: npt.NDArray[np.int64],
) -> UserChanges:
    """Whose positive moved up and whose moved down when `model` replaced `baseline`.

    Moves are judged by mid-rank, each seed by itself, and averaged over users and seeds. NB two equally good
    models also swap many users up and down: read `gained` against `lost`, not against zero.

    Args:
        model: name of the model, as in `metrics.json`.
        baseline: name of the model it replaced.
        model_seeds: places of the same n users, one entry per seed.
        baseline_seeds: the same for the baseline.
        group_of: (n,) activity group.
        num_train_events: (n,) events each user trains on, for head and tail.
    """
    moves = np.stack(
        [b.mid_rank - m.mid_rank for m, b in zip(model_seeds, baseline_seeds, strict=True)]
    )  # (S, n), > 0: up
    gained, lost = (moves > 0).mean(axis=0), (moves < 0).mean(axis=0)
    quality = {
        name: np.mean([ndcg(places, 10) for places in seeds], axis=0)
        for name, seeds in ((baseline, baseline_seeds), (model, model_seeds))
    }
    slices = head_and_tail(num_train_events)
    return UserChanges(
        model=model,
        baseline=baseline,
        gained=float(gained.mean()),
        lost=float(lost.mean()),
        unchanged=float((moves == 0).mean()),
        by_group=list(zip(group_means(gained, group_of), group_means(lost, group_of), strict=True)),
        head_tail={
            part: {name: float(users[mask].mean()) for name, users in quality.items()}
            for part, mask in slices.items()
        },
    )


def require_same_protocol(first: Protocol, second: Protocol) -> None:
    """Let figures of two runs be set side by side only if they were measured in the same way.

    Raises:
        DataError: the message names every field that differs, with both values.
    """
    differing = [
        f"{field} ({getattr(first, field)!r} and {getattr(second, field)!r})"
        for field in Protocol.__struct_fields__
        if getattr(first, field) != getattr(second, field)
    ]
    if differing:
        raise DataError(
            f"these figures cannot be compared, their protocols differ in {', '.join(differing)}. Run one of "
            "the two again with the other's data and settings"
        )


def _check_paired(
    model: str, baseline: str, first: Mapping[str, Floats], second: Mapping[str, Floats]
) -> None:
    if list(first) != list(second):
        raise DataError(
            f"{model} has the metrics {list(first)}, {baseline} has {list(second)}: measure both alike"
        )
    for name, values in first.items():
        if values.ndim != 2 or values.shape != second[name].shape:
            raise DataError(
                f"{name} of {model} is {values.shape}, of {baseline} {second[name].shape}: a paired "
                "comparison needs the same (seeds, users) of both. Evaluate both on the same split and seeds"
            )
