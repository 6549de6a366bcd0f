"""The page: a headline, the tables and pictures in reading order, one file that needs nothing else."""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from dccl.report import (
    activity_figures,
    cost_figures,
    improvement_figure,
    people_figures,
    round_figures,
    tables,
)
from dccl.report.figure import Figure
from dccl.report.headline import findings, headline
from dccl.report.labels import byte_count, count, model_label, points, ranking_label, signed_percent
from dccl.report.markup import Markup, joined, tag
from dccl.report.record import Reading
from dccl.wire.files import write_bytes
from dccl.wire.results import RunRecord


def write_report(record: RunRecord, environment: Mapping[str, Any], path: Path) -> None:
    """Write the run's report: one HTML file of about 5 MB that opens offline.

    Args:
        record: what the run found (`record.load_record` reads it from `metrics.json`).
        environment: versions and machine, shown as they are.
        path: the file to write; what stood there before stays until the new page is whole.

    Raises:
        StorageError: the file cannot be written.
    """
    write_bytes(path, render(record, environment).encode())


def render(record: RunRecord, environment: Mapping[str, Any]) -> str:
    """The page as a string."""
    from plotly.offline import get_plotlyjs  # half a second to import: only when a page is made

    reading = Reading(record)
    figures: list[Figure] = []
    body = _body(reading, environment, figures)
    drawings = {figure.name: figure.drawing for figure in figures}
    return _filled(
        title=joined(f"dccl: {record.data.name}"),
        style=_resource("style.css"),
        body=body,
        # `<` would end the script element early if a name held "</script>".
        drawings=msgspec.json.encode(drawings).decode().replace("<", "\\u003c"),
        plotly=get_plotlyjs(),
    )


def _resource(name: str) -> str:
    return resources.files("dccl.report").joinpath(name).read_text(encoding="utf-8")


def _filled(**parts: str) -> str:
    """The template with every `{{name}}` replaced, once: what is put in is not searched again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _resource("page.html"))


def _body(reading: Reading, environment: Mapping[str, Any], figures: list[Figure]) -> Markup:
    """Every section; the figures that they show are appended to `figures`."""

    def shown(*candidates: Figure | None) -> list[Markup]:
        drawn = [figure for figure in candidates if figure is not None]
        figures.extend(drawn)
        return [_figure(figure) for figure in drawn]

    improvement = [improvement_figure.improvement(reading, ranking) for ranking in reading.rankings]
    sections = [
        _section(
            "Results",
            tables.results(reading) if reading.models else None,
            _pair(shown(*improvement)),
            tables.improvements(reading),
        ),
        _section(
            "Who gains",
            shown(activity_figures.by_activity(reading)),
            _pair(shown(activity_figures.minorities(reading), people_figures.head_and_tail(reading))),
            shown(people_figures.movements(reading)),
        ),
        _section(
            "Rounds and training",
            _pair(shown(round_figures.rounds(reading), round_figures.training(reading))),
        ),
        _section(
            "What it costs",
            _pair(shown(cost_figures.bytes_per_device(reading), cost_figures.seconds_per_stage(reading))),
        ),
        _section("How it was measured", _protocol(reading), _folded(reading, environment)),
    ]
    return joined([_opening(reading), tag("main", sections), _closing(reading)])


def _section(title: str, *parts: Markup | list[Markup] | None) -> Markup:
    return tag("section", tag("h2", title), parts) if any(parts) else Markup()


def _pair(parts: list[Markup]) -> Markup:
    return tag("div", parts, class_="pair") if parts else Markup()


def _opening(reading: Reading) -> Markup:
    record = reading.record
    num_rounds = max((len(seed.rounds) for seed in record.seeds), default=0)
    size = f"{count(len(record.seeds), 'seed')} · {count(num_rounds, 'round')}"
    first, *rest = findings(reading) or [""]
    return tag(
        "header",
        tag("p", f"dccl report · {record.data.name} · {size}", class_="overline"),
        tag("h1", headline(reading)),
        tag("p", first, class_="lead") if first else None,
        tag("ul", [tag("li", sentence) for sentence in rest], class_="findings") if rest else None,
        tag("dl", [_tile(*tile) for tile in _tiles(reading)], class_="tiles"),
        _notes(record),
    )


def _notes(record: RunRecord) -> Markup | None:
    if not record.notes:
        return None
    return tag(
        "aside",
        tag("h2", "To know beside the numbers"),
        tag("ul", [tag("li", note) for note in record.notes]),
        class_="notes",
    )


def _tiles(reading: Reading) -> list[tuple[str, str, str]]:
    """(what, figure, remark) of the few figures that a reader looks for first."""
    tiles = []
    for model in (reading.baseline, reading.focus):
        spread = reading.spread(model, reading.main_ranking, "ndcg@10") if model else None
        if model and spread is not None:
            comparison = reading.comparison(model, reading.main_ranking, "ndcg@10")
            remark = (
                f"{comparison.verdict}, {signed_percent(comparison.relative)}"
                if comparison is not None
                else ranking_label(reading.main_ranking)
            )
            tiles.append((f"NDCG@10, {model_label(model)}", f"{points(spread.mean)} %", remark))
    if (changes := reading.changes(reading.focus)) is not None:
        tiles.append(
            ("Users up / down", f"{100 * changes.gained:.0f} / {100 * changes.lost:.0f} %", "in the ranking")
        )
    last = [seed.rounds[-1].guard_share for seed in reading.record.seeds if seed.rounds]
    if last:
        tiles.append(
            ("Devices using a patch", f"{100 * sum(last) / len(last):.0f} %", "the guard let it through")
        )
    upload = reading.record.bytes_per_device.surrogate_upload
    tiles.append(("Upload per device", byte_count(upload), "each round"))
    return tiles


def _tile(what: str, figure: str, remark: str) -> Markup:
    return tag("div", tag("dt", what), tag("dd", figure), tag("dd", remark, class_="remark"))


def _figure(figure: Figure) -> Markup:
    return tag(
        "figure",
        tag("h3", figure.title, id=f"{figure.name}-title"),
        tag(
            "div",
            id=figure.name,
            class_="plot",
            role="img",
            aria_label=f"{figure.title}. {figure.alt}",
            style=f"height: {figure.height}px",
        ),
        tag("figcaption", figure.caption),
        tag("details", tag("summary", "Numbers"), tables.numbers(figure.numbers, figure.title)),
        aria_labelledby=f"{figure.name}-title",
    )


def _protocol(reading: Reading) -> Markup:
    record, protocol = reading.record, reading.record.protocol
    pairs = [
        ("Data", f"{record.data.name}: {record.data.num_users:,} users, {record.data.num_items:,} items, "
                 f"{record.data.num_events:,} events"),
        ("Data checksum", record.data.checksum),
        ("Split", protocol.split),
        ("Setting", protocol.setting),
        ("Users evaluated", f"{protocol.n_users:,}"),
        ("History length", str(protocol.history_length)),
        ("Negatives", f"{protocol.num_negatives} per user, fixed, the same for all models"),
        ("Negatives checksum", protocol.negatives_checksum),
        ("Ties", protocol.ties),
        ("Seeds", ", ".join(str(seed.seed) for seed in record.seeds) or "none"),
        ("Backbone", model_label(record.backbone)),
        ("Junctions with a patch", ", ".join(record.junctions) or "none"),
        ("Surrogate width", str(record.surrogate_width)),
    ]  # fmt: skip
    return tables.facts(pairs, "Protocol", "Figures under another protocol must not be set beside these.")


def _folded(reading: Reading, environment: Mapping[str, Any]) -> list[Markup]:
    parts = (("Configuration", reading.record.config), ("Environment", environment))
    return [
        tag("details", tag("summary", name), tables.facts(tables.flattened(values), name))
        for name, values in parts
        if values
    ]


def _closing(reading: Reading) -> Markup:
    return tag(
        "footer",
        tag(
            "p",
            f"Written by dccl {reading.record.dccl_version}. The same figures for programs: metrics.json.",
        ),
    )
