"""Lines, alone or as the mean of rows with a band around it."""

from __future__ import annotations

from typing import Any

from saespec.spec.charts import Line

from .axes import DASHES, FAINT, Axes


def layers(line: Line, axes: Axes) -> list[dict[str, Any]]:
    """A line, under it its band."""
    mark: dict[str, Any] = {"type": "line", "point": line.points and not line.dashed, **axes.clips()}
    if line.dashed:
        mark |= {"strokeDash": DASHES, "strokeWidth": 1.2} | ({} if line.color else {"color": FAINT})
    x, y = axes.number("x", line.x), axes.number("y", line.y)
    apart: dict[str, Any] = {}
    if line.color:
        apart["color"] = axes.told_apart(line.color, line.sort)
    if line.dash:
        apart["strokeDash"] = axes.told_apart(line.dash)
    if not line.error:
        return [{"mark": mark, "encoding": {"x": x, "y": y, **apart}}]
    if line.color:  # else the legend would be as faint as the band
        apart["color"]["legend"] = {"symbolOpacity": 1}
    mean = {"mark": mark, "encoding": {"x": x, "y": {**y, "aggregate": "mean"}, **apart}}
    if line.error == "range":
        area = {"type": "area", "opacity": 0.2, **axes.clips()}
        ends = {"y": {**y, "aggregate": "min"}, "y2": {"field": y["field"], "aggregate": "max"}}
        return [{"mark": area, "encoding": {"x": x, **ends, **apart}}, mean]
    band = {"type": "errorband", "extent": line.error, "opacity": 0.2, **axes.clips()}
    return [{"mark": band, "encoding": {"x": x, "y": y, **apart}}, mean]
