"""Pictures by activity of the user: macro-AUC of every group, and its distance from the mean."""

from dccl.report.figure import Figure, Numbers, Spec, axis, model_style, safe
from dccl.report.labels import event_range, model_label, points, signed_points
from dccl.report.record import Reading
from dccl.wire.results import GroupRecord


def by_activity(reading: Reading) -> Figure | None:
    """macro-AUC of every group: baseline against the personal models, and their difference below."""
    groups, focus, means = groups_of(reading), reading.focus, _means(reading)
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
            "text": [range_text(group) for group in groups],
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
            "xaxis": group_axis(groups, anchor="y2"),
            "yaxis": axis("macro-AUC, %", domain=[0.38, 1]),
            "yaxis2": axis("difference, points", domain=[0, 0.3]),
            "bargap": 0.35,
        },
        height=460,
        numbers=Numbers(
            ("Training events", "Users", *(model_label(model) for model in means)),
            [
                (
                    range_text(group),
                    str(group.n_users),
                    *(points(values[place]) for values in means.values()),
                )
                for place, group in enumerate(groups)
            ],
        ),
    )


def groups_of(reading: Reading) -> list[GroupRecord]:
    """The activity groups, which depend on the data only and so are those of any seed."""
    first = reading.first_seed()
    return first.groups if first else []


def _means(reading: Reading) -> dict[str, list[float]]:
    num_groups = len(groups_of(reading))
    means = {model: reading.group_means(model) for model in reading.models}
    return {model: values for model, values in means.items() if values and len(values) == num_groups}


def range_text(group: GroupRecord) -> str:
    """The training events of the group's users."""
    return event_range(group.min_events, group.max_events)


def group_axis(groups: list[GroupRecord], **more: object) -> Spec:
    """The activity groups from left to right, with the fewest events of each."""
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
        "text": [f"{range_text(group)} events, {group.n_users} users" for group in groups],
        "hovertemplate": "%{text}<br>%{y:.2f} %<extra>%{fullData.name}</extra>",
    }


def minorities(reading: Reading) -> Figure | None:
    """How far each group stands from its model's own mean: what one model for all does to minorities."""
    groups, focus, means = groups_of(reading), reading.focus, _means(reading)
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
            "xaxis": group_axis(groups),
            "yaxis": axis("macro-AUC minus the mean, points", zerolinecolor="--ink", zerolinewidth=1.5),
        },
        height=360,
        numbers=Numbers(
            ("Training events", *(model_label(model) for model in shown)),
            [
                (range_text(group), *(signed_points(values[place]) for values in shown.values()))
                for place, group in enumerate(groups)
            ],
        ),
    )


_DISTANCE_HOVER = "%{text}<br>%{y:+.2f} points<extra>%{fullData.name}</extra>"


def _distances(values: list[float], groups: list[GroupRecord]) -> list[float]:
    num_users = sum(group.n_users for group in groups)
    mean = sum(v * group.n_users for v, group in zip(values, groups, strict=True)) / num_users
    return [value - mean for value in values]
