"""A figure: one query and one Vega-Lite chart, drawn as SVG and PNG, the same bytes every time."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saespec.errors import QueryError, reason
from saespec.results.document import CHART, NOT_DRAWN, canonical, encode
from saespec.results.query import Rows, SpecConnection, SqlError, select

from . import vega
from .chart import complaint, refused
from .finish import finished
from .numbers import exact_records
from .picture import Picture
from .png import repacked
from .shown import shown
from .theme import CONFIG

_SCHEMA_URL = f"https://vega.github.io/schema/vega-lite/v{vega.VEGA_LITE}.json"
_TITLE_WIDTH = 58
_CAPTION_WIDTH = 84


@dataclass(frozen=True)
class Drawing:
    """A drawn figure."""

    svg: bytes
    png: bytes
    """At twice the SVG's size."""
    chart: bytes
    """The whole Vega-Lite chart, data included: any Vega-Lite renders it again."""


def draw(
    figure: Picture,
    name: str,
    connection: SpecConnection,
    provenance: Mapping[str, str] | None = None,
    left_out: str = "",
) -> Drawing:
    """Run a figure's query on a connection made by `spec_connection` and draw its chart.

    With provenance, the chart says in `usermeta` where it came from, and has a checksum; what is drawn does not.
    What a scale cannot show is left out and counted: under the caption, and in `usermeta.saespec.not_drawn`. So is what
    the tables lack, which `left_out` says.

    Raises QueryError, naming the figure, if the query does not run or Vega-Lite refuses the chart.
    """
    try:
        rows = figure.of_interest(select(connection, figure.sql))
    except SqlError as error:
        raise QueryError(f"figure {name}: {error}") from error
    if refusal := next(refused(figure.vega_lite), None):
        raise QueryError(f"figure {name}: {refusal.message}")
    if message := complaint(figure.vega_lite):
        raise QueryError(f"figure {name}: Vega-Lite refuses the chart: {message}")
    return _render(name, chart(figure, rows, left_out), provenance)


def chart(figure: Picture, rows: Rows, left_out: str = "") -> dict[str, Any]:
    """Return a figure's Vega-Lite chart of a query's rows, without what its scales cannot show.

    Without anything to draw, its picture says that, and why.
    """
    seen = shown(figure.vega_lite, rows)
    own = seen.chart
    if seen.nothing:
        own = _in_words(seen.nothing) | {key: own[key] for key in ("usermeta",) if key in own}
    lacking = [left_out] if left_out else []
    told = [*([seen.nothing] if seen.nothing else seen.not_drawn), *lacking]
    if told:
        own = _merged(own, {"usermeta": {"saespec": {NOT_DRAWN: told}}})
    return dressed(figure, own, rows, [*seen.not_drawn, *lacking])


def dressed(
    figure: Picture, vega_lite: Mapping[str, Any], rows: Rows, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a chart with rows, the figure's title, caption and notes under it, and the house look."""
    records = exact_records(figure.vega_lite, rows)
    own = {key: value for key, value in vega_lite.items() if key != "config"}
    title: dict[str, Any] = {"text": _wrapped(figure.title, _TITLE_WIDTH)}
    below = [line for text in (figure.caption, *notes) for line in _wrapped(text, _CAPTION_WIDTH)]
    if below:
        title["subtitle"] = below
    return {
        "$schema": _SCHEMA_URL,
        "title": title,
        "data": {"values": records},
        "config": _merged(CONFIG, figure.vega_lite.get("config", {})),
        **finished(own, records),
    }


def _in_words(text: str) -> dict[str, Any]:
    """A chart that says a text, whatever the rows are."""
    mark = {"type": "text", "text": _wrapped(text, _TITLE_WIDTH), "baseline": "middle", "fontSize": 12}
    return {"width": 400, "height": 90, "layer": [{"data": {"values": [{}]}, "mark": mark}]}


def _render(name: str, content: dict[str, Any], provenance: Mapping[str, str] | None) -> Drawing:
    try:
        text = canonical(content)
        svg = _renumbered(vega.svg(text.decode()))
        png = repacked(vega.png(svg))
    except (vega.NotDrawn, TypeError, ValueError) as error:
        raise QueryError(f"figure {name}: it cannot be drawn: {reason(error)}") from error
    whole = text if provenance is None else encode(content, CHART, provenance)
    return Drawing(svg=svg.encode() + b"\n", png=png, chart=whole)


def _renumbered(svg: str) -> str:
    """Number ids by first appearance: Vega counts gradients and clips up over a process's life."""
    numbers: dict[str, str] = {}

    def renumber(match: re.Match[str]) -> str:
        old = match["id"]
        kind = old.rstrip("0123456789")
        numbers.setdefault(old, f"{kind}{sum(n.rstrip('0123456789') == kind for n in numbers)}")
        return match["before"] + numbers[old]

    return re.sub(r'(?P<before>\bid="|url\(#|href="#)(?P<id>(?:gradient_|clip|pattern_)\d+)', renumber, svg)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, and of no more than it takes to make them about equally long."""

    def lines(width: int) -> list[str]:
        return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)

    text = " ".join(text.split())
    fewest = len(lines(width))
    while width > 1 and len(lines(width - 1)) == fewest:
        width -= 1
    return lines(width)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = (
            _merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return merged
