"""The words follow the intervals."""

from collections.abc import Callable

import msgspec
import pytest

from dccl.report.headline import findings, headline
from dccl.report.record import Reading
from dccl.wire.results import RunRecord, UserChanges

MakeRun = Callable[..., RunRecord]


def with_verdicts(run: RunRecord, **verdicts: str) -> Reading:
    """The run with the verdict on DCCL-e's NDCG@10 set by ranking (`sampled`, `full`)."""
    changed = [
        msgspec.structs.replace(c, verdict=verdicts.get(c.ranking.partition("-")[0], c.verdict))
        if (c.model, c.metric) == ("dccl-e", "ndcg@10")
        else c
        for c in run.comparisons
    ]
    return Reading(msgspec.structs.replace(run, comparisons=changed))


def with_slices(run: RunRecord, tail: float, head: float) -> Reading:
    """The run with NDCG@10 of the slices changed by these amounts under DCCL-e."""
    changes = UserChanges(
        model="dccl-e", baseline="din", gained=0.3, lost=0.2, unchanged=0.5, by_group=[],
        head_tail={"head": {"din": 0.5, "dccl-e": 0.5 + head}, "tail": {"din": 0.4, "dccl-e": 0.4 + tail}},
    )  # fmt: skip
    return with_verdicts(msgspec.structs.replace(run, changes=[changes]), sampled="gain", full="gain")


@pytest.mark.parametrize(
    ("tail", "head", "expected"),
    [
        (0.02, 0.01, "Devices helped, the least active users most."),
        (0.01, 0.02, "Devices helped, the most active users most."),
        (0.01, 0.0101, "Devices helped, active and inactive users alike."),
        (-0.01, 0.02, "Devices helped on average, but not the least active users."),
        (0.02, -0.01, "Devices helped on average, but not the most active users."),
    ],
)
def test_a_gain_says_for_whom(make_run: MakeRun, tail: float, head: float, expected: str) -> None:
    assert headline(with_slices(make_run(), tail, head)) == expected


def test_an_interval_that_holds_zero_is_no_gain_however_it_looks(make_run: MakeRun) -> None:
    reading = Reading(make_run(effect=1.0, spread=20.0))
    assert headline(reading).startswith("No gain")
    assert "holds zero" in findings(reading)[0]


def test_a_loss_is_said(make_run: MakeRun) -> None:
    assert headline(with_verdicts(make_run(), sampled="loss")).startswith("Devices did harm")


@pytest.mark.parametrize(("full", "expected"), [("no gain", "shows no gain."), ("loss", "shows a loss.")])
def test_a_gain_under_one_ranking_only_is_said_so(make_run: MakeRun, full: str, expected: str) -> None:
    sentence = headline(with_verdicts(make_run(), sampled="gain", full=full))
    assert sentence == f"Devices helped with 100 sampled negatives, but full ranking {expected}"


def test_a_run_without_comparisons_says_so(make_run: MakeRun) -> None:
    reading = Reading(msgspec.structs.replace(make_run(), comparisons=[], changes=[]))
    assert headline(reading) == "This run compares no personal model with its cloud model."
    assert findings(reading) == []


@pytest.mark.parametrize(
    ("num_seeds", "expected"), [(1, "One seed only"), (4, "4 seeds: fewer than the five"), (5, None)]
)
def test_few_seeds_are_said(make_run: MakeRun, num_seeds: int, expected: str | None) -> None:
    told = [s for s in findings(Reading(make_run(num_seeds=num_seeds))) if "seed" in s]
    assert [expected in sentence for sentence in told if expected] == ([True] if expected else [])
    assert bool(told) == bool(expected)


def test_the_other_models_and_rankings_are_told(make_run: MakeRun) -> None:
    text = " ".join(findings(Reading(make_run())))
    assert "With full ranking: " in text
    assert "DCCL-m, the new cloud model after distillation, alone: " in text
