"""How fast this machine trained before, for estimates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saespec.errors import DamagedFileError
from saespec.plan.cost import cell_flops
from saespec.plan.model import Cell

from . import parquet


def measured_rate(folder: Path, cells: Sequence[Cell]) -> float | None:
    """Return the FLOP/s that earlier runs in a results folder reached on the cells that are still in the plan.

    None without runs of such cells. A stage's rows share its time, so each stage run counts once.
    """
    path = folder / "runs.parquet"
    if not path.exists():
        return None
    try:
        rows = parquet.read(path).to_pylist()
    except DamagedFileError:
        return None
    flops_of = {cell.id: cell_flops(cell.config) for cell in cells}
    flops = sum(flops_of.get(row["cell"], 0.0) for row in rows)
    times = {(row["stage"], row["started"]): row["seconds"] for row in rows if row["cell"] in flops_of}
    seconds = sum(times.values())
    return flops / seconds if flops and seconds else None
