"""Which fields a chart uses that its query does not give. Vega-Lite draws nothing there and says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Keys = tuple[str | int, ...]

_DEFAULT_OUTPUTS = {
    "density": ("value", "density"),
    "fold": ("key", "value"),
    "loess": (),
    "quantile": ("prob", "value"),
    "regression": ("rSquared", "coef"),
}
"""Transforms whose outputs have names of their own when `as` does not name them."""


def unknown_fields(chart: Mapping[str, Any], columns: Iterable[str]) -> list[tuple[Keys, str]]:
    """Return where a chart names a field that is neither a column of its query nor made by the chart."""
    if _has_open_outputs(chart):
        return []
    known = {*columns, *_made(chart)}
    return [
        (keys, field) for keys, field in _used(chart, ()) if field not in known and _base(field) not in known
    ]


def _used(part: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(part, list):
        for index, item in enumerate(part):
            yield from _used(item, (*keys, index))
    elif isinstance(part, Mapping):
        for key, value in part.items():
            if key == "field" and isinstance(value, str):
                yield (*keys, key), value
            elif key not in ("config", "data", "datum", "params", "value"):
                yield from _used(value, (*keys, key))


def _made(part: Any) -> Iterator[str]:
    """Names that transforms write, and those of literal rows in layers."""
    if isinstance(part, list):
        for item in part:
            yield from _made(item)
    elif isinstance(part, Mapping):
        for key, value in part.items():
            if key == "as":
                yield from [value] if isinstance(value, str) else [v for v in value if isinstance(v, str)]
            if key in _DEFAULT_OUTPUTS and "as" not in part:
                yield from _DEFAULT_OUTPUTS[key]
            if key == "values" and isinstance(value, list):
                yield "data"
                yield from (name for row in value if isinstance(row, Mapping) for name in row)
            else:
                yield from _made(value)


def _has_open_outputs(part: Any) -> bool:
    """Whether a pivot makes columns that only the rows know."""
    if isinstance(part, list):
        return any(_has_open_outputs(item) for item in part)
    if isinstance(part, Mapping):
        return ("pivot" in part and "value" in part) or any(_has_open_outputs(v) for v in part.values())
    return False


def _base(field: str) -> str:
    r"""The column of `coefficients[0]` or `point.x`; `a\.b` is a column with a dot."""
    plain = field.replace(r"\.", "\0")
    return plain.split(".")[0].split("[")[0].replace("\0", ".")
