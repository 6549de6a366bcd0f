"""The page: one safe, whole, self-contained, accessible file."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from dccl.report import page
from dccl.report.page import render, write_report
from dccl.wire.errors import StorageError
from dccl.wire.results import RunRecord

MakeRun = Callable[..., RunRecord]
ENVIRONMENT = {"python": "3.11.9", "cpu": {"cores": 2}, "<script>": "</script>"}


class Outline(HTMLParser):
    """Tags with attributes, and how many of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 MB of plotly.js would hide what these tests look for; one test puts it back."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "/*plotly.js*/")


def test_a_hostile_name_stays_text(make_run: MakeRun) -> None:
    hostile = "</script><script>alert(1)</script>"
    harmless = Outline(render(make_run(), ENVIRONMENT))
    attacked = Outline(render(make_run(name=hostile), ENVIRONMENT))
    assert Counter(tag for tag, _ in attacked.tags) == Counter(tag for tag, _ in harmless.tags)


@pytest.mark.parametrize("field", ["backbone", "dccl_version"])
def test_every_string_of_the_record_is_escaped(make_run: MakeRun, field: str) -> None:
    text = render(msgspec.structs.replace(make_run(), **{field: "<script>x"}), ENVIRONMENT)
    assert "<script>x" not in text
    assert "&lt;script&gt;x" in text


def test_notes_junctions_stages_models_and_configuration_are_escaped(make_run: MakeRun) -> None:
    evil = "<img src=x onerror=y>"
    run = make_run()
    for seed in run.seeds:
        seed.models[evil] = seed.models["din"]
        seed.seconds[evil] = 1.0
    run = msgspec.structs.replace(run, notes=[evil], junctions=[evil], config={evil: {evil: evil}})
    text = render(run, {evil: evil})
    assert "<img" not in text
    assert text.count("&lt;img src=x") > 8


def test_placeholders_in_a_name_are_not_filled(make_run: MakeRun) -> None:
    assert "{{plotly}}" in render(make_run(name="{{plotly}}"), ENVIRONMENT)


def test_the_page_fetches_nothing(make_run: MakeRun) -> None:
    text = render(make_run(), ENVIRONMENT)
    outline = Outline(text)
    for _, attributes in outline.tags:
        assert not {"src", "href", "srcset", "data", "action"} & set(attributes)
    assert not re.search(r"url\(|@import|https?://", text)
    policy = next(
        m["content"] for m in outline.named("meta") if m.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_plotly_is_inlined_once(make_run: MakeRun) -> None:
    assert render(make_run(), ENVIRONMENT).count("/*plotly.js*/") == 1


def test_the_real_bundle_is_plotly(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    text = render(make_run(), ENVIRONMENT)
    assert "Plotly" in text
    assert 3_000_000 < len(text) < 8_000_000


def test_every_picture_table_and_heading_is_accessible(make_run: MakeRun) -> None:
    text = render(make_run(), ENVIRONMENT)
    outline = Outline(text)
    pictures = [a for a in outline.named("div") if a.get("role") == "img"]
    assert len(pictures) == len(outline.named("figure")) == len(outline.named("figcaption")) == 10
    assert all(len(picture["aria-label"] or "") > 20 for picture in pictures)
    assert len(outline.named("caption")) == len(outline.named("table"))
    assert all(cell.get("scope") for cell in outline.named("th"))
    assert len(outline.named("h1")) == 1
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for a in outline.named("figure")} <= set(ids)


def test_every_drawing_has_its_place(make_run: MakeRun) -> None:
    text = render(make_run(), ENVIRONMENT)
    found = re.search(r'id="drawings">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    places = {a["id"] for a in Outline(text).named("div") if a.get("role") == "img"}
    assert set(msgspec.json.decode(found[1])) == places


@pytest.mark.parametrize("num_seeds", [0, 1])
def test_a_run_with_little_in_it_still_makes_a_page(make_run: MakeRun, num_seeds: int) -> None:
    run = msgspec.structs.replace(
        make_run(num_seeds=1, num_rounds=1), comparisons=[], changes=[], notes=[], config={}
    )
    run = msgspec.structs.replace(
        run, seeds=[msgspec.structs.replace(s, rounds=[], curve=[], groups=[]) for s in run.seeds[:num_seeds]]
    )
    outline = Outline(render(run, {}))
    assert len(outline.named("h1")) == 1
    assert len(outline.named("figure")) == 1 + num_seeds  # bytes; with a seed also the seconds of its stages


def test_the_protocol_and_checksums_are_on_the_page(make_run: MakeRun) -> None:
    run = make_run()
    text = render(run, ENVIRONMENT)
    for value in (run.data.checksum, run.protocol.negatives_checksum, run.protocol.ties, "leave-one-out"):
        assert value in text


def test_a_page_that_fails_leaves_the_old_one(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(page, "_body", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(make_run(), ENVIRONMENT, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*report\.html"):
        write_report(make_run(), ENVIRONMENT, tmp_path / "file" / "report.html")


def test_the_report_needs_no_torch() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'polars', 'pyarrow', 'numpy'): sys.modules[name] = None\n"
        "import dccl.report.page"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def palettes() -> dict[str, dict[str, str]]:
    style = resources.files("dccl.report").joinpath("style.css").read_text()
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    dark = dark.split("\n}\n")[0]
    found = {
        name: dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", text))
        for name, text in (("light", light), ("dark", dark))
    }
    assert set(found["light"]) == set(found["dark"])
    return found


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_have_enough_contrast(theme: str) -> None:
    palette = palettes()[theme]
    for ground in ("--paper", "--panel", "--wash"):
        for text in ("--ink", "--muted", "--accent"):
            assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
    for name, colour in palette.items():
        if name in ("--gain", "--loss"):  # verdicts are text in these colours
            assert contrast(colour, palette["--panel"]) >= 4.5, name
        if name.startswith("--model"):
            assert contrast(colour, palette["--panel"]) >= 3.0, name
