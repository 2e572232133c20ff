"""A heatmap: coloured cells, each with its number in black or white, whichever is readable."""

from __future__ import annotations

import json
from typing import Any

from saespec.spec.charts import Heatmap, Plotted

from .axes import Axes, field

_CELL = {"width": 46, "height": 34}
_SLANTED = 34
"""Cells narrower than this have slanted labels on x: level ones would touch."""
_SMALL = 42
"""Cells narrower than this have smaller numbers."""
_BRIGHT = 0.35
"""Luminance from which black is easier to read than white."""


def layers(heatmap: Heatmap, axes: Axes) -> list[dict[str, Any]]:
    """Rectangles, and texts over them."""
    width = heatmap.width or _CELL["width"]
    scale: dict[str, Any] = {"scheme": heatmap.scheme}
    if ends := axes.said("domain", "value"):
        scale |= {"domain": ends, "clamp": True}
    value = field(heatmap.value)
    color = {"field": value, "type": "quantitative", "title": axes.title(heatmap.value), "scale": scale}
    x = axes.names("x", heatmap.x, labelAngle=-45 if width < _SLANTED else 0)
    at = {"x": x, "y": axes.names("y", heatmap.y)}
    found: list[dict[str, Any]] = [{"mark": "rect", "encoding": {**at, "color": color}}]
    test = f"luminance(scale('color', datum[{json.dumps(heatmap.value)}])) > {_BRIGHT}"
    ink = {"condition": {"test": test, "value": "black"}, "value": "white"}
    up = 6 if heatmap.second else 0
    if heatmap.numbers:
        number = {"field": value, "type": "quantitative", "format": axes.said("format", "value") or ".2f"}
        mark = {"type": "text", "fontSize": 10 if width >= _SMALL else 9, "dy": -up}
        found.append({"mark": mark, "encoding": {**at, "text": number, "color": ink}})
    if heatmap.second:
        second = {"field": field(heatmap.second), "type": "nominal"}
        mark = {"type": "text", "fontSize": 9, "dy": up + 2}
        found.append({"mark": mark, "encoding": {**at, "text": second, "color": ink}})
    return found


def size(kind: Plotted, is_panel: bool) -> dict[str, Any]:
    """Width and height of a cell."""
    own = {"width": kind.width, "height": kind.height}
    return {side: {"step": own[side] or usual} for side, usual in _CELL.items()}
