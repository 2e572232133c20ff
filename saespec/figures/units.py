"""The marks of a chart with what each of them gets from the parts around it: rows, encoding, transforms, scales."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from saespec.results.query import Rows

Keys = tuple[str | int, ...]

_SAME_ROWS = frozenset(
    {"bin", "calculate", "extent", "joinaggregate", "lookup", "stack", "timeUnit", "window"}
)
"""Transforms that add fields to rows and leave the rows there are."""
_NUMERIC = frozenset({
    "identity", "linear", "log", "pow", "quantile", "quantize", "sequential", "sqrt", "symlog", "threshold",
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class Source:
    """Rows that marks are made of: the query's, or literal ones of a layer."""

    rows: Sequence[Mapping[str, Any]]
    undefined: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """(row, column) → NaN or infinite, where the value is None for that reason."""

    @cached_property
    def columns(self) -> frozenset[str]:
        """Names of the fields."""
        return frozenset(name for row in self.rows for name in row)


@dataclass(frozen=True, eq=False)
class Unit:
    """One mark with its encoding."""

    keys: Keys
    """Where, as keys from the chart's root."""
    mark: str
    encoding: Mapping[str, Any]
    """Channel → definition, those of the layers above included."""
    source: Source | None
    """None if the rows are not known before Vega-Lite draws."""
    from_query: bool = True
    """Whether the rows are the query's, or made of them."""
    made: frozenset[str] = frozenset()
    """Fields that transforms made: not those of the rows, whatever they are called."""
    filters: str = ""
    """The text of the filters on the way to the mark."""
    scales: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    """Channel → what is said about its scale, here and by the other layers that share it."""


def units(chart: Mapping[str, Any], rows: Rows) -> list[Unit]:
    """Return the marks of a chart over a query's rows, layers, facets and concatenations included."""
    return list(_units(chart, Unit((), "", {}, Source(rows.records(), rows.undefined))))


def _units(part: Mapping[str, Any], above: Unit) -> Iterator[Unit]:
    here = replace(above, encoding=_inherited(above.encoding, part.get("encoding", {})))
    if "data" in part:
        here = replace(here, source=_literal(part["data"]), from_query=False, made=frozenset(), filters="")
    for transform in part.get("transform", []):
        here = _transformed(here, transform)
    if "mark" in part:
        mark = part["mark"]
        for channel, definition in here.encoding.items():
            if isinstance(definition, Mapping) and isinstance(scale := definition.get("scale"), Mapping):
                here.scales.setdefault(channel, []).append(scale)
        yield replace(here, mark=mark if isinstance(mark, str) else mark.get("type", ""))
    for index, layer in enumerate(part.get("layer", [])):
        own = part.get("resolve", {}).get("scale", {})
        shared = {channel: here.scales.setdefault(channel, []) for channel in _channels(part)}
        scales = {channel: known for channel, known in shared.items() if own.get(channel) != "independent"}
        yield from _units(layer, replace(here, keys=(*here.keys, "layer", index), scales=scales))
    for joined in ("concat", "hconcat", "vconcat"):
        for index, one in enumerate(part.get(joined, [])):
            yield from _units(one, replace(here, keys=(*here.keys, joined, index), scales={}))
    if isinstance(part.get("spec"), Mapping):
        yield from _units(part["spec"], replace(here, keys=(*here.keys, "spec")))


def _channels(part: Any) -> Iterator[str]:
    """Channels that a part or a layer of it encodes."""
    yield from part.get("encoding", {})
    for layer in part.get("layer", []):
        yield from _channels(layer)


def _inherited(above: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's encoding: what a channel does not say, the layers above it say."""
    merged = {**above, **own}
    for channel in above.keys() & own.keys():
        if isinstance(above[channel], Mapping) and isinstance(own[channel], Mapping):
            merged[channel] = {**above[channel], **own[channel]}
    return merged


def _literal(data: Any) -> Source | None:
    """A layer's own rows, if they stand in the chart as they are."""
    values = data.get("values") if isinstance(data, Mapping) and "format" not in data else None
    if not isinstance(values, list):
        return None
    rows = [value if isinstance(value, Mapping) else {"data": value} for value in values]
    return Source(rows)


def _transformed(unit: Unit, transform: Mapping[str, Any]) -> Unit:
    if "filter" in transform:
        return replace(unit, filters=unit.filters + json.dumps(transform["filter"], sort_keys=True))
    if not transform.keys() & _SAME_ROWS or transform.keys() & {"aggregate", "impute"}:
        return replace(unit, source=None)
    return replace(unit, made=unit.made | set(_made(transform)))


def _made(transform: Any) -> Iterator[str]:
    """Names that a transform of `_SAME_ROWS` writes."""
    if isinstance(transform, list):
        for item in transform:
            yield from _made(item)
    elif isinstance(transform, Mapping):
        names = transform.get("as", transform.get("fields", []))
        yield from [names] if isinstance(names, str) else names
        for value in transform.values():
            yield from _made(value) if isinstance(value, Mapping | list) else ()


def type_of(definition: Any) -> str:
    """The type of a field, by Vega-Lite's rules where the author gives none."""
    if not isinstance(definition, Mapping):
        return ""
    scale = definition.get("scale")
    kind = scale.get("type", "") if isinstance(scale, Mapping) else ""
    if "type" in definition:
        return str(definition["type"])
    if isinstance(definition.get("sort"), list):
        return "ordinal"
    if "timeUnit" in definition or kind in ("time", "utc"):
        return "temporal"
    is_number = definition.get("bin") or isinstance(definition.get("aggregate"), str) or kind in _NUMERIC
    return "quantitative" if is_number else "nominal"


def column_of(definition: Any) -> str | None:
    r"""The column that a channel shows, None if none or only a part of one; `a\.b` is a column with a dot."""
    name = definition.get("field") if isinstance(definition, Mapping) else None
    if not isinstance(name, str) or re.search(r"(?<!\\)[.\[]", name):
        return None
    return re.sub(r"\\(.)", r"\1", name)
