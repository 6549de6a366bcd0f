"""Pictures: Plotly accepts them, their colours exist, and they show the record's numbers."""

from collections.abc import Callable
from importlib import resources
from typing import Any

import msgspec
import plotly.graph_objects as go
import pytest

from dccl.report import activity_figures, cost_figures, improvement_figure, people_figures, round_figures
from dccl.report.figure import Figure, model_style, safe
from dccl.report.record import Reading
from dccl.wire.results import RunRecord

MakeRun = Callable[..., RunRecord]


def every_figure(reading: Reading) -> list[Figure | None]:
    return [
        *(improvement_figure.improvement(reading, ranking) for ranking in reading.rankings),
        round_figures.rounds(reading),
        round_figures.training(reading),
        activity_figures.by_activity(reading),
        activity_figures.minorities(reading),
        people_figures.head_and_tail(reading),
        people_figures.movements(reading),
        cost_figures.bytes_per_device(reading),
        cost_figures.seconds_per_stage(reading),
    ]


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def painted(value: Any, tokens: set[str]) -> Any:  # noqa: ANN401  (JSON)
    """The specification with a colour for every CSS variable; the variables' names go to `tokens`."""
    if isinstance(value, str) and value.startswith("--"):
        tokens.add(value)
        return "Arial" if value == "--font" else "#123456"
    if isinstance(value, list):
        return [painted(item, tokens) for item in value]
    if isinstance(value, dict):
        return {key: painted(item, tokens) for key, item in value.items()}
    return value


def test_plotly_accepts_every_picture_and_the_style_names_every_colour(make_run: MakeRun) -> None:
    figures, tokens = every_figure(Reading(make_run())), set[str]()
    assert None not in figures
    for figure in figures:
        go.Figure(painted(drawn(figure).drawing, tokens))  # raises on an unknown property or a bad value
    style = resources.files("dccl.report").joinpath("style.css").read_text()
    assert {token for token in tokens if f"{token}: " not in style} == set()


def test_every_picture_has_words_and_numbers(make_run: MakeRun) -> None:
    figures = [drawn(figure) for figure in every_figure(Reading(make_run()))]
    assert len({figure.name for figure in figures}) == len(figures)
    for figure in figures:
        assert figure.caption.endswith(".")
        assert len(figure.alt) > 20
        assert figure.numbers.rows
        assert {len(row) for row in figure.numbers.rows} == {len(figure.numbers.header)}


def test_activity_bars_are_the_difference_of_the_means_over_seeds(make_run: MakeRun) -> None:
    run = make_run(num_seeds=2)
    bars = drawn(activity_figures.by_activity(Reading(run))).traces[-1]["y"]
    for group in (0, 19):
        new, old = (
            sum(seed.models[model]["sampled-100"].groups[group] for seed in run.seeds) / 2
            for model in ("dccl-e", "din")
        )
        assert bars[group] == pytest.approx(100 * (new - old))


def test_distances_from_the_mean_weigh_groups_by_their_users(make_run: MakeRun) -> None:
    run = make_run()
    sizes = [group.n_users for group in run.seeds[0].groups]
    for trace in drawn(activity_figures.minorities(Reading(run))).traces:
        assert sum(n * y for n, y in zip(sizes, trace["y"], strict=True)) == pytest.approx(0, abs=1e-9)


def test_net_is_gained_less_lost(make_run: MakeRun) -> None:
    gained, lost, net = drawn(people_figures.movements(Reading(make_run()))).traces
    assert gained["y"][0] == pytest.approx(36.0)
    assert lost["y"][0] == pytest.approx(-24.0)
    assert net["y"][0] == pytest.approx(12.0)


def test_rounds_start_at_the_baseline_and_end_at_the_final_models(make_run: MakeRun) -> None:
    run = make_run(num_seeds=2, num_rounds=3)
    level, first, *_ = drawn(round_figures.rounds(Reading(run))).traces
    assert first["x"] == [0, 1, 2, 3]
    assert first["y"][0] == level["y"][0]
    final = [seed.models["dccl-e"]["sampled-100"].ndcg_10 for seed in run.seeds]
    assert first["y"][-1] == pytest.approx(100 * sum(final) / 2)


def test_a_hollow_mark_is_an_interval_that_holds_zero(make_run: MakeRun) -> None:
    run = make_run(effect=1.0)
    figure = drawn(improvement_figure.improvement(Reading(run), "sampled-100"))
    marks = next(t for t in figure.traces if t["name"] == "DCCL-m" and "error_x" in t)
    found = [c for c in run.comparisons if (c.model, c.ranking) == ("dccl-m", "sampled-100")]
    hollow = [colour == "--panel" for colour in marks["marker"]["color"]]
    assert hollow == [c.low <= 0 <= c.high for c in found]
    assert True in hollow
    for place, c in enumerate(found):
        end = marks["x"][place] + marks["error_x"]["array"][place]
        assert end == pytest.approx(100 * c.high / c.baseline_mean)


def test_bytes_compare_with_sending_the_whole_model(make_run: MakeRun) -> None:
    figure = cost_figures.bytes_per_device(Reading(make_run()))
    assert figure.traces[-1]["x"][:2] == [64, 87_300 + 215_424]
    assert "1/4,730" in figure.caption


def test_seconds_are_means_over_seeds(make_run: MakeRun) -> None:
    run = make_run(num_seeds=2)
    run.seeds[0].seconds["backbone"] = 10.0
    figure = drawn(cost_figures.seconds_per_stage(Reading(run)))
    assert figure.traces[0]["x"][1] == pytest.approx((10.0 + 48.0) / 2)


def test_models_are_told_apart_by_mark_and_colour() -> None:
    models = ["din", "sasrec", "dccl-e", "mf", "dccl-m", "fm", "dccl-m+e"]
    assert len({model_style(models, model) for model in models}) == len(models)


def test_labels_cannot_carry_tags_into_a_picture(make_run: MakeRun) -> None:
    assert safe("<b>x & y</b>") == "&lt;b&gt;x &amp; y&lt;/b&gt;"
    run = make_run()
    run.seeds[0].seconds["<script>"] = 1.0
    labels = drawn(cost_figures.seconds_per_stage(Reading(run))).layout["yaxis"]["ticktext"]
    assert "&lt;script&gt;" in labels


def test_what_a_run_lacks_is_not_drawn(make_run: MakeRun) -> None:
    empty = msgspec.structs.replace(make_run(), seeds=[], comparisons=[], changes=[])
    kept = [figure for figure in every_figure(Reading(empty)) if figure is not None]
    assert [figure.name for figure in kept] == ["bytes"]
