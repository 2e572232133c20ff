"""A figure as it is drawn: its words, its query, and its chart written out in Vega-Lite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saespec.results.query import Rows
from saespec.spec.charts import Facet
from saespec.spec.report import Figure
from saespec.spec.spec import Spec

from .kinds import KINDS, SIZES, notes
from .kinds.axes import Axes, size


@dataclass(frozen=True)
class Picture:
    """What drawing needs to know of a figure."""

    title: str
    caption: str
    sql: str
    vega_lite: Mapping[str, Any]
    columns: frozenset[str] | None = None
    """The columns that the chart shows; None if only Vega-Lite knows."""

    def of_interest(self, rows: Rows) -> Rows:
        """Return a query's rows without columns that the chart does not show."""
        if self.columns is None or self.columns >= {*rows.columns}:
            return rows
        kept = [i for i, column in enumerate(rows.columns) if column in self.columns]
        return Rows(
            columns=tuple(rows.columns[i] for i in kept),
            types=tuple(rows.types[i] for i in kept),
            values=tuple(tuple(row[i] for i in kept) for row in rows.values),
            undefined={at: word for at, word in rows.undefined.items() if at[1] in self.columns},
        )


def picture(spec: Spec, name: str) -> Picture:
    """Return a figure of a spec with its chart written out, by the spec's labels and the order of its cases."""
    figure = spec.figures[name]
    cases = [str(case["name"]) for case in spec.sweep.cases if "name" in case]
    return of(figure, spec.labels, cases)


def of(figure: Figure, labels: Mapping[str, str] | None = None, cases: list[str] | None = None) -> Picture:
    """Return a figure with its chart written out."""
    words = (figure.title, figure.caption, figure.sql)
    if figure.vega_lite is not None:
        return Picture(*words, figure.vega_lite)
    chart = _chart(figure, {**(labels or {}), **figure.labels}, cases or [])
    return Picture(*words, chart, frozenset(column for _, column in figure.shown_columns()))


def _chart(figure: Figure, labels: Mapping[str, str], cases: list[str]) -> dict[str, Any]:
    plotted = [(path.rpartition(".")[2], kind) for path, kind in figure.plotted()]
    axes = Axes(plotted, labels, cases)
    layers = [notes.band(one, axes) for one in figure.band]
    layers += [layer for kind, one in plotted for layer in KINDS[kind](one, axes)]
    layers += [notes.rule(one, axes) for one in figure.rule]
    layers += [notes.text(one, axes) for one in figure.text]
    kind, lowest = plotted[0]
    sizes = SIZES.get(kind, size)(lowest, figure.facet is not None)
    chart = {**sizes, **(layers[0] if len(layers) == 1 else {"layer": layers})}
    return _faceted(chart, figure.facet, axes) if figure.facet else chart


def _faceted(chart: dict[str, Any], facet: Facet, axes: Axes) -> dict[str, Any]:
    if facet.by:
        found: dict[str, Any] = {"facet": axes.panels(facet.by, facet.sort), "columns": facet.columns}
    else:
        sides = {"column": facet.column, "row": facet.row}
        found = {"facet": {side: axes.panels(column, facet.sort) for side, column in sides.items() if column}}
    if facet.independent:
        found["resolve"] = {"scale": dict.fromkeys(facet.independent, "independent")}
    return {**found, "spec": chart}
