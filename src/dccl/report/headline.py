"""The findings in plain words: did devices help, whom, and does distillation add to it.

The words follow the intervals: where an interval holds zero the sentence says "no gain", however large the
difference looks.
"""

from dccl.report.labels import (
    MODEL_MEANINGS,
    metric_label,
    model_label,
    points,
    ranking_label,
    signed_percent,
    signed_points,
)
from dccl.report.record import Reading
from dccl.wire.results import Comparison, UserChanges

METRIC = "ndcg@10"
"""The metric that the headline is about: it rewards every place among the first ten."""


def headline(reading: Reading) -> str:
    """One sentence: whether devices helped, and whom most."""
    comparison = _main_comparison(reading)
    if comparison is None:
        return "This run compares no personal model with its cloud model."
    if comparison.verdict == "loss":
        return "Devices did harm: with personal patches the ranking is worse than the cloud model's."
    if comparison.verdict != "gain":
        return "No gain: personal patches did not rank better than the cloud model alone."
    if doubts := [other for other in _other_rankings(reading) if other.verdict != "gain"]:
        first, second = ranking_label(comparison.ranking), ranking_label(doubts[0].ranking)
        shown = "a loss" if doubts[0].verdict == "loss" else "no gain"
        return f"Devices helped with {first}, but {second} shows {shown}."
    return f"Devices helped{_whom(reading)}."


def findings(reading: Reading) -> list[str]:
    """The sentences under the headline: the figure and its interval, by activity, and the other models."""
    comparison = _main_comparison(reading)
    if comparison is None:
        return []
    sentences = [_main_sentence(comparison)]
    if (changes := reading.changes(comparison.model)) is not None:
        sentences.append(_people_sentence(changes))
    sentences += [
        f"With {ranking_label(other.ranking)}: {_short(other)}." for other in _other_rankings(reading)
    ]
    for model in reading.models:
        other = reading.comparison(model, reading.main_ranking, METRIC)
        if model != comparison.model and model in MODEL_MEANINGS and other is not None:
            sentences.append(f"{model_label(model)}, {MODEL_MEANINGS[model]}: {_short(other)}.")
    if (num_seeds := len(reading.record.seeds)) == 1:
        sentences.append("One seed only: another training run may move these figures.")
    elif num_seeds < 5:
        sentences.append(f"{num_seeds} seeds: fewer than the five that a claim needs.")
    return sentences


def _main_comparison(reading: Reading) -> Comparison | None:
    focus = reading.focus
    return None if focus is None else reading.comparison(focus, reading.main_ranking, METRIC)


def _other_rankings(reading: Reading) -> list[Comparison]:
    found = (reading.comparison(reading.focus or "", ranking, METRIC) for ranking in reading.rankings[1:])
    return [comparison for comparison in found if comparison is not None]


def _whom(reading: Reading) -> str:
    changes = reading.changes(reading.focus)
    if changes is None:
        return ""
    tail, head = _slice_change(changes, "tail"), _slice_change(changes, "head")
    if tail is None or head is None:
        return ""
    if tail < 0 <= head:
        return " on average, but not the least active users"
    if head < 0 <= tail:
        return " on average, but not the most active users"
    if abs(tail - head) < 0.0005:
        return ", active and inactive users alike"
    return f", the {'least' if tail > head else 'most'} active users most"


def _slice_change(changes: UserChanges, part: str) -> float | None:
    quality = changes.head_tail.get(part, {})
    if changes.model not in quality or changes.baseline not in quality:
        return None
    return quality[changes.model] - quality[changes.baseline]


def _main_sentence(comparison: Comparison) -> str:
    means = f"{points(comparison.baseline_mean)} to {points(comparison.model_mean)}"
    ratio = f" ({signed_percent(comparison.relative)})" if comparison.baseline_mean else ""
    return (
        f"{metric_label(comparison.metric)} goes from {means}{ratio} when {model_label(comparison.model)} "
        f"replaces {model_label(comparison.baseline)}, with {ranking_label(comparison.ranking)}; the 95 % "
        f"interval of the difference is {interval(comparison)} points"
        + (", which holds zero." if comparison.verdict == "no gain" else ".")
    )


def _people_sentence(changes: UserChanges) -> str:
    sentence = (
        f"{100 * changes.gained:.0f} % of users see their item move up, {100 * changes.lost:.0f} % down"
    )
    tail, head = _slice_change(changes, "tail"), _slice_change(changes, "head")
    if tail is not None and head is not None:
        sentence += (
            f"; {metric_label(METRIC)} of the least active fifth changes by {signed_points(tail)} points, of "
            f"the most active fifth by {signed_points(head)}"
        )
    return sentence + "."


def _short(comparison: Comparison) -> str:
    change = f"{signed_points(comparison.difference)} points"
    return f"{comparison.verdict} ({change}, interval {interval(comparison)})"


def interval(comparison: Comparison) -> str:
    """Both ends of the 95 % interval, in points."""
    return f"{signed_points(comparison.low)} to {signed_points(comparison.high)}"
