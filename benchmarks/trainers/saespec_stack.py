"""saespec's own trainer, through the loop that `saespec run` uses, snapshots and training curves included.

--data generated: batches made in the loop, as in real use (toy data as in `specs/toy_mmcs.yaml`).
--data pool: batches from memory, as the peers get them; no training curve, which the peers do not have.
--set train.precision=bfloat16: any field of the cells, as in a spec.
--architecture NAME: one of `architectures`, in the recipe that the peers have, from memory.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saespec.stages.threads import wait_briefly

wait_briefly()  # before torch is imported, as in a stage

# ruff: noqa: E402
from torch import Tensor

from saespec.data.parts import HELD_OUT, TRAIN
from saespec.plan.identity import cell_id
from saespec.plan.model import Cell
from saespec.results.provenance import version
from saespec.sae.batches import Batches, Sources
from saespec.sae.checkpoint import Store
from saespec.sae.products.mixed import Mixed, sparse_below
from saespec.sae.stack import split
from saespec.sae.train import Run, train_round
from saespec.spec.spec import CellConfig
from saespec.stages import device

from . import workload as w
from .architectures import OWN
from .sizes import ACTIVE, LR, Workload

CURVE_EVERY = 80
"""Steps between two points of the training curve in `specs/toy_mmcs.yaml`."""


def toy(sizes: Workload) -> dict[str, Any]:
    """The data section of a workload's cells."""
    return {
        "kind": "toy",
        "dim": sizes.dim,
        "features": sizes.features,
        "active": min(ACTIVE, sizes.features / 2),
        "correlation": "random",
        "decay": {"rule": "multiply", "rate": 0.99},
    }


def held(sizes: Workload) -> dict[str, Any]:
    """The same where batches come from memory: cells that differ by seed would each make a covariance for nothing."""
    return {key: value for key, value in toy(sizes).items() if key not in ("correlation", "decay")}


def cells(
    sizes: Workload,
    data: Mapping[str, Any],
    steps: int,
    curve_points: int,
    seed: int,
    fields: Mapping[str, Any],
) -> tuple[Cell, ...]:
    """The cells of a workload; `fields` are further ones, such as `train.precision`.

    They differ by the penalty's coefficient, or by seed where there is no penalty.
    """
    base: dict[str, Any] = {
        "data": dict(data),
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
    for n, alpha in enumerate(sizes.coefficients):
        if base["loss"]["sparsity"]["kind"] == "none":
            base["seed"] = seed + n
        else:
            base["loss"]["sparsity"]["coefficient"] = alpha
        config = CellConfig.model_validate(base)
        made.append(Cell(cell_id(config), config))
    return tuple(made)


class Timed(Batches):
    """A run's batches, made as ever or taken from memory, with the clock told of each that is asked for."""

    def __init__(
        self, configs: list[CellConfig], sources: Sources, job: w.Job, held: Callable[[int], Tensor] | None
    ) -> None:
        super().__init__(configs, sources)
        self._clock, self._held = job.clock, held

    def batch(self, part: str, t: int) -> tuple[Tensor, Tensor]:
        """Input and target, [N, B, D]."""
        if part == TRAIN:
            self._clock.tick(t)
        if self._held is None:
            return super().batch(part, t)
        x_NBD = self._held(t).expand(len(self.source_of_cell), -1, -1)
        return x_NBD, x_NBD


def train(
    job: w.Job, held: Callable[[int], Tensor] | None, data: Mapping[str, Any], fields: Mapping[str, Any]
) -> tuple[Run, list[w.Trained]]:
    """Train a job's SAEs on batches held in memory, or, without any, on those that the data section makes.

    Returns the last stack and the SAEs in the order of the job's coefficients. Curves come with made batches.
    """
    os.environ[device.VARIABLE] = str(job.device)
    device.device()  # sets torch as a stage does: deterministic kernels, float32 that is float32
    steps = job.steps + 1  # the clock stops when the last batch is asked for
    points = 1 if held else max(1, round(steps / CURVE_EVERY))
    wanted = cells(job.sizes, data, steps, points, job.seed, fields)
    trained: dict[str, w.Trained] = {}
    for stack in split(wanted, job.device):
        job.start_clock()
        sources = Sources(job.device)
        run = Run(stack, sources)
        run.batches = Timed([one.config for one in run.stack.rows], sources, job, held)
        _settle(run)
        with tempfile.TemporaryDirectory() as folder:
            train_round([run], Store(Path(folder)), lambda progress: None, lambda: False)
        encoder, bias, decoder = (run.stack.params[name] for name in ("encoder", "bias", "decoder"))
        for n, one in enumerate(stack):
            trained[one.id] = w.Trained(encoder[n], bias[n], decoder[n])
    return run, [trained[one.id] for one in wanted]


def _settle(run: Run) -> None:
    """Let sparse products begin at once in cells whose k says beforehand what they would see after some steps."""
    products, config = run.stack.gradients.products, run.stack.rows[0].config
    k: int | None = getattr(config.sae, "k", None)
    if isinstance(products, Mixed) and k is not None:
        few = k / config.sae.latents < sparse_below(products.dtype, config.data.dim)
        products.state["sparse"].fill_(float(few))


def main() -> None:
    """Train, and print the results."""
    parser = w.parser(__doc__)
    parser.add_argument("--data", choices=("pool", "generated"), default="pool")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    args = parser.parse_args()
    given = {k: _value(v) for k, v in (item.split("=", 1) for item in args.set)}
    package = f"saespec {version()}"
    for job in w.jobs(args):
        batch = None if args.data == "generated" else job.pool.batch
        fields = {**OWN, **job.recipe.fields, **given} if job.architecture else given
        data = held(job.sizes) if job.architecture else toy(job.sizes)
        run, trained = train(job, batch, data, fields)
        if job.architecture:
            weights = (t for one in trained for t in (one.encoder_LD, one.bias_L, one.decoder_LD))
            job.finish_speed(weights, _dead(run, job.recipe.window), package)
        elif args.data == "generated":
            source = run.batches.sources[0]
            assert source.truth is not None
            job.finish(trained, package, source.truth.truth_GD, source.batch(HELD_OUT, 0, job.sizes.batch))
        else:
            job.finish(trained, package)


def _dead(run: Run, window: int | None) -> list[float]:
    """The share of dead latents of each cell of a stack; none where nobody counts."""
    silence = run.stack.gradients.silence
    if silence is None or window is None:
        return []
    shares: list[float] = silence.dead(window).float().mean(dim=1).tolist()
    return shares


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()
