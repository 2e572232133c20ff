"""Figures and claims: presentation, so they never enter a cell's identity."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field

from .base import Conflict, Strict
from .charts import (
    Bands,
    Bars,
    Box,
    FacetOrColumn,
    Heatmap,
    Layer,
    Numbers,
    Overlay,
    Plotted,
    Rules,
    Texts,
)


class Figure(Overlay):
    """One SQL query and one chart over its rows: of a kind, of several in layers, or Vega-Lite as it is."""

    title: str = Field(description="Title above the chart.")
    caption: str = Field(
        "", description="What a reader must know that the chart does not say, and which figure it rebuilds."
    )
    sql: str = Field(
        description="DuckDB SELECT over this spec's tables and `queries`; its columns are what the chart shows."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="What columns are called here, over the spec's own `labels`."
    )
    heatmap: Heatmap | None = Field(None, description="A coloured cell for each pair of x and y.")
    bar: Bars | None = Field(None, description="A bar a row.")
    box: Box | None = Field(None, description="Quartiles of the rows of each name.")
    layers: list[Layer] = Field(default_factory=list, description="Charts that lie over each other.")
    facet: FacetOrColumn | None = Field(None, description="A panel for each value of a column.")
    band: Bands = Field(default_factory=list, description="A shaded range, or several.")
    rule: Rules = Field(default_factory=list, description="A dashed line across, or several.")
    text: Texts = Field(default_factory=list, description="Words in the chart.")
    vega_lite: dict[str, Any] | None = Field(None, description="Vega-Lite chart without data and title.")

    @classmethod
    def ousted(cls, key: str, value: Any) -> Collection[str]:
        """A figure has one chart: who overrides it by another kind drops the base's, and what went with it."""
        ways = {*cls.kind_names(), "layers", "vega_lite"}
        notes = {"labels", "facet", "band", "rule", "text"} if key == "vega_lite" else set()
        return ({*ways, *notes} - {key}) if key in ways else ()

    def plotted(self) -> list[tuple[str, Plotted]]:
        """The charts that lie over each other, the lowest first, by their place in the figure."""
        layers = [
            (f"layers.{i}.{name}", kind) for i, one in enumerate(self.layers) for name, kind in one.kinds()
        ]
        return [*self.kinds(), *layers]

    def shown_columns(self) -> Iterator[tuple[str, str]]:
        """Yield each place of the figure that names a column of its query, and the column."""
        parts: list[tuple[str, Any]] = [*self.plotted()]
        parts += [("facet", self.facet)] if self.facet else []
        parts += [(f"band.{i}", one) for i, one in enumerate(self.band)]
        parts += [(f"rule.{i}", one) for i, one in enumerate(self.rule)]
        for path, part in parts:
            yield from ((f"{path}.{field}", column) for field, column in part.shown_columns())

    def number_columns(self) -> Iterator[tuple[str, str]]:
        """Those of them that are of numbers."""
        kinds = {path: kind.numbers_only for path, kind in self.plotted()}
        for path, column in self.shown_columns():
            above, _, field = path.rpartition(".")
            if path.startswith(("band.", "rule.")) or path == "facet.sort" or field in kinds.get(above, ()):
                yield path, column

    def _constants(self) -> Iterator[tuple[str, str, float]]:
        """Numbers of bands, rules and texts: their place, their axis, and what they are."""
        for axis in ("x", "y"):
            for i, band in enumerate(self.band):
                yield from (
                    (f"band.{i}.{axis}.{j}", axis, end)
                    for j, end in enumerate(getattr(band, axis) or ())
                    if not isinstance(end, str)
                )
            for name, notes in (("rule", self.rule), ("text", self.text)):
                for i, note in enumerate(notes):
                    if not isinstance(at := getattr(note, axis), str | None):
                        yield f"{name}.{i}.{axis}", axis, at

    def conflicts(self) -> Iterator[Conflict]:
        ways = [name for name, _ in self.kinds()]
        ways += [name for name in ("layers", "vega_lite") if getattr(self, name, None)]
        whole = all(hasattr(self, name) for name in (*self.kind_names(), "layers"))
        if len(ways) != 1 and (ways or whole):
            hint = f"give it one of {', '.join(self.kind_names())}, layers or vega_lite"
            yield (
                Conflict(ways[1], f"the chart is {ways[0]} already", hint)
                if ways
                else Conflict("", "has no chart", hint)
            )
            return
        notes = [name for name in ("band", "rule", "text") if getattr(self, name, None)]
        if ways == ["vega_lite"]:
            for name in [*notes, *(name for name in ("facet", "labels") if getattr(self, name, None))]:
                yield Conflict(name, "goes with a chart kind, not with vega_lite", "say it in vega_lite")
        elif not all(isinstance(kind, Numbers) for _, kind in self.plotted()):
            for name in notes:
                yield Conflict(name, "needs axes of numbers", "it goes with line, scatter and histogram")
        if self.heatmap and self.facet and "color" in self.facet.independent:
            hint = "remove color: its numbers are black or white by the colours that panels share"
            yield Conflict("facet.independent", "a heatmap's panels share their colours", hint)
        logs = {axis for _, kind in self.plotted() for axis in getattr(kind, "log", ())}
        for path, axis, value in self._constants():
            if axis in logs and value <= 0:
                yield Conflict(path, f"has no place on the logarithmic {axis}", "give a value above 0")
        for word in ("domain", "format", "ticks"):
            for axis in ("x", "y"):
                said = [(path, getattr(kind, word, {}).get(axis)) for path, kind in self.plotted()]
                said = [(path, one) for path, one in said if one is not None]
                for path, one in said[1:]:
                    if one != said[0][1]:
                        hint = f"layers share their axes: {said[0][0]}.{word} holds for all"
                        yield Conflict(f"{path}.{word}", f"is not what another layer has for {axis}", hint)


class Claim(Strict):
    """One statement, one query and the condition under which the result bears the statement out."""

    says: str = Field(description="The statement, in the document's meaning.")
    source: str = Field("", description="Where the document says it.")
    sql: str = Field(
        description="DuckDB SELECT over this spec's tables and `queries` that returns one row of numbers."
    )
    holds: str = Field(description="SQL condition over that row's columns, such as `width >= 5`.")


def queries_read(queries: Mapping[str, str], texts: Iterable[str]) -> dict[str, str]:
    """Return the queries that these texts of SQL may read, through others too: those whose names stand in them.

    Known without DuckDB, and never too few; a word that only looks like a query costs a drawing.
    """
    found: set[str] = set()
    waiting = list(texts)
    while waiting:
        text = waiting.pop()
        new = [one for one in queries if one not in found and re.search(rf"\b{one}\b", text, re.IGNORECASE)]
        found.update(new)
        waiting += [queries[one] for one in new]
    return {one: sql for one, sql in queries.items() if one in found}
