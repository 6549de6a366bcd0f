"""The page's tables: results, improvement with intervals, numbers behind a picture, facts."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dccl.report.figure import Numbers
from dccl.report.headline import interval
from dccl.report.labels import (
    MODEL_MEANINGS,
    metric_label,
    model_label,
    points,
    ranking_label,
    signed_percent,
    signed_points,
)
from dccl.report.markup import Markup, tag
from dccl.report.record import METRICS, Reading, Spread
from dccl.wire.results import Comparison

VERDICT_SIGNS = {"gain": "▲", "loss": "▼", "no gain": "○"}


def results(reading: Reading) -> Markup:
    """Models by metrics, every ranking side by side: mean over seeds with the spread below it."""
    best = {
        (ranking, metric): max(
            (s.mean for m in reading.models if (s := reading.spread(m, ranking, metric))), default=0
        )
        for ranking in reading.rankings
        for metric in METRICS
    }
    groups = tag(
        "tr",
        tag("th", "Model", scope="col", rowspan=2),
        [
            tag("th", ranking_label(ranking), scope="colgroup", colspan=len(METRICS), class_="group")
            for ranking in reading.rankings
        ],
    )
    names = tag(
        "tr",
        [
            tag("th", metric_label(metric), scope="col", class_=_first(metric))
            for _ in reading.rankings
            for metric in METRICS
        ],
    )
    rows = [
        tag(
            "tr",
            tag("th", model_label(model), scope="row", title=MODEL_MEANINGS.get(model)),
            [
                _figure_cell(reading.spread(model, ranking, metric), best[ranking, metric], _first(metric))
                for ranking in reading.rankings
                for metric in METRICS
            ],
        )
        for model in reading.models
    ]
    spread = ", mean over seeds; below each its standard deviation between seeds"
    reading_aid = (
        f"All figures in per cent{spread if len(reading.record.seeds) > 1 else ', one seed'}. "
        "Bold is the highest of a column, which is not yet a gain: see the intervals below."
    )
    parts = [tag("thead", groups, names), tag("tbody", rows)]
    return _panel("Results by model and metric", parts, reading_aid, "results")


def _first(metric: str) -> str | None:
    return "first" if metric == METRICS[0] else None


def _figure_cell(spread: Spread | None, best: float, first: str | None) -> Markup:
    if spread is None:
        return tag("td", "–", class_=first)
    figure = points(spread.mean)
    shown = tag("strong", figure) if figure == points(best) else figure
    deviation = None if spread.deviation is None else tag("small", f"±{points(spread.deviation)}")
    return tag("td", shown, deviation, class_=first)


def improvements(reading: Reading) -> Markup | None:
    """Difference against the baseline, 95 % interval and verdict, by model and metric."""
    models = [m for m in reading.models if any(c.model == m for c in _compared(reading))]
    if not models:
        return None
    groups = tag(
        "tr",
        tag("th", "Metric", scope="col", rowspan=2),
        [
            tag("th", ranking_label(ranking), scope="colgroup", colspan=4, class_="group")
            for ranking in reading.rankings
        ],
    )
    names = tag(
        "tr",
        [
            tag("th", name, scope="col", class_="first" if name == "Change" else None)
            for _ in reading.rankings
            for name in ("Change", "Relative", "95 % interval", "Verdict")
        ],
    )
    reading_aid = (
        f"Change against {model_label(reading.baseline)} in percentage points; paired bootstrap over "
        "users, seeds averaged. Where the interval holds zero the verdict is “no gain”."
    )
    bodies = [_model_rows(reading, model) for model in models]
    parts = [tag("thead", groups, names), *bodies]
    return _panel(f"Improvement over {model_label(reading.baseline)}", parts, reading_aid, "improvements")


def _compared(reading: Reading) -> list[Comparison]:
    return [c for c in reading.record.comparisons if c.baseline == reading.baseline]


def _model_rows(reading: Reading, model: str) -> Markup:
    metrics = dict.fromkeys(c.metric for c in _compared(reading) if c.model == model)
    meaning = MODEL_MEANINGS.get(model)
    title = [tag("b", model_label(model)), f" – {meaning}" if meaning else None]
    heading = tag("th", title, scope="rowgroup", colspan=1 + 4 * len(reading.rankings), class_="model")
    return tag(
        "tbody",
        tag("tr", heading),
        [
            tag(
                "tr",
                tag("th", metric_label(metric), scope="row"),
                [_change_cells(reading.comparison(model, ranking, metric)) for ranking in reading.rankings],
            )
            for metric in metrics
        ],
    )


def _change_cells(comparison: Comparison | None) -> list[Markup]:
    if comparison is None:
        return [tag("td", "–", class_="first"), *[tag("td", "–")] * 3]
    kind = comparison.verdict.replace(" ", "-")
    sign = tag("span", VERDICT_SIGNS.get(comparison.verdict, ""), aria_hidden="true")
    return [
        tag("td", signed_points(comparison.difference), class_="first"),
        tag("td", signed_percent(comparison.relative) if comparison.baseline_mean else "–"),
        tag("td", interval(comparison)),
        tag("td", tag("span", sign, f" {comparison.verdict}", class_=f"verdict {kind}")),
    ]


def numbers(behind: Numbers, caption: str) -> Markup:
    """The numbers behind a picture."""
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in behind.header]))
    rows = [
        tag("tr", tag("th", first, scope="row"), [tag("td", cell) for cell in rest])
        for first, *rest in behind.rows
    ]
    return _panel(caption, [head, tag("tbody", rows)])


def facts(pairs: Iterable[tuple[str, str]], caption: str, reading_aid: str | None = None) -> Markup:
    """Two columns: what, and its value."""
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in pairs]
    return _panel(caption, [tag("tbody", rows)], reading_aid, "facts")


def flattened(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested configuration as (`a.b.c`, value) pairs; lists stay as JSON.

    >>> flattened({"train": {"rate": 0.1}, "seeds": [0, 1]})
    [('train.rate', '0.1'), ('seeds', '[0, 1]')]
    """
    pairs: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            pairs += flattened(value, f"{prefix}{key}.")
        else:
            pairs.append(
                (f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, default=str))
            )
    return pairs


def _panel(
    caption: str, parts: list[Markup], reading_aid: str | None = None, kind: str | None = None
) -> Markup:
    table = tag("table", tag("caption", caption), parts, class_=kind)
    return tag(
        "div",
        # A box that scrolls must be reachable by keyboard, so it takes the focus and has a name.
        tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption),
        tag("p", reading_aid, class_="aid") if reading_aid else None,
        class_="panel",
    )
