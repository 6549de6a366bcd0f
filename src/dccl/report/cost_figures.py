"""Pictures of what it costs: bytes that a device moves, seconds that a stage takes."""

import math
import statistics

from dccl.report.figure import Figure, Numbers, Spec, axis, safe
from dccl.report.labels import byte_count, duration
from dccl.report.record import Reading


def bytes_per_device(reading: Reading) -> Figure:
    """What a device sends and fetches, beside what sending a full model would cost."""
    moved = reading.record.bytes_per_device
    full_model = moved.backbone_download + moved.item_table
    rows = [
        ("up: surrogate", moved.surrogate_upload, "--model-1", "circle"),
        ("up, if it were the<br>full model", full_model, "--model-0", "circle-open"),
        ("down: backbone", moved.backbone_download, "--model-2", "square"),
        ("down: item table", moved.item_table, "--model-2", "square"),
        ("down: basis", moved.basis_download, "--model-2", "square"),
    ]
    ratio = full_model / max(1, moved.surrogate_upload)
    sizes = [max(1, size) for _, size, _, _ in rows]
    top = math.ceil(10 * (math.log10(max(sizes)) + 1.5)) / 10  # room for the label of the largest
    return Figure(
        name="bytes",
        title="Bytes per device",
        caption=f"Each step of the scale is 1,000 times more. The upload, once a round, is 1/{ratio:,.0f} of "
        "the full model; the down part is fetched once per release.",
        alt=", ".join(f"{name.replace('<br>', ' ')} {byte_count(size)}" for name, size, _, _ in rows) + ".",
        traces=[
            *(_stem(row, size) for row, size in enumerate(sizes)),
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": sizes,
                "y": list(range(len(rows))),
                "text": [f"  {byte_count(size)}" for _, size, _, _ in rows],
                "textposition": "middle right",
                "cliponaxis": False,
                "marker": {
                    "color": [colour for _, _, colour, _ in rows],
                    "symbol": [symbol for _, _, _, symbol in rows],
                    "size": 12,
                    "line": {"width": 2, "color": [colour for _, _, colour, _ in rows]},
                },
                "hoverinfo": "skip",
            },
        ],
        layout={
            "xaxis": axis(
                "bytes, logarithmic",
                type="log",
                range=[0, top],
                tickvals=[10**power for power in range(0, math.ceil(top), 3)],
                ticktext=[byte_count(10**power).replace(".0", "") for power in range(0, math.ceil(top), 3)],
            ),
            "yaxis": _row_axis([name for name, _, _, _ in rows]),
            "showlegend": False,
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        },
        height=300,
        numbers=Numbers(
            ("What", "Bytes"), [(name.replace("<br>", " "), f"{size:,}") for name, size, _, _ in rows]
        ),
    )


def _stem(row: int, size: int) -> Spec:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [1, size],
        "y": [row, row],
        "line": {"color": "--line", "width": 2},
        "hoverinfo": "skip",
    }


def _row_axis(names: list[str]) -> Spec:
    return axis(
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )


def seconds_per_stage(reading: Reading) -> Figure | None:
    """Wall-clock seconds of each stage, mean over seeds, in the order in which they ran."""
    stages = list(dict.fromkeys(stage for seed in reading.record.seeds for stage in seed.seconds))
    if not stages:
        return None
    means = {
        stage: statistics.fmean(s.seconds[stage] for s in reading.record.seeds if stage in s.seconds)
        for stage in stages
    }
    total = sum(means.values())
    return Figure(
        name="seconds",
        title="Seconds per stage",
        caption=f"One seed takes {duration(total)} of wall-clock time in all; stages stand in the order they "
        "ran in.",
        alt=", ".join(f"{stage} {duration(value)}" for stage, value in means.items()) + ".",
        traces=[
            {
                "type": "bar",
                "orientation": "h",
                "x": list(means.values()),
                "y": list(range(len(means))),
                "marker": {"color": "--model-1"},
                "text": [f" {duration(value)}" for value in means.values()],
                "textposition": "outside",
                "cliponaxis": False,
                "hoverinfo": "skip",
            }
        ],
        layout={
            "xaxis": axis("seconds", range=[0, max(1e-9, *means.values()) * 1.28]),
            "yaxis": _row_axis([safe(stage) for stage in stages]),
            "bargap": 0.4,
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        },
        height=110 + 38 * len(stages),
        numbers=Numbers(
            ("Stage", "Seconds", "Share"),
            [
                (stage, f"{value:.1f}", f"{100 * value / max(total, 1e-9):.0f} %")
                for stage, value in means.items()
            ],
        ),
    )
