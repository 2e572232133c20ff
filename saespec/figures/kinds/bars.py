"""Bars of names."""

from __future__ import annotations

from typing import Any

from saespec.spec.charts import Bars, Plotted

from .axes import PANEL, Axes, field

_WIDTH = 34


def layers(bars: Bars, axes: Axes) -> list[dict[str, Any]]:
    """A bar a row, stacked or beside each other where colours tell rows of one name apart."""
    encoding = {"x": axes.names("x", bars.x, bars.sort), "y": axes.number("y", bars.y, zero=True)}
    if bars.color:
        encoding["color"] = axes.told_apart(bars.color)
        if bars.beside:
            encoding["xOffset"] = {"field": field(bars.color), "type": "nominal"}
    return [{"mark": {"type": "bar", **axes.clips()}, "encoding": encoding}]


def size(kind: Plotted, is_panel: bool) -> dict[str, Any]:
    """Width of a name, and height of the whole."""
    return {
        "width": {"step": kind.width or _WIDTH},
        "height": kind.height or (PANEL["height"] if is_panel else 220),
    }
