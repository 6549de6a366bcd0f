"""Pictures of whom it helps: macro-AUC by activity, distance from the mean, head and tail, who moved."""

from dccl.report.figure import Figure, Numbers, Spec, axis, model_style, safe
from dccl.report.labels import event_range, model_label, points, signed_points
from dccl.report.record import Reading
from dccl.wire.results import GroupRecord

SLICES = {"tail": "least active fifth", "head": "most active fifth"}


def by_activity(reading: Reading) -> Figure | None:
    """macro-AUC of every group: baseline against the personal models, and their difference below."""
    groups, focus, means = _groups(reading), reading.focus, _means(reading)
    if not groups or focus is None or reading.baseline not in means or focus not in means:
        return None
    sizes = sorted({group.n_users for group in groups})
    colour, _ = model_style(reading.models, focus)
    changes = [new - old for new, old in zip(means[focus], means[reading.baseline], strict=True)]
    traces = [_group_trace(reading, model, values, groups) for model, values in means.items()]
    traces.append(
        {
            "type": "bar",
            "x": list(range(1, len(groups) + 1)),
            "y": [100 * change for change in changes],
            "yaxis": "y2",
            "marker": {"color": [colour if change >= 0 else "--loss" for change in changes]},
            "showlegend": False,
            "text": [_range_text(group) for group in groups],
            "textposition": "none",
            "hovertemplate": "%{text}<br>%{y:+.2f} points<extra>difference</extra>",
        }
    )
    names = f"{model_label(focus)} minus {model_label(reading.baseline)}"
    return Figure(
        name="activity",
        title="macro-AUC by activity of the user",
        caption=f"Groups of {event_range(sizes[0], sizes[-1])} users from few training events (left) to many "
        f"(right); the bars below are {names}.",
        alt=f"macro-AUC of {len(groups)} activity groups for {', '.join(model_label(m) for m in means)}; "
        f"{sum(c > 0 for c in changes)} of {len(groups)} groups are better under {model_label(focus)}.",
        traces=traces,
        layout={
            "xaxis": _group_axis(groups, anchor="y2"),
            "yaxis": axis("macro-AUC, %", domain=[0.38, 1]),
            "yaxis2": axis("difference, points", domain=[0, 0.3]),
            "bargap": 0.35,
        },
        height=460,
        numbers=Numbers(
            ("Training events", "Users", *(model_label(model) for model in means)),
            [
                (
                    _range_text(group),
                    str(group.n_users),
                    *(points(values[place]) for values in means.values()),
                )
                for place, group in enumerate(groups)
            ],
        ),
    )


def _groups(reading: Reading) -> list[GroupRecord]:
    first = reading.first_seed()
    return first.groups if first else []


def _means(reading: Reading) -> dict[str, list[float]]:
    num_groups = len(_groups(reading))
    means = {model: reading.group_means(model) for model in reading.models}
    return {model: values for model, values in means.items() if values and len(values) == num_groups}


def _range_text(group: GroupRecord) -> str:
    return event_range(group.min_events, group.max_events)


def _group_axis(groups: list[GroupRecord], **more: object) -> Spec:
    return axis(
        "activity group, by its fewest training events",
        tickvals=list(range(1, len(groups) + 1)),
        ticktext=[f"{group.min_events}" for group in groups],
        tickangle=0,
        showgrid=False,
        range=[0.4, len(groups) + 0.6],
        **more,
    )


def _group_trace(reading: Reading, model: str, values: list[float], groups: list[GroupRecord]) -> Spec:
    colour, symbol = model_style(reading.models, model)
    shown = model in (reading.baseline, reading.focus)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": safe(model_label(model)),
        "visible": True if shown else "legendonly",
        "x": list(range(1, len(groups) + 1)),
        "y": [100 * value for value in values],
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "symbol": symbol, "size": 7},
        "text": [f"{_range_text(group)} events, {group.n_users} users" for group in groups],
        "hovertemplate": "%{text}<br>%{y:.2f} %<extra>%{fullData.name}</extra>",
    }


def minorities(reading: Reading) -> Figure | None:
    """How far each group stands from its model's own mean: what one model for all does to minorities."""
    groups, focus, means = _groups(reading), reading.focus, _means(reading)
    if not groups or focus is None or reading.baseline not in means or focus not in means:
        return None
    shown = {
        model: _distances(values, groups)
        for model, values in means.items()
        if model in (reading.baseline, focus)
    }
    widths = {model: max(values) - min(values) for model, values in shown.items()}
    traces = [
        {**_group_trace(reading, model, values, groups), "hovertemplate": _DISTANCE_HOVER}
        for model, values in shown.items()
    ]
    return Figure(
        name="minorities",
        title="Who is served below the mean",
        caption="Zero is the model's own mean user; a flatter line serves active and inactive users more "
        "alike.",
        alt="Distance of each group's macro-AUC from the mean; from worst to best group it spans "
        + " and ".join(f"{100 * width:.1f} points under {model_label(m)}" for m, width in widths.items())
        + ".",
        traces=traces,
        layout={
            "xaxis": _group_axis(groups),
            "yaxis": axis("macro-AUC minus the mean, points", zerolinecolor="--ink", zerolinewidth=1.5),
        },
        height=360,
        numbers=Numbers(
            ("Training events", *(model_label(model) for model in shown)),
            [
                (_range_text(group), *(signed_points(values[place]) for values in shown.values()))
                for place, group in enumerate(groups)
            ],
        ),
    )


_DISTANCE_HOVER = "%{text}<br>%{y:+.2f} points<extra>%{fullData.name}</extra>"


def _distances(values: list[float], groups: list[GroupRecord]) -> list[float]:
    num_users = sum(group.n_users for group in groups)
    mean = sum(v * group.n_users for v, group in zip(values, groups, strict=True)) / num_users
    return [value - mean for value in values]


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
    changes, groups = reading.changes(reading.focus), _groups(reading)
    if changes is None or not groups or len(changes.by_group) != len(groups):
        return None
    gained = [100 * up for up, _ in changes.by_group]
    lost = [-100 * down for _, down in changes.by_group]
    net = [up + down for up, down in zip(gained, lost, strict=True)]
    model, baseline = model_label(changes.model), model_label(changes.baseline)
    bar: Spec = {"type": "bar", "x": list(range(1, len(groups) + 1)), "textposition": "none"}
    bar["text"] = [f"{_range_text(group)} events" for group in groups]
    net_trace: Spec = {
        "type": "scatter",
        "mode": "markers",
        "name": "net",
        "x": bar["x"],
        "y": net,
        "marker": {
            "color": "--ink",
            "size": 7,
            "symbol": "diamond",
            "line": {"color": "--panel", "width": 1.5},
        },
        "hovertemplate": "net %{y:+.1f} %<extra></extra>",
    }
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
            net_trace,
        ],
        layout={
            "barmode": "relative",
            "bargap": 0.35,
            "xaxis": _group_axis(groups),
            "yaxis": axis("share of the group's users, %", zerolinecolor="--ink", zerolinewidth=1.5),
        },
        height=380,
        numbers=Numbers(
            ("Training events", "Gained", "Lost", "Net"),
            [
                (_range_text(group), f"{up:.1f} %", f"{-down:.1f} %", f"{up + down:+.1f} %")
                for group, up, down in zip(groups, gained, lost, strict=True)
            ],
        ),
    )
