"""A scatter plot: a point a row."""

from __future__ import annotations

from typing import Any

from saespec.spec.charts import Scatter

from .axes import Axes, field


def layers(scatter: Scatter, axes: Axes) -> list[dict[str, Any]]:
    """Points, and texts beside them if they have labels."""
    at = {"x": axes.number("x", scatter.x), "y": axes.number("y", scatter.y)}
    apart: dict[str, Any] = {}
    if scatter.color:
        apart["color"] = axes.told_apart(scatter.color, scatter.sort)
    elif scatter.shade:
        title = axes.title(scatter.shade)
        apart["color"] = {"field": field(scatter.shade), "type": "quantitative", "title": title}
    if scatter.shape:
        apart["shape"] = axes.told_apart(scatter.shape)
    mark = {"type": "point", "size": scatter.size, "opacity": scatter.opacity, **axes.clips()}
    found = [{"mark": mark, "encoding": {**at, **apart}}]
    if scatter.label:
        text = {"type": "text", "align": "left", "dx": 6, **axes.clips()}
        label = {"field": field(scatter.label), "type": "nominal"}
        found.append({"mark": text, "encoding": {**at, "text": label}})
    return found
