"""Pictures of who is served: the most and the least active users, and who moved up or down."""

from dccl.report.activity_figures import group_axis, groups_of, range_text
from dccl.report.figure import Figure, Numbers, Spec, axis, model_style, safe
from dccl.report.labels import model_label, points
from dccl.report.record import Reading

SLICES = {"tail": "least active fifth", "head": "most active fifth"}


def head_and_tail(reading: Reading) -> Figure | None:
    """NDCG@10 of the most and least active fifth under each model."""
    quality: dict[str, dict[str, float]] = {part: {} for part in SLICES}
    for changes in reading.record.changes:
        for part in SLICES:
            quality[part] |= changes.head_tail.get(part, {})
    models = [model for model in reading.models if all(model in quality[part] for part in SLICES)]
    if reading.baseline not in models or len(models) < 2:
        return None
    rows = list(SLICES)
    traces: list[Spec] = [
        _span(row, [quality[part][model] for model in models]) for row, part in enumerate(rows)
    ]
    step = min(0.16, 0.6 / len(models))
    for place, model in enumerate(models):
        colour, symbol = model_style(reading.models, model)
        shift = (place - (len(models) - 1) / 2) * step
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": safe(model_label(model)),
                "x": [100 * quality[part][model] for part in rows],
                "y": [row + shift for row in range(len(rows))],
                "marker": {"color": colour, "symbol": symbol, "size": 12},
                "hovertemplate": "%{x:.2f} %<extra>%{fullData.name}</extra>",
            }
        )
    return Figure(
        name="head-tail",
        title="Head and tail",
        caption="NDCG@10 of the least and of the most active fifth of users; further right is better served.",
        alt="; ".join(
            f"{SLICES[part]}: " + ", ".join(f"{model_label(m)} {points(quality[part][m])}" for m in models)
            for part in rows
        )
        + ".",
        traces=traces,
        layout={
            "xaxis": axis("NDCG@10, %"),
            "yaxis": axis(
                tickvals=list(range(len(rows))),
                ticktext=[SLICES[part].replace(" fifth", "<br>fifth") for part in rows],
                range=[len(rows) - 0.4, -0.6],
                showgrid=False,
                zeroline=False,
            ),
        },
        height=360,
        numbers=Numbers(
            ("Users", *(model_label(model) for model in models)),
            [(SLICES[part], *(points(quality[part][model]) for model in models)) for part in rows],
        ),
    )


def _span(row: int, values: list[float]) -> Spec:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [100 * min(values), 100 * max(values)],
        "y": [row, row],
        "line": {"color": "--line", "width": 6},
        "showlegend": False,
        "hoverinfo": "skip",
    }


def movements(reading: Reading) -> Figure | None:
    """Share of users of every group whose item moved up, and down, when the personal model took over."""
    changes, groups = reading.changes(reading.focus), groups_of(reading)
    if changes is None or not groups or len(changes.by_group) != len(groups):
        return None
    gained = [100 * up for up, _ in changes.by_group]
    lost = [-100 * down for _, down in changes.by_group]
    net = [up + down for up, down in zip(gained, lost, strict=True)]
    model, baseline = model_label(changes.model), model_label(changes.baseline)
    bar: Spec = {"type": "bar", "x": list(range(1, len(groups) + 1)), "textposition": "none"}
    bar["text"] = [f"{range_text(group)} events" for group in groups]
    hover = "%{text}<br>%{y:.1f} % of the group<extra>%{fullData.name}</extra>"
    return Figure(
        name="movements",
        title=f"Who gained and who lost with {model}",
        caption=f"Up: users whose next item ranks higher than under {baseline}; down: lower. Chance alone "
        "moves as many up as down, so read the diamond (net).",
        alt=f"{100 * changes.gained:.0f} % of users moved up, {100 * changes.lost:.0f} % down, "
        f"{100 * changes.unchanged:.0f} % stayed; {sum(n > 0 for n in net)} of {len(net)} groups gain net.",
        traces=[
            {
                **bar,
                "name": "gained",
                "y": gained,
                "marker": {"color": "--gain", "opacity": 0.8},
                "hovertemplate": hover,
            },
            {
                **bar,
                "name": "lost",
                "y": lost,
                "marker": {"color": "--loss", "opacity": 0.8},
                "hovertemplate": hover,
            },
            _net_trace(net),
        ],
        layout={
            "barmode": "relative",
            "bargap": 0.35,
            "xaxis": group_axis(groups),
            "yaxis": axis("share of the group's users, %", zerolinecolor="--ink", zerolinewidth=1.5),
        },
        height=380,
        numbers=Numbers(
            ("Training events", "Gained", "Lost", "Net"),
            [
                (range_text(group), f"{up:.1f} %", f"{-down:.1f} %", f"{up + down:+.1f} %")
                for group, up, down in zip(groups, gained, lost, strict=True)
            ],
        ),
    )


def _net_trace(net: list[float]) -> Spec:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "net",
        "x": list(range(1, len(net) + 1)),
        "y": net,
        "marker": {
            "color": "--ink",
            "size": 7,
            "symbol": "diamond",
            "line": {"color": "--panel", "width": 1.5},
        },
        "hovertemplate": "net %{y:+.1f} %<extra></extra>",
    }
