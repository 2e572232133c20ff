"""What of a figure's data its scales cannot show: left out of the drawing, and counted in words.

A log scale has no place for 0 and for negative numbers: one such value takes the whole axis with it. NULL, NaN
and infinity have no place on any scale of numbers or times, and Vega-Lite drops them without a word. What cannot
be known from the rows is not judged: fields that transforms make, rows that they make, `repeat`, aggregates on a
log scale, and what the author decides with Vega-Lite's `invalid`, with a clamped domain, or with a filter that
names the field.

A line breaks at what is left out: bridged, it would look as if something had been measured there.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from saespec.results.query import Rows

from .units import Source, Unit, column_of, type_of, units

_COLORS = ("color", "fill", "stroke", "opacity", "fillOpacity", "strokeOpacity", "strokeWidth")
_PLAIN = frozenset({"point", "circle", "square", "bar", "rect", "tick", "rule", "text", "arc"})
_MARKS = {
    **dict.fromkeys(_COLORS, _PLAIN),
    "size": _PLAIN - {"rect", "arc"} | {"trail"},
    "angle": frozenset({"point", "square", "text"}),
    "theta": frozenset({"arc", "text"}),
    "radius": frozenset({"arc", "text"}),
    "x2": frozenset({"area", "bar", "rect", "rule"}),
    "y2": frozenset({"area", "bar", "rect", "rule"}),
}
"""Channel → marks that are not drawn, or drawn wrongly, without a number there. Without x or y none is."""
_SUMMARIES = frozenset({"boxplot", "errorband", "errorbar"})
_SKIPS_NULL = frozenset({
    "average", "ci0", "ci1", "max", "mean", "median", "min", "product", "q1", "q3", "stderr", "stdev", "stdevp",
    "sum", "variance", "variancep",
})  # fmt: skip
_DISCRETE = frozenset({"band", "bin-ordinal", "ordinal", "point"})
_MISSING = ("NULL", "NaN", "infinite")
_WORDS = (*_MISSING, "0", "negative")
"""What values are that cannot be shown, in the order in which they are told."""


@dataclass(frozen=True)
class Shown:
    """A chart that leaves out what its scales cannot show."""

    chart: Mapping[str, Any]
    """The author's own object if nothing has to be left out by us."""
    not_drawn: tuple[str, ...] = ()
    """What is left out, a text each, such as "3 of 40 values of loss are 0 and not drawn"."""
    nothing: str = ""
    """Why there is nothing to draw at all, "" if there is something."""


def shown(vega_lite: Mapping[str, Any], rows: Rows) -> Shown:
    """Return a figure's chart without what its scales cannot show of a query's rows, and what that is."""
    found = units(vega_lite, rows)
    if not rows.values and any(unit.from_query for unit in found):
        why = "the query gives no rows"
        if all(unit.from_query for unit in found):
            return Shown(vega_lite, nothing=f"nothing to draw: {why}")
        return Shown(vega_lite, (why,))
    if _decides(vega_lite):
        return Shown(vega_lite)
    judged = [_judged(unit) for unit in found]
    told = list(_told(judged))
    if judged and all(one.is_empty for one in judged):
        return Shown(vega_lite, nothing="nothing to draw: " + "; ".join(what for what, _ in told))
    return Shown(_guarded(vega_lite, judged), tuple(what + end for what, end in told))


@dataclass
class _Judged:
    """What one mark cannot show."""

    unit: Unit
    lost: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    """(field, what its value is) → rows."""
    guards: dict[str, list[str]] = field(default_factory=dict)
    """Field → what must be true, in Vega's expressions, or it has to be null: Vega-Lite would draw it."""

    @property
    def rows(self) -> set[int]:
        """Rows of which nothing is drawn."""
        return set[int]().union(*self.lost.values())

    @property
    def is_empty(self) -> bool:
        """Whether no row is drawn, as far as is known."""
        return self.unit.source is not None and len(self.rows) == len(self.unit.source.rows)


def _judged(unit: Unit) -> _Judged:
    judged = _Judged(unit)
    if unit.source is None:
        return judged
    columns = unit.source.columns - unit.made
    for channel, definition in unit.encoding.items():
        name = column_of(definition)
        main = channel.removesuffix("2")
        if name not in columns or not _is_judged(unit, channel):
            continue
        start = column_of(unit.encoding.get(main))
        if channel != main and not (start in columns and _is_raw(definition, unit.encoding[main])):
            continue
        on_log = _on_log(unit, channel)
        rows: dict[str, set[int]] = {}
        for row, word in _unshowable(unit.source, name, on_log):
            if word not in _MISSING or not re.search(rf"\b{re.escape(name)}\b", unit.filters):
                rows.setdefault(word, set()).add(row)
        for word, own in rows.items():
            judged.lost.setdefault((name, word), set()).update(own)
        value = f"datum[{json.dumps(name)}]"
        if rows.keys() - set(_MISSING):
            judged.guards.setdefault(name, []).append(f"{value} > 0")
        if rows and channel != main:
            # Without its other end, Vega-Lite would draw a mark to the place of 0.
            also = f" && {value} > 0" if on_log else ""
            judged.guards.setdefault(str(start), []).append(f"isValid({value}){also}")
    return judged


def _unshowable(source: Source, name: str, on_log: bool) -> Iterator[tuple[int, str]]:
    """Rows whose value a scale cannot show, and what the value is."""
    for index, row in enumerate(source.rows):
        value = row.get(name)
        if value is None:
            yield index, source.undefined.get((index, name), "NULL")
        elif on_log and _is_number(value) and value <= 0:
            yield index, "negative" if value < 0 else "0"


def _is_judged(unit: Unit, channel: str) -> bool:
    """Whether a mark without a value in a channel is known not to be drawn."""
    definition, main = unit.encoding[channel], channel.removesuffix("2")
    if channel in ("x", "y"):
        if unit.mark in ("geoshape", "image") or _is_stacked_area(unit):
            return False
    elif unit.mark not in _MARKS.get(channel, ()) or "bin" in definition:
        return False
    aggregate = definition.get("aggregate")
    if aggregate is not None and (not isinstance(aggregate, str) or aggregate not in _SKIPS_NULL):
        return False
    if type_of(unit.encoding.get(main, {})) not in ("quantitative", "temporal"):
        return False
    scale = unit.encoding.get(main, {}).get("scale", {})
    return scale is not None and scale.get("type") not in _DISCRETE


def _on_log(unit: Unit, channel: str) -> bool:
    """Whether a channel shows its values themselves on a log scale that has no place for 0 and negative ones."""
    scales = unit.scales.get(channel.removesuffix("2"), [])
    domains = [scale["domain"] for scale in scales if isinstance(scale.get("domain"), list)]
    return (
        any(scale.get("type") == "log" for scale in scales)
        # The author may want an end of the domain for what lies beyond, or a scale of negative numbers.
        and not any(domains and scale.get("clamp") for scale in scales)
        and not any(_is_number(end) and end < 0 for domain in domains for end in domain)
        and unit.mark not in _SUMMARIES
        and _is_raw(unit.encoding[channel])
    )


def _told(judged: list[_Judged]) -> Iterator[tuple[str, str]]:
    """What is not drawn, in words: what it is, and the rest of the sentence."""
    lost: dict[tuple[Source, str, str], list[_Judged]] = {}
    for one in judged:
        for name, word in one.lost:
            assert one.unit.source is not None
            lost.setdefault((one.unit.source, name, word), []).append(one)
    names = list(dict.fromkeys(name for _, name, _ in lost))
    for source, name, word in sorted(lost, key=lambda key: (names.index(key[1]), _WORDS.index(key[2]))):
        by = lost[source, name, word]
        counted = [one.lost[name, word] for one in by if not one.unit.filters]
        rows = set().union(*(counted or [one.lost[name, word] for one in by]))
        where = (
            " on the log scale" if word not in _MISSING and _is_elsewhere(judged, source, name, rows) else ""
        )
        if counted:
            be = "is" if len(rows) == 1 else "are"
            total = f"{len(source.rows):,}"
            yield f"{len(rows):,} of {total} values of {name} {be} {word}", f" and not drawn{where}"
        else:
            # How many of them a filter leaves, only Vega-Lite knows.
            yield f"values of {name} that are {word}", f" are not drawn{where}"


def _is_elsewhere(judged: list[_Judged], source: Source, name: str, rows: set[int]) -> bool:
    """Whether another mark shows some of these values of a field."""
    return any(
        one.unit.source in (source, None)
        and any(column_of(definition) == name for definition in one.unit.encoding.values())
        and not rows <= one.rows
        for one in judged
    )


def _guarded(vega_lite: Mapping[str, Any], judged: list[_Judged]) -> Mapping[str, Any]:
    """The chart with null where a value cannot be shown: Vega-Lite leaves that out, and breaks lines at it."""
    if not any(one.guards for one in judged):
        return vega_lite
    chart: Any = copy.deepcopy(dict(vega_lite))
    for one in judged:
        part = chart
        for key in one.unit.keys:
            part = part[key]
        if one.guards:
            # In any order: what its own guard made null fails the others' tests too.
            nulls = [
                {"calculate": f"{' && '.join(tests)} ? datum[{json.dumps(name)}] : null", "as": name}
                for name, tests in one.guards.items()
            ]
            part["transform"] = [*part.get("transform", []), *nulls]
    return chart  # type: ignore[no-any-return]


def _decides(part: Any) -> bool:
    """Whether the author says what becomes of values that cannot be shown."""
    if isinstance(part, list):
        return any(_decides(item) for item in part)
    if isinstance(part, Mapping):
        return "invalid" in part or any(_decides(value) for key, value in part.items() if key != "values")
    return False


def _is_raw(*definitions: Mapping[str, Any]) -> bool:
    return not any(definition.keys() & {"aggregate", "bin", "timeUnit"} for definition in definitions)


def _is_stacked_area(unit: Unit) -> bool:
    """Whether Vega-Lite may draw an area's NULL as 0."""
    stack = [
        unit.encoding[channel].get("stack", "zero")
        for channel in ("x", "y")
        if isinstance(unit.encoding.get(channel), Mapping)
    ]
    groups = unit.encoding.keys() & {*_COLORS, "detail"}
    return unit.mark == "area" and bool(groups) and any(one not in (None, False) for one in stack)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
