"""The picture of what is gained: change against the baseline, metric by metric, with intervals."""

from dccl.report.figure import Figure, Numbers, Spec, axis, model_style, safe
from dccl.report.headline import interval
from dccl.report.labels import (
    metric_label,
    model_label,
    models_listed,
    ranking_label,
    signed_percent,
)
from dccl.report.record import Reading
from dccl.wire.results import Comparison


def improvement(reading: Reading, ranking: str) -> Figure | None:
    """Relative change against the baseline, metric by metric and model by model, with 95 % intervals."""
    found = [
        c
        for c in reading.record.comparisons
        if (c.ranking, c.baseline) == (ranking, reading.baseline) and c.baseline_mean > 0
    ]
    if not found:
        return None
    metrics = list(dict.fromkeys(c.metric for c in found))
    models = list(dict.fromkeys(c.model for c in found))
    step = min(0.22, 0.8 / len(models))
    traces = [_legend_trace(reading, model) for model in models] + [
        _interval_trace(
            reading,
            model,
            [c for c in found if c.model == model],
            {metric: row + (place - (len(models) - 1) / 2) * step for row, metric in enumerate(metrics)},
        )
        for place, model in enumerate(models)
    ]
    baseline = model_label(reading.baseline)
    return Figure(
        name=f"improvement-{reading.rankings.index(ranking)}",
        title=f"Improvement over {baseline}: {ranking_label(ranking)}",
        caption=f"Right of zero is better than {baseline}; a hollow mark means that the 95 % interval holds "
        "zero: no gain.",
        alt=f"Intervals of the relative change against {baseline} for {models_listed(models)}.",
        traces=traces,
        layout={
            "xaxis": axis(f"change relative to {baseline}, %", zerolinecolor="--ink", zerolinewidth=1.5),
            "yaxis": axis(
                tickvals=list(range(len(metrics))),
                ticktext=[safe(metric_label(metric)) for metric in metrics],
                range=[len(metrics) - 0.4, -0.6],
                showgrid=False,
            ),
        },
        height=90 + len(metrics) * max(44, 17 * len(models)),
        numbers=Numbers(
            ("Metric", "Model", "Change", "95 % interval, points", "Verdict"),
            [
                (
                    metric_label(c.metric),
                    model_label(c.model),
                    signed_percent(c.relative),
                    interval(c),
                    c.verdict,
                )
                for c in sorted(found, key=lambda c: metrics.index(c.metric))
            ],
        ),
    )


def _legend_trace(reading: Reading, model: str) -> Spec:
    """A filled mark for the legend, since a model's first mark may be hollow."""
    colour, symbol = model_style(reading.models, model)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": safe(model_label(model)),
        "x": [None],
        "y": [None],
        "marker": {"color": colour, "symbol": symbol, "size": 9},
        "hoverinfo": "skip",
    }


def _interval_trace(
    reading: Reading, model: str, found: list[Comparison], height_of: dict[str, float]
) -> Spec:
    colour, symbol = model_style(reading.models, model)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": safe(model_label(model)),
        "showlegend": False,
        "x": [100 * c.relative for c in found],
        "y": [height_of[c.metric] for c in found],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (c.high - c.difference) / c.baseline_mean for c in found],
            "arrayminus": [100 * (c.difference - c.low) / c.baseline_mean for c in found],
            "color": colour,
            "thickness": 1.6,
            "width": 0,
        },
        "marker": {
            "color": ["--panel" if c.verdict == "no gain" else colour for c in found],
            "line": {"color": colour, "width": 1.8},
            "size": 9,
            "symbol": symbol,
        },
        "text": [f"{safe(metric_label(c.metric))}: {c.verdict}" for c in found],
        "hovertemplate": "%{text}<br>%{x:.2f} %<extra>%{fullData.name}</extra>",
    }
