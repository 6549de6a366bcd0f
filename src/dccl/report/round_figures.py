"""Pictures over time: quality round by round, and the backbone's training epoch by epoch."""

import statistics

from dccl.report.figure import Figure, Numbers, Spec, axis, model_style, safe
from dccl.report.labels import metric_label, model_label, models_listed, points, signed_points
from dccl.report.record import Reading, Spread, metric_value
from dccl.wire.results import CurvePoint, RoundRecord


def rounds(reading: Reading, metric: str = "ndcg@10") -> Figure | None:
    """A metric after each round, from the plain backbone (round 0) on, mean over seeds with their spread."""
    by_round = _by_round(reading)
    if not by_round:
        return None
    models = list(dict.fromkeys(m for records in by_round.values() for r in records for m in r.models))
    start = reading.spread(reading.baseline, reading.main_ranking, metric)
    curves = {
        model: ({0: start} if start else {}) | _round_spreads(by_round, model, reading.main_ranking, metric)
        for model in models
    }
    label, baseline = metric_label(metric), model_label(reading.baseline)
    traces = [_round_trace(reading, model, curve) for model, curve in curves.items() if curve]
    if start is not None:
        traces.insert(0, _level_trace(reading, start.mean, max(by_round)))
    return Figure(
        name="rounds",
        title="Round by round",
        caption=f"Every line starts at {baseline} (round 0); a line that climbs gains by another round. "
        "Bars show one standard deviation between seeds.",
        alt=f"{label} of {models_listed(models)} after each of {len(by_round)} rounds, beside {baseline}.",
        traces=traces,
        layout={
            "xaxis": axis(
                "round",
                dtick=max(1, len(by_round) // 12),
                range=[-0.15, max(by_round) + 0.15],
                zeroline=False,
            ),
            "yaxis": axis(f"{label}, %"),
        },
        height=340,
        numbers=Numbers(
            ("Round", *(model_label(model) for model in curves), "Devices using their patch"),
            [
                (
                    str(number),
                    *(_spread_text(curve.get(number)) for curve in curves.values()),
                    f"{100 * statistics.fmean(r.guard_share for r in by_round[number]):.0f} %"
                    if number in by_round
                    else "–",
                )
                for number in [0, *by_round]
            ],
        ),
    )


def _by_round(reading: Reading) -> dict[int, list[RoundRecord]]:
    by_round: dict[int, list[RoundRecord]] = {}
    for seed in reading.record.seeds:
        for record in seed.rounds:
            by_round.setdefault(record.round, []).append(record)
    return dict(sorted(by_round.items()))


def _round_spreads(
    by_round: dict[int, list[RoundRecord]], model: str, ranking: str, metric: str
) -> dict[int, Spread]:
    spreads = {}
    for number, records in by_round.items():
        measured = [r.models[model][ranking] for r in records if ranking in r.models.get(model, {})]
        if measured:
            spreads[number] = Spread.of([metric_value(metrics, metric) for metrics in measured])
    return spreads


def _round_trace(reading: Reading, model: str, curve: dict[int, Spread]) -> Spec:
    colour, symbol = model_style([*reading.models, model], model)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": safe(model_label(model)),
        "x": list(curve),
        "y": [100 * spread.mean for spread in curve.values()],
        "error_y": {
            "type": "data",
            "array": [100 * (spread.deviation or 0.0) if x else 0.0 for x, spread in curve.items()],
            "color": colour,
            "thickness": 1.2,
            "width": 3,
        },
        "line": {"color": colour, "width": 2.2},
        "marker": {"color": colour, "symbol": symbol, "size": 8},
        "hovertemplate": "round %{x}: %{y:.2f} %<extra>%{fullData.name}</extra>",
    }


def _level_trace(reading: Reading, level: float, last_round: int) -> Spec:
    colour, _ = model_style(reading.models, reading.baseline)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": safe(model_label(reading.baseline)),
        "x": [0, last_round],
        "y": [100 * level, 100 * level],
        "line": {"color": colour, "width": 1.8, "dash": "dash"},
        "hovertemplate": "%{y:.2f} %<extra>%{fullData.name}</extra>",
    }


def training(reading: Reading) -> Figure | None:
    """Validation NDCG@10 and training loss of the backbone, epoch by epoch, one line per seed."""
    curves = {seed.seed: seed.curve for seed in reading.record.seeds if seed.curve}
    if not curves:
        return None
    traces = [
        trace for place, (seed, curve) in enumerate(curves.items()) for trace in _epochs(place, seed, curve)
    ]
    last = max(len(curve) for curve in curves.values())
    return Figure(
        name="training",
        title="Training of the cloud model",
        caption="The upper curve should flatten, not fall, before training stops; the lower is the loss that "
        "it minimises. One line per seed.",
        alt=f"Validation NDCG@10 rises and training loss falls over up to {last} epochs.",
        traces=traces,
        layout={
            "xaxis": axis("epoch", anchor="y2"),
            "yaxis": axis("validation NDCG@10, %", domain=[0.5, 1]),
            "yaxis2": axis("training loss", domain=[0, 0.42]),
            "showlegend": False,
        },
        height=380,
        numbers=Numbers(
            ("Seed", "Epochs", "Best validation NDCG@10", "at epoch", "Last training loss"),
            [_curve_row(seed, curve) for seed, curve in curves.items()],
        ),
    )


def _epochs(place: int, seed: int, curve: list[CurvePoint]) -> list[Spec]:
    line = {"color": "--model-1", "width": 1.6, "dash": ("solid", "dash", "dot", "dashdot")[place % 4]}
    common: Spec = {
        "type": "scatter",
        "mode": "lines",
        "name": f"seed {seed}",
        "x": [point.epoch for point in curve],
        "hovertemplate": "epoch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
    }
    return [
        {**common, "y": [100 * point.validation_ndcg_10 for point in curve], "line": line},
        {
            **common,
            "y": [point.train_loss for point in curve],
            "line": {**line, "color": "--muted"},
            "yaxis": "y2",
        },
    ]


def _curve_row(seed: int, curve: list[CurvePoint]) -> tuple[str, ...]:
    best = max(curve, key=lambda point: point.validation_ndcg_10)
    return (
        str(seed),
        str(len(curve)),
        points(best.validation_ndcg_10),
        str(best.epoch),
        f"{curve[-1].train_loss:.4f}",
    )


def _spread_text(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    if spread.deviation is None:
        return points(spread.mean)
    return f"{points(spread.mean)} ± {signed_points(spread.deviation).lstrip('+')}"
