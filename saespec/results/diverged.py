"""Cells that diverged: figures and claims leave them out, and whoever runs a spec is told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import parquet
from .remembered import Remembered, hashed
from .schema import DIVERGED

if TYPE_CHECKING:
    import pyarrow as pa


_NAMED = 5
"""Cells that are named; of more their number is said."""


@dataclass(frozen=True)
class Diverged:
    """A cell whose parameters stopped being finite."""

    cell: str
    at: int
    """The step by which it was seen."""
    by: str
    """What was not finite first: input or loss."""

    def __str__(self) -> str:
        what = "its input has numbers that are not finite" if self.by == "input" else "its loss is not finite"
        return f"cell {self.cell} diverged by step {self.at:,}: {what}"


def diverged(cells: pa.Table) -> list[Diverged]:
    """Return those of a spec's table `cells`."""
    if "status" not in cells.column_names:
        return []
    wanted = cells.select(["cell", "status", "diverged_at", "diverged_by"])
    return [
        Diverged(row["cell"], row["diverged_at"], row["diverged_by"])
        for row in wanted.to_pylist()
        if row["status"] == DIVERGED
    ]


def read(folder: Path) -> list[Diverged]:
    """Return those of a results folder; none where nothing was measured yet.

    That there are none is remembered of a table's bytes: to read it takes longer than all else of a run with nothing
    to do.
    """
    path = folder / "tables" / "cells.parquet"
    if not path.exists():
        return []
    remembered = Remembered(path)
    key = hashed(["none diverged", hashlib.sha256(path.read_bytes()).hexdigest()])
    if remembered.knows(key):
        return []
    if not (found := diverged(parquet.read(path))):
        remembered.add(key)
        remembered.save()
    return found


def told(spec: str, cells: Sequence[Diverged]) -> list[str]:
    """Return what to say of them: a line for each of the first, and one for the rest."""
    lines = [f"{spec}: {one}" for one in cells[:_NAMED]]
    if more := len(cells) - _NAMED:
        query = f"select cell, diverged_at from {spec}.cells where status = '{DIVERGED}'"
        lines += [f'{spec}: {more} more cells diverged; saespec sql "{query}"'] * (more > 0)
    return lines


def left_out(tables: Mapping[str, pa.Table]) -> tuple[dict[str, pa.Table], str]:
    """Return a spec's tables without the rows of cells that diverged, and a sentence that says so, if there are any."""
    import pyarrow.compute as pc

    gone = [one.cell for one in diverged(tables["cells"])]
    if not gone:
        return dict(tables), ""
    kept = {}
    for name, table in tables.items():
        for column in ("cell", "other_cell"):
            if column in table.column_names:
                table = table.filter(pc.invert(pc.is_in(table[column], value_set=_array(gone))))
        kept[name] = table
    return kept, f"{len(gone)} of {tables['cells'].num_rows} cells diverged and {_are(len(gone))} left out"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _array(values: list[str]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values)
