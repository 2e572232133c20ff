"""Numbers that a drawing must tell apart as the tables do: JavaScript's are floating-point, and labels are short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saespec.results.query import Rows

from .units import column_of, type_of

_EXACT = 2**53
"""From here, JavaScript takes different whole numbers for one."""
_DISCRETE = ("ordinal", "nominal")


def exact_records(vega_lite: Mapping[str, Any], rows: Rows) -> list[dict[str, Any]]:
    """Return a query's rows for a chart: larger whole numbers are text where the chart shows them as names only."""
    records = rows.records()
    kinds: dict[str | None, set[str]] = {}
    for definition in _definitions(vega_lite):
        kinds.setdefault(column_of(definition), set()).add(type_of(definition))
    named = [name for name in rows.columns if name in kinds and kinds[name] <= {*_DISCRETE}]
    for record in records:
        for name in named:
            if isinstance(record[name], int) and abs(record[name]) >= _EXACT:
                record[name] = str(record[name])
    return records


def digits(field: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> int:
    """How many significant digits the labels of a discrete field's numbers need so that no two are equal; 0 for all."""
    name = column_of(field)
    values = {record.get(name) for record in records if isinstance(record.get(name), float)} if name else ()
    for number in range(3, 16):
        if len({f"{value:.{number}g}" for value in values}) == len(values):
            return number
    return 0


def is_discrete(field: Mapping[str, Any]) -> bool:
    """Whether the values of a column are shown as names."""
    return type_of(field) in _DISCRETE and not field.keys() & {"aggregate", "bin", "timeUnit"}


def _definitions(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every place of a chart that names a field to show it."""
    if isinstance(part, list):
        for item in part:
            yield from _definitions(item)
    elif isinstance(part, Mapping):
        if "field" in part:
            yield part
        for key, value in part.items():
            if key not in ("transform", "data", "config", "sort"):
                yield from _definitions(value)
