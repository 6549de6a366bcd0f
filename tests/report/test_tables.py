"""Tables: every model and metric, verdicts in words, numbers behind pictures."""

from collections.abc import Callable

import msgspec
import pytest

from dccl.report import tables
from dccl.report.record import Reading
from dccl.wire.results import RunRecord

MakeRun = Callable[..., RunRecord]


def test_results_hold_each_model_under_both_rankings(make_run: MakeRun) -> None:
    table = tables.results(Reading(make_run()))
    assert table.count("<tr>") == 2 + 4
    assert table.count("<td") == 4 * 14
    assert table.count("±") == 4 * 14
    assert table.index("100 sampled negatives") < table.index("full ranking")


def test_one_seed_shows_no_spread(make_run: MakeRun) -> None:
    table = tables.results(Reading(make_run(num_seeds=1)))
    assert "±" not in table
    assert "one seed" in table


def test_the_figure_shown_is_the_mean_in_per_cent(make_run: MakeRun) -> None:
    run = make_run(num_seeds=2)
    mean = sum(seed.models["dccl-m"]["full"].hit_rate_5 for seed in run.seeds) / 2
    row = tables.results(Reading(run)).split(">DCCL-m<")[1]
    assert f"{100 * mean:.2f}" in row


def test_a_model_this_page_does_not_know_is_shown(make_run: MakeRun) -> None:
    run = make_run()
    for seed in run.seeds:
        seed.models["my <rival>"] = {"full": seed.models["din"]["full"]}
    table = tables.results(Reading(run))
    assert "my &lt;rival&gt;" in table
    assert table.count(">–<") == 7  # not measured under the sampled ranking


def test_improvements_tell_interval_and_verdict(make_run: MakeRun) -> None:
    run = make_run()
    table = tables.improvements(Reading(run))
    assert table is not None
    assert table.count("<tbody>") == 3
    for verdict in ("gain", "no gain"):
        expected = sum(c.verdict == verdict for c in run.comparisons)
        assert expected > 0
        assert table.count(f'class="verdict {verdict.replace(" ", "-")}"') == expected


def test_no_comparison_makes_no_table_of_improvements(make_run: MakeRun) -> None:
    assert tables.improvements(Reading(msgspec.structs.replace(make_run(), comparisons=[]))) is None


def test_a_baseline_of_zero_shows_no_ratio(make_run: MakeRun) -> None:
    run = make_run()
    run.comparisons[0] = msgspec.structs.replace(run.comparisons[0], baseline_mean=0.0, relative=0.0)
    table = tables.improvements(Reading(run))
    assert table is not None
    assert table.count("<td>–</td>") == 1


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({}, []),
        ({"a": {"b": {"c": 1}}, "d": [1, "x"]}, [("a.b.c", "1"), ("d", '[1, "x"]')]),
        ({"a": {}, "b": None, "c": True}, [("a", "{}"), ("b", "null"), ("c", "true")]),
    ],
)
def test_configurations_are_flattened(tree: dict[str, object], expected: list[tuple[str, str]]) -> None:
    assert tables.flattened(tree) == expected
