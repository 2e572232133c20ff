"""Bands, rules and texts: each brings its one row, so that it is drawn once."""

from __future__ import annotations

from typing import Any

from saespec.spec.charts import Band, Rule, Text

from .axes import DASHES, FAINT, Axes, field

_FROM, _TO, _AT = "from here", "to here", "at"


def band(one: Band, axes: Axes) -> dict[str, Any]:
    """A shaded range."""
    axis, ends = ("x", one.x) if one.x else ("y", one.y)
    assert ends is not None
    rows = _row({_FROM: ("min", ends[0]), _TO: ("max", ends[1])})
    encoding = {axis: axes.number(axis, _FROM), f"{axis}2": {"field": _TO}}
    return {**rows, "mark": {"type": "rect", "opacity": 0.12, **axes.clips()}, "encoding": encoding}


def rule(one: Rule, axes: Axes) -> dict[str, Any]:
    """A dashed line across."""
    axis, at = ("x", one.x) if one.x is not None else ("y", one.y)
    mark = {"type": "rule", "strokeDash": DASHES, "color": FAINT, **axes.clips()}
    return {**_row({_AT: ("mean", at)}), "mark": mark, "encoding": {axis: axes.number(axis, _AT)}}


def text(one: Text, axes: Axes) -> dict[str, Any]:
    """Words."""
    mark = {"type": "text", "text": one.says, "align": "left", "fontSize": 11, **axes.clips()}
    encoding = {axis: axes.number(axis, axis) for axis in ("x", "y")}
    return {"data": {"values": [{"x": one.x, "y": one.y}]}, "mark": mark, "encoding": encoding}


def _row(ends: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """One row of numbers, or of what the query's rows come to (in each panel)."""
    if not any(isinstance(end, str) for _, end in ends.values()):
        return {"data": {"values": [{name: end for name, (_, end) in ends.items()}]}}
    read = [
        {"op": op, "field": field(end), "as": name}
        for name, (op, end) in ends.items()
        if isinstance(end, str)
    ]
    given = [
        {"calculate": repr(end), "as": name} for name, (_, end) in ends.items() if not isinstance(end, str)
    ]
    return {"transform": [{"aggregate": read}, *given]}
