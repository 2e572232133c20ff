"""saespec's own trainer, through the loop that `saespec run` uses, snapshots and training curves included.

--data generated: batches made in the loop, as in real use (toy data as in `specs/toy_mmcs.yaml`).
--data pool: batches from memory, as the peers get them; no training curve, which the peers do not have.
--set train.precision=bfloat16: any field of the cells, as in a spec.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import saespec.cli.stage  # noqa: F401  # before torch: settings that torch reads when it is imported

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
from saespec.stages import device

from . import workload as w
from .sizes import ACTIVE, LR, Workload

CURVE_EVERY = 80
"""Steps between two points of the training curve in `specs/toy_mmcs.yaml`."""


def cells(
    sizes: Workload, steps: int, curve_points: int, seed: int, fields: Mapping[str, Any]
) -> tuple[Cell, ...]:
    """The cells of a workload; `fields` are further ones, such as `train.precision`."""
    base: dict[str, Any] = {
        "data": {
            "kind": "toy",
            "dim": sizes.dim,
            "features": sizes.features,
            "active": min(ACTIVE, sizes.features / 2),
            "correlation": "random",
            "decay": {"rule": "multiply", "rate": 0.99},
        },
        "sae": {"kind": "relu", "latents": sizes.latents},
        "loss": {"reconstruction": "sum", "sparsity": {"kind": "l1", "per": "sample"}},
        "train": {
            "steps": steps,
            "batch": sizes.batch,
            "optimizer": {"kind": "adam", "lr": LR},
            "curve_points": curve_points,
        },
        "seed": seed,
    }
    for path, value in fields.items():
        *sections, name = path.split(".")
        section = base
        for key in sections:
            section = section[key]
        section[name] = value
    made = []
    for alpha in sizes.coefficients:
        base["loss"]["sparsity"]["coefficient"] = alpha
        config = CellConfig.model_validate(base)
        made.append(Cell(cell_id(config), config))
    return tuple(made)


class Timed(Batches):
    """A run's batches, made as ever or taken from a pool, with the clock told of each that is asked for."""

    def __init__(self, configs: list[CellConfig], on: torch.device, clock: w.Clock, pool: w.Pool | None):
        super().__init__(configs, on)
        self._clock, self._pool = clock, pool

    def batch(self, part: str, t: int) -> tuple[Tensor, Tensor]:
        """Input and target, [N, B, D]."""
        if part == TRAIN:
            self._clock.tick(t)
        if self._pool is None:
            return super().batch(part, t)
        x_NBD = self._pool.batch(t).expand(len(self.source_of_cell), -1, -1)
        return x_NBD, x_NBD


def train(job: w.Job, generated: bool, fields: Mapping[str, Any]) -> tuple[Run, list[w.Trained]]:
    """Train a job's SAEs; the SAEs are in the order of the job's coefficients."""
    os.environ[device.VARIABLE] = str(job.device)
    device.device()  # sets torch as a stage does: deterministic kernels, float32 that is float32
    steps = job.steps + 1  # the clock stops when the last batch is asked for
    points = max(1, round(steps / CURVE_EVERY)) if generated else 1
    wanted = cells(job.sizes, steps, points, job.seed, fields)
    run = Run(tuple(sorted(wanted, key=sort_key)), job.device)
    configs = [one.config for one in run.stack.rows]
    run.batches = Timed(configs, job.device, job.clock, None if generated else job.pool)
    with tempfile.TemporaryDirectory() as folder:
        train_stack(run, Store(Path(folder)), lambda progress: None, lambda: False)
    params, ids = run.stack.params, [one.id for one in run.stack.cells]
    rows = [ids.index(one.id) for one in wanted]
    return run, [w.Trained(params["encoder"][n], params["bias"][n], params["decoder"][n]) for n in rows]


def main() -> None:
    """Train, and print the result."""
    parser = w.parser(__doc__)
    parser.add_argument("--data", choices=("pool", "generated"), default="pool")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    args = parser.parse_args()
    job = w.job(args)
    fields = dict(item.split("=", 1) for item in args.set)
    run, trained = train(job, args.data == "generated", {k: _value(v) for k, v in fields.items()})
    package = f"saespec {version()}"
    if args.data == "generated":
        source = run.batches.sources[0]
        assert source.truth_GD is not None
        job.finish(trained, package, source.truth_GD, source.batch(HELD_OUT, 0, job.sizes.batch))
    else:
        job.finish(trained, package)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()
