"""Columns of tables, as measures hand them over and as they come together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

Table = dict[str, list[Any]]
"""Columns of one length, by name."""


class Columns:
    """What a measure found: columns of several tables."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = defaultdict(lambda: defaultdict(list))

    def add(self, table: str, **columns: Iterable[Any]) -> None:
        """Append to a table's columns; all of one table have the same length then."""
        for name, values in columns.items():
            self.tables[table][name].extend(values)
        assert len({len(values) for values in self.tables[table].values()}) == 1


def from_rows(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return rows as columns; what a row lacks is None."""
    return {
        name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)
    }


def length(table: Table) -> int:
    """Return the number of rows."""
    return len(next(iter(table.values()), ()))


def join(into: Table, more: Table, keys: Sequence[str]) -> None:
    """Add columns to the rows with the same keys, and rows where there are none."""
    if not into:
        into.update(more)
        return
    place = {key: index for index, key in enumerate(zip(*(into[name] for name in keys), strict=True))}
    assert len(place) == length(into), "rows of one key are one row"
    at = [place.setdefault(key, len(place)) for key in zip(*(more[name] for name in keys), strict=True)]
    rows = len(place)
    for name in {**into, **more}:
        column = into.setdefault(name, [])
        column.extend([None] * (rows - len(column)))
    for name, values in more.items():
        column = into[name]
        for index, value in zip(at, values, strict=True):
            column[index] = value


def append(into: Table, more: Table) -> None:
    """Add rows."""
    before, added = length(into), length(more)
    for name in {**into, **more}:
        into.setdefault(name, [None] * before).extend(more.get(name, [None] * added))


def blanked(table: Table, wrong: Collection[str], keys: Collection[str]) -> Table:
    """Return a table without what rests on these cells, but for its keys."""
    named = [table[name] for name in ("cell", "other_cell") if name in table]
    gone = [any(cell in wrong for cell in cells) for cells in zip(*named, strict=True)]
    if not any(gone):
        return table
    return {
        name: values
        if name in keys
        else [None if none else value for value, none in zip(values, gone, strict=True)]
        for name, values in table.items()
    }


def ordered(table: Table, position: Mapping[str, int]) -> Table:
    """Return a table with its rows in the order of the cells; those of a cell stay as they are."""
    if "cell" not in table:
        return table
    order = sorted(range(length(table)), key=lambda row: position[table["cell"][row]])
    return {name: [values[row] for row in order] for name, values in table.items()}
