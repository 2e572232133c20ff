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

    None without runs of such cells. Cells that trained together share their time, so that counts once.
    """
    path = folder / "runs.parquet"
    if not path.exists():
        return None
    try:
        rows = parquet.read(path).to_pylist()
    except DamagedFileError:
        return None
    step_flops = {cell.id: cell_flops(cell.config) / cell.config.train.steps for cell in cells}
    known = [row for row in rows if row["cell"] in step_flops and row["steps"]]
    flops = sum(row["steps"] * step_flops[row["cell"]] for row in known)
    seconds = sum(
        seconds for _, _, seconds in {(row["stage"], row["started"], row["seconds"]) for row in known}
    )
    return flops / seconds if flops and seconds else None
