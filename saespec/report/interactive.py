"""What a reader may do to a chart: point at a mark, zoom with the wheel, click a legend to keep one of its colours."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

_FAINT = 0.08
"""Opacity of what a legend's click leaves out."""
_ZOOMED = ("line", "point", "circle", "trail")


def interactive(chart: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole Vega-Lite chart with tooltips, zoom and legends that filter, where they help."""
    found: dict[str, Any] = copy.deepcopy(dict(chart))
    found.pop("usermeta", None)
    found.setdefault("config", {}).setdefault("mark", {})["tooltip"] = {"content": "encoding"}
    found["config"]["background"] = "transparent"
    rows = found.pop("data", None)  # marks with data of their own are notes: the chart itself is none
    for number, every in enumerate(_groups(found)):
        group = [mark for mark in every if _kind(mark) not in ("errorband", "errorbar", "boxplot")]
        _zooms(group, f"zoom{number}")
        _filters(group, f"kept{number}")
    return found if rows is None else {**found, "data": rows}


def _groups(part: Any) -> Iterator[list[dict[str, Any]]]:
    """The marks of each view, with the layers that lie over each other together."""
    if not isinstance(part, dict):
        return
    if "layer" in part:
        yield [one for layer in part["layer"] for group in _groups(layer) for one in group]
    elif "mark" in part:
        yield [part]
    for key in ("spec", "concat", "hconcat", "vconcat"):
        inner = part.get(key)
        for one in inner if isinstance(inner, list) else [inner]:
            yield from _groups(one)


def _zooms(marks: list[dict[str, Any]], name: str) -> None:
    for mark in marks:
        axes = [mark.get("encoding", {}).get(axis, {}) for axis in ("x", "y")]
        plain = all(
            axis.get("type") == "quantitative" and not axis.keys() & {"bin", "aggregate", "stack"}
            for axis in axes
        )
        if plain and _kind(mark) in _ZOOMED and "data" not in mark:
            mark.setdefault("params", []).append({"name": name, "select": "interval", "bind": "scales"})
            for one in marks:  # what is zoomed out of view does not lie over the axes
                own = one["mark"] if isinstance(one["mark"], dict) else {"type": one["mark"]}
                one["mark"] = {**own, "clip": True}
            return


def _filters(marks: list[dict[str, Any]], name: str) -> None:
    colored = [mark for mark in marks if "data" not in mark and _field(mark)]
    if not colored:
        return
    select = {"type": "point", "fields": [_field(colored[0])]}
    colored[0].setdefault("params", []).append({"name": name, "select": select, "bind": "legend"})
    for mark in colored:
        if _field(mark) == _field(colored[0]) and "opacity" not in mark["encoding"]:
            own = mark["mark"].get("opacity", 1) if isinstance(mark["mark"], dict) else 1
            mark["encoding"]["opacity"] = {"condition": {"param": name, "value": own}, "value": _FAINT}


def _field(mark: Mapping[str, Any]) -> str | None:
    """The column of names that a mark's colours tell apart, if there is a legend of them."""
    color = mark.get("encoding", {}).get("color", {})
    named = color.get("type") in ("nominal", "ordinal") and color.get("legend", {}) is not None
    return color.get("field") if named and mark["mark"] != "rect" else None


def _kind(mark: Mapping[str, Any]) -> str:
    return str(mark["mark"].get("type") if isinstance(mark["mark"], dict) else mark["mark"])
