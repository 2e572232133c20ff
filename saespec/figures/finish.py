"""Finishing touches that Vega-Lite's `config` cannot express: legends of numbers, decades on log axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .numbers import digits, is_discrete
from .theme import number_label

_LEGENDS = ("color", "fill", "stroke", "shape", "size", "opacity", "strokeDash", "strokeWidth")

_GUIDES = {"x": "axis", "y": "axis", "row": "header", "column": "header", "facet": "header"}

_IS_DECADE = "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-6"
_DECADES = {
    "labelExpr": f"{_IS_DECADE} ? datum.label : ''",
    "gridOpacity": {"condition": {"test": _IS_DECADE, "value": 1}, "value": 0},
}


def finished(part: Any, records: Sequence[Mapping[str, Any]]) -> Any:
    """Return a chart with these touches in every encoding, facets, layers and concatenations included.

    What the author says about a legend or an axis stays. `records` are the rows of the figure's query.
    """
    if isinstance(part, list):
        return [finished(item, records) for item in part]
    if not isinstance(part, Mapping):
        return part
    result = {key: finished(value, records) for key, value in part.items()}
    if isinstance(facet := result.get("facet"), dict):
        for field in [facet] if "field" in facet else facet.values():
            _told_apart(field, "header", records)
    if isinstance(encoding := result.get("encoding"), dict):
        for channel, field in encoding.items():
            if isinstance(field, dict) and "field" in field:
                if channel in _LEGENDS and field.get("type") in ("ordinal", "nominal"):
                    _add(field, "legend", {"labelExpr": number_label(digits(field, records))})
                elif channel in ("x", "y") and _spans_decades(field, records):
                    _add(field, "axis", _DECADES)
                elif guide := _GUIDES.get(channel):
                    _told_apart(field, guide, records)
    return result


def _told_apart(field: dict[str, Any], guide: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Longer labels than those of the theme, where these are the same for two numbers."""
    if is_discrete(field) and (needed := digits(field, records)) != 3:
        _add(field, guide, {"labelExpr": number_label(needed)})


def _add(field: dict[str, Any], guide: str, defaults: Mapping[str, Any]) -> None:
    own = field.get(guide, {})
    if isinstance(own, dict) and not own.keys() & {"values", "tickCount", "labelExpr"}:
        field[guide] = {**defaults, **own}


def _spans_decades(field: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether this is a log axis to base ten over at least one decade."""
    scale = field.get("scale")
    if not isinstance(scale, Mapping) or scale.get("type") != "log" or scale.get("base", 10) != 10:
        return False
    values = (
        scale["domain"] if isinstance(scale.get("domain"), list) else [r.get(field["field"]) for r in records]
    )
    positive = [v for v in values if isinstance(v, int | float) and v > 0]
    return bool(positive) and math.log10(max(positive) / min(positive)) >= 1
