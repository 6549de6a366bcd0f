"""What a picture is: a Plotly drawing with a title, a way to read it, its content in words, its numbers.

Colours are named by CSS variable (`--ink`); the page's script puts in the value of the light or dark theme.
Labels are escaped here, since Plotly reads a few HTML tags in them.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]
"""A trace, axis or layout of Plotly."""

MODEL_COLOURS = {"din": "--model-0", "dccl-e": "--model-1", "dccl-m": "--model-2", "dccl-m+e": "--model-3"}
_SPARE_COLOURS = ("--model-4", "--model-5", "--model-6")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")


@dataclass(frozen=True)
class Numbers:
    """The numbers behind a picture, as a table for readers without it."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """One picture of the page."""

    name: str
    """Identifier within the page."""
    title: str
    caption: str
    """One line that says how to read it."""
    alt: str
    """What it shows, in words."""
    traces: list[Spec]
    layout: Spec
    height: int
    numbers: Numbers

    @property
    def drawing(self) -> Spec:
        """What the page's script hands to Plotly."""
        return {"data": self.traces, "layout": {**_base_layout(), **self.layout, "height": self.height}}


def safe(label: str) -> str:
    """A label that Plotly shows as it stands, tags and all."""
    return html.escape(label, quote=False)


def model_style(models: Sequence[str], model: str) -> tuple[str, str]:
    """Colour and marker symbol of a model: the same in every picture, told apart without colour too."""
    strangers = [name for name in models if name not in MODEL_COLOURS]
    if model in MODEL_COLOURS:
        return MODEL_COLOURS[model], _SYMBOLS[list(MODEL_COLOURS).index(model)]
    place = strangers.index(model)
    return _SPARE_COLOURS[place % len(_SPARE_COLOURS)], _SYMBOLS[(4 + place) % len(_SYMBOLS)]


def axis(title: str = "", **more: object) -> Spec:
    """An axis in the page's style: a light grid, no box."""
    return {
        "title": {"text": title, "font": {"size": 12, "color": "--muted"}, "standoff": 10},
        "gridcolor": "--grid",
        "linecolor": "--line",
        "zerolinecolor": "--line",
        "tickfont": {"size": 12, "color": "--muted"},
        "automargin": True,
        "fixedrange": True,
        **more,
    }


def _base_layout() -> Spec:
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "--font", "size": 13, "color": "--ink"},
        "margin": {"l": 8, "r": 12, "t": 34, "b": 8},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom"},
        "hoverlabel": {"bgcolor": "--panel", "bordercolor": "--line", "font": {"color": "--ink"}},
        "hovermode": "closest",
        "dragmode": False,
    }
