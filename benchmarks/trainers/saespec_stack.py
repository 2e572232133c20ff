"""saespec's own trainer, through the loop that `saespec run` uses, snapshots and training curves included.

--data generated: batches made in the loop, as in real use (toy data as in `specs/toy_mmcs.yaml`).
--data pool: batches from memory, as the peers get them; no training curve, which the peers do not have.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import saespec.stages  # noqa: F401  # before torch: settings that torch reads when it is imported

# isort: split
import torch
from torch import Tensor

from saespec.data.source import HELD_OUT, TRAIN
from saespec.plan.identity import cell_id
from saespec.plan.model import Cell
from saespec.results.provenance import version
from saespec.sae.batches import Batches
from saespec.sae.checkpoint import Store
from saespec.sae.stack import sort_key
from saespec.sae.train import Run, train_stack
from saespec.spec.spec import CellConfig

from . import workload as w
from .sizes import ACTIVE, BATCH, COEFFICIENTS, LR, WORKLOADS, Workload

CURVE_EVERY = 80
"""Steps between two points of the training curve in `specs/toy_mmcs.yaml`."""


def cell(sizes: Workload, coefficient: float, steps: int, curve_points: int, seed: int) -> Cell:
    """One cell of the workload."""
    config = CellConfig.model_validate(
        {
            "data": {
                "kind": "toy",
                "dim": sizes.dim,
                "features": sizes.features,
                "active": ACTIVE,
                "correlation": "random",
                "decay": {"rule": "multiply", "rate": 0.99},
            },
            "sae": {"kind": "relu", "latents": sizes.latents},
            "loss": {
                "reconstruction": "sum",
                "sparsity": {"kind": "l1", "coefficient": coefficient, "per": "sample"},
            },
            "train": {
                "steps": steps,
                "batch": BATCH,
                "optimizer": {"kind": "adam", "lr": LR},
                "curve_points": curve_points,
            },
            "seed": seed,
        }
    )
    return Cell(cell_id(config), config)


class Timed(Batches):
    """A run's batches, made as ever or taken from a pool, with the clock told of each that is asked for."""

    def __init__(self, configs: list[CellConfig], clock: w.Clock, pool: w.Pool | None) -> None:
        super().__init__(configs, torch.device("cpu"))
        self._clock, self._pool = clock, pool

    def batch(self, part: str, t: int) -> tuple[Tensor, Tensor]:
        """Input and target, [N, B, D]."""
        if part == TRAIN:
            self._clock.tick(t)
        if self._pool is None:
            return super().batch(part, t)
        x_NBD = self._pool.batch(t).expand(len(self.source_of_cell), -1, -1)
        return x_NBD, x_NBD


def main() -> None:
    """Train, and print the result."""
    args = w.arguments(__doc__)
    sizes = WORKLOADS[args.workload]
    steps = args.warmup + args.steps + 1  # the clock stops when the last batch is asked for
    pool = w.Pool(sizes, args.seed) if args.data == "pool" else None
    points = 1 if pool else max(1, round(steps / CURVE_EVERY))
    cells = [cell(sizes, alpha, steps, points, args.seed) for alpha in COEFFICIENTS]
    run = Run(tuple(sorted(cells, key=sort_key)), torch.device("cpu"))
    clock = w.Clock(args.warmup, args.steps)
    run.batches = Timed([one.config for one in run.stack.rows], clock, pool)
    with tempfile.TemporaryDirectory() as folder:
        train_stack(run, Store(Path(folder)), lambda progress: None, lambda: False)
    params, ids = run.stack.params, [one.id for one in run.stack.cells]
    trained = [
        w.Trained(params["encoder"][n], params["bias"][n], params["decoder"][n])
        for n in (ids.index(one.id) for one in cells)
    ]
    source = run.batches.sources[0]
    truth_GD = pool.truth_GD if pool else source.truth_GD
    assert truth_GD is not None
    held_out_BD = pool.held_out_BD if pool else source.batch(HELD_OUT, 0, BATCH)
    sha256 = pool.sha256 if pool else "made in the loop"
    w.finish(args, clock, trained, truth_GD, held_out_BD, data=sha256, package=f"saespec {version()}")


if __name__ == "__main__":
    main()
