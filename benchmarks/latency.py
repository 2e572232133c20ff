"""How long a person waits for the commands that train nothing, from start to prompt."""

from __future__ import annotations

import math
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from saespec.spec.columns import Column

from . import machine

COLUMNS = (
    Column("command", "string", "name", "Arguments of saespec."),
    Column("cells", "int64", "cells", "Cells of the spec; NULL for commands without one."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("seconds", "float64", "s", "From start to exit of the process."),
    Column("peak_memory_bytes", "int64", "bytes", "Peak memory of the largest of its processes."),
)

SIZES = (10, 100, 1_000, 10_000)
TRAINED = 100
"""The most cells that are trained, so that `run` can find nothing to do."""

_SPEC = """\
version: 1
name: {name}
title: Many small cells
data: {{kind: toy, dim: 16, features: 24, active: 2}}
sae: {{kind: relu, latents: 24}}
loss: {{reconstruction: mean, sparsity: {{kind: l1, coefficient: 0.1, per: latents}}}}
train: {{steps: 20, batch: 32, curve_points: 2, optimizer: {{kind: adam, lr: 1.0e-3}}}}
sweep:
  grid:
    loss.sparsity.coefficient: {coefficients}
    seed: {seeds}
measure: [recovery, losses]
figures:
  mmcs:
    title: MMCS
    sql: select sparsity_coefficient, mmcs from cells order by all
    vega_lite:
      mark: point
      encoding:
        x: {{field: sparsity_coefficient, type: quantitative}}
        y: {{field: mmcs, type: quantitative}}
claims:
  some_recovery:
    says: Something is recovered.
    sql: select max(mmcs) as best from cells
    holds: best > 0
"""


def measure(rounds: int, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Time each command in each round, in random order, after one run of each that is not counted.

    `sizes` are the numbers of cells of the specs; those of at most `TRAINED` cells are trained in the round
    that is not counted, so that `run` then has nothing to do.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "specs").mkdir()
        for size in sizes:
            _write(root, size)
        commands: list[tuple[tuple[str, ...], int | None]] = [(("--help",), None)]
        commands += [
            ((name, f"specs/c{n}.yaml"), n) for name in ("validate", "plan", "compile") for n in sizes
        ]
        commands += [(("run", f"specs/c{n}.yaml"), n) for n in sizes if n <= TRAINED]
        rows: list[dict[str, Any]] = []
        for number in range(-1, rounds):
            for command, cells in random.Random(number).sample(commands, len(commands)):
                load = machine.load()
                done = machine.run(
                    [sys.executable, "-m", "saespec", *command],
                    folder=root,
                )
                if done.code:
                    raise SystemExit(f"saespec {' '.join(command)} failed:\n{done.stderr[-2000:]}")
                rows.append(
                    {
                        "command": command[0],
                        "cells": cells,
                        "round": number,
                        "seconds": done.seconds,
                        "peak_memory_bytes": done.peak_memory_bytes,
                        "load": load,
                        "others": done.others,
                    }
                )
    return [row for row in rows if row["round"] >= 0]


def _write(root: Path, cells: int) -> None:
    rows = max(n for n in range(1, math.isqrt(cells) + 1) if cells % n == 0)
    coefficients = [round(0.001 * (i + 1), 6) for i in range(cells // rows)]
    spec = _SPEC.format(name=f"c{cells}", coefficients=coefficients, seeds=list(range(rows)))
    (root / "specs" / f"c{cells}.yaml").write_text(spec, encoding="utf-8")
