"""Faults of layers that Vega-Lite draws without a word: one thing drawn once a row, one axis with two titles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Keys = tuple[str | int, ...]

_TITLED = ("x", "y", "color", "fill", "stroke", "shape", "size", "opacity", "strokeDash", "strokeWidth")
_GUIDES = {"x": "axis", "y": "axis"}


def faults(chart: Any, keys: Keys = (), above: Mapping[str, Any] | None = None) -> Iterator[tuple[Keys, str]]:
    """Yield where the layers of a chart draw what its author cannot want, and what to do instead."""
    if isinstance(chart, list):
        for index, part in enumerate(chart):
            yield from faults(part, (*keys, index))
    if not isinstance(chart, Mapping):
        return
    layers = chart.get("layer")
    if not isinstance(layers, list):
        for key in ("spec", "concat", "hconcat", "vconcat"):
            yield from faults(chart.get(key), (*keys, key))
        return
    encoding = {**(above or {}), **_encoding(chart)}
    independent = (
        chart.get("resolve", {}).get("scale", {}) if isinstance(chart.get("resolve"), Mapping) else {}
    )
    said: dict[str, _Said] = {}
    for index, layer in enumerate(layers):
        if not isinstance(layer, Mapping):
            continue
        here = (*keys, "layer", index)
        own = {**encoding, **_encoding(layer)}
        if "mark" in layer and not _has_rows(layer) and not any(_reads_rows(one) for one in own.values()):
            yield (
                here,
                "nothing in it is of the rows, so it is drawn once a row: give it `data: {values: [{}]}`",
            )
        for channel, title in _titles(_encoding(layer), encoding):
            if independent.get(channel) == "independent":
                continue
            if message := said.setdefault(channel, title).against(title):
                yield (*here, "encoding", channel), message
            if title.is_said and not said[channel].is_said:
                said[channel] = title
        if "layer" in layer:
            yield from faults(layer, here, encoding)


def _encoding(part: Mapping[str, Any]) -> Mapping[str, Any]:
    found = part.get("encoding", {})
    return found if isinstance(found, Mapping) else {}


def _has_rows(layer: Mapping[str, Any]) -> bool:
    """Whether a layer brings rows of its own, or makes new ones of the query's."""
    transforms = layer.get("transform", [])
    return "data" in layer or any(isinstance(one, Mapping) and "aggregate" in one for one in transforms)


def _reads_rows(definition: Any) -> bool:
    """Whether a channel shows a column, a count, or what an expression makes of a row."""
    if isinstance(definition, list):
        return any(_reads_rows(one) for one in definition)
    return isinstance(definition, Mapping) and (
        bool(definition.keys() & {"field", "aggregate", "bin", "timeUnit", "repeat"})
        or any(_reads_rows(one) for one in definition.values() if isinstance(one, Mapping))
        or any("datum" in str(definition.get(key, "")) for key in ("value", "expr"))
    )


@dataclass(frozen=True)
class _Said:
    """What a layer calls a channel."""

    title: str | None
    is_said: bool
    """False if it is only the column's name, which gives way to what another layer says."""
    of_datum: bool
    """Said of a value and not of a column, it gives way to a column's name."""

    def against(self, other: _Said) -> str:
        """Why two layers do not go together; empty if they do."""
        if self.is_said and other.is_said and self.title != other.title:
            return f"its title is {_quoted(other.title)} here and {_quoted(self.title)} in another layer: say one"
        for one, two in ((self, other), (other, self)):
            if one.of_datum and not two.is_said and one.is_said:
                return f"its title would be {two.title}, not {_quoted(one.title)}: say it in both layers"
        return ""


def _titles(own: Mapping[str, Any], above: Mapping[str, Any]) -> Iterator[tuple[str, _Said]]:
    """What a layer's own channels are called."""
    for channel in _TITLED:
        if not isinstance(definition := own.get(channel), Mapping):
            continue
        if not definition.keys() & {"field", "aggregate", "datum"}:
            continue
        shared = above.get(channel)
        merged = {**(shared if isinstance(shared, Mapping) else {}), **definition}
        guide = merged.get(_GUIDES.get(channel, "legend"))
        if guide is None and _GUIDES.get(channel, "legend") in merged:
            continue  # neither axis nor legend
        of_datum = "datum" in definition
        if isinstance(guide, Mapping) and "title" in guide:
            yield channel, _Said(_text(guide["title"]), True, of_datum)
        elif "title" in merged:
            yield channel, _Said(_text(merged["title"]), True, of_datum)
        elif not of_datum:
            yield channel, _Said(str(merged.get("field", merged.get("aggregate"))), False, False)


def _text(title: Any) -> str | None:
    return " ".join(map(str, title)) if isinstance(title, list) else title


def _quoted(title: str | None) -> str:
    return "null" if title is None else f'"{title}"'
