"""What all layers of a chart say alike: titles, scales, formats and orders, by column and by axis."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from saespec.spec.charts import Plotted

CHART = {"width": 420, "height": 260}
PANEL = {"width": 220, "height": 150}
"""Sizes in pixels where a figure says none."""
FAINT = "#777777"
DASHES = [5, 4]


class Axes:
    """Definitions of channels for the layers of one chart."""

    def __init__(
        self, plotted: Sequence[tuple[str, Plotted]], labels: Mapping[str, str], cases: Sequence[str]
    ) -> None:
        self._kinds = [kind for _, kind in plotted]
        self._labels = labels
        self._cases = cases

    def title(self, column: str) -> str | None:
        """What a column is called; None if the label is empty."""
        plain = column.replace("_", " ")
        return self._labels.get(column, plain[:1].upper() + plain[1:]) or None

    def number(self, axis: str, column: str, zero: bool = False, **more: Any) -> dict[str, Any]:
        """A column of numbers along x or y. The title is that of the lowest layer."""
        scale: dict[str, Any] = {}
        ends, is_log = self.said("domain", axis), self._is_log(axis)
        if is_log:
            scale["type"] = "log"
        elif not zero:
            scale["zero"] = False
        if (is_log and self.said("ticks", axis)) or (not ends and self.clips()):
            # Up to the data, not to the next decade, and points at the edge are not cut.
            scale |= {"nice": False, "padding": 8}
        if ends:
            scale["domain"] = ends
        guide = {"format": self.said("format", axis), "values": self.said("ticks", axis)}
        guide = {key: value for key, value in guide.items() if value is not None}
        own = {"scale": scale, "axis": guide}
        return {
            "field": field(column),
            "type": "quantitative",
            "title": self.title(self.column(axis)),
            **{key: value for key, value in own.items() if value},
            **more,
        }

    def names(self, axis: str, column: str, sort: str | None = None, **guide: Any) -> dict[str, Any]:
        """A column of names, or of numbers as names, along x or y."""
        if form := self.said("format", axis):
            guide["format"] = form
        found = {
            "field": field(column),
            "type": "ordinal",
            "title": self.title(column),
            **self._order(column, sort),
        }
        return {**found, "axis": guide} if guide else found

    def told_apart(self, column: str, sort: str | None = None) -> dict[str, Any]:
        """A column of names for colours, shapes or dashes, with a legend."""
        return {
            "field": field(column),
            "type": "nominal",
            "title": self.title(column),
            **self._order(column, sort),
        }

    def panels(self, column: str, sort: str | None = None) -> dict[str, Any]:
        """A column with a panel for each value; its title is its label, if it has one."""
        title = self._labels.get(column) or None
        return {"field": field(column), "type": "nominal", "title": title, **self._order(column, sort)}

    def clips(self) -> dict[str, Any]:
        """`clip` for marks where an axis ends before the data may."""
        return {"clip": True} if self.said("domain", "x") or self.said("domain", "y") else {}

    def column(self, axis: str) -> str:
        """The column that gives an axis its title; that of a histogram of rows is their count."""
        return next((column for kind in self._kinds if (column := getattr(kind, axis) or "count")), "")

    def said(self, word: str, axis: str) -> Any:
        """What a layer says of an axis; None if none does. No two say different things."""
        return next(
            (one for kind in self._kinds if (one := getattr(kind, word, {}).get(axis)) is not None), None
        )

    def _is_log(self, axis: str) -> bool:
        return any(axis in getattr(kind, "log", ()) for kind in self._kinds)

    def _order(self, column: str, sort: str | None) -> dict[str, Any]:
        if sort:
            return {"sort": {"field": field(sort), "op": "min"}}
        # Cases stand in the order of the sweep.
        return {"sort": list(self._cases)} if column == "case_name" and self._cases else {}


def field(column: str) -> str:
    """A column's name as Vega-Lite takes it: dots and brackets would mean parts of it."""
    return re.sub(r"([.\[\]])", r"\\\1", column)


def size(kind: Plotted, is_panel: bool) -> dict[str, Any]:
    """Width and height of a chart of numbers, or of a panel of it."""
    usual = PANEL if is_panel else CHART
    return {"width": kind.width or usual["width"], "height": kind.height or usual["height"]}
