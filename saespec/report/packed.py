"""Tables as a page carries them: columns, numbers short or as float32, what all rows share said once."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = 6
"""Significant digits of a number in the table of cells."""


def columns(table: pa.Table, names: Sequence[str]) -> tuple[list[list[Any]], dict[str, Any]]:
    """Return those columns in which rows differ, as `[name, values]`, and the value of each of the others.

    Columns without any value are left out. Numbers have six significant digits; what is not finite is None.
    """
    kept: list[list[Any]] = []
    shared: dict[str, Any] = {}
    for name in names:
        values = [short(value) for value in table[name].to_pylist()]
        if all(value is None for value in values):
            continue
        if len(values) > 1 and all(value == values[0] for value in values):
            shared[name] = values[0]
        else:
            kept.append([name, values])
    return kept, shared


def short(value: Any) -> Any:
    """Return a value as JSON can hold it, numbers with six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


def by_cell(table: pa.Table, cells: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Return rows of numbers in the order of cells: `offsets` of each cell's rows, and columns as base64 float32.

    Rows of other cells are left out, and columns without any number.
    """
    order = {cell: index for index, cell in enumerate(cells)}
    of = np.array([order.get(cell, -1) for cell in table["cell"].to_pylist()], dtype=np.int64)
    rows = np.flatnonzero(of >= 0)
    rows = rows[np.argsort(of[rows], kind="stable")]
    counts = np.bincount(of[rows], minlength=len(cells))
    kept, packed = [], []
    for name in names:
        values = table[name].to_numpy(zero_copy_only=False).astype(np.float32)[rows]
        if np.isfinite(values).any():
            kept.append(name)
            packed.append(base64.b64encode(values.astype("<f4").tobytes()).decode())
    return {"offsets": [0, *np.cumsum(counts).tolist()], "columns": kept, "values": packed}
