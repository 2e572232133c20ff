"""saespec's own trainer, through the loop that `saespec run` uses, by the recipe of specs/parts/recommended.yaml.

A recipe of the grid is the same with another learning rate.

--set train.precision=bfloat16: any field of the cells, as in a spec.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saespec.stages.threads import wait_briefly

wait_briefly()  # before torch is imported, as in a stage

# ruff: noqa: E402
from ruamel.yaml import YAML
from torch import Tensor

from benchmarks import machine
from saespec.data.parts import TRAIN
from saespec.plan.identity import cell_id
from saespec.plan.model import Cell
from saespec.results.provenance import version
from saespec.sae.batches import Batches, Sources
from saespec.sae.checkpoint import Store
from saespec.sae.stack import split
from saespec.sae.train import Run, train_round
from saespec.spec.spec import CellConfig
from saespec.stages import device

from .quality_tasks import OWN, learning_rate
from .quality_training import Trained, Training, main

RECOMMENDED = machine.ROOT / "specs" / "parts" / "recommended.yaml"


def cells(training: Training, fields: Mapping[str, Any]) -> tuple[Cell, ...]:
    """The cells of a training: the recommended recipe, and what it leaves open."""
    task = training.task
    base: dict[str, Any] = YAML(typ="safe").load(RECOMMENDED)
    base["data"] = {
        "kind": "toy",
        "dim": task.sizes.dim,
        "features": task.sizes.features,
        "active": task.active,
    }
    base["sae"] |= {"kind": "relu", "latents": task.sizes.latents}
    base["loss"] = {"reconstruction": "sum", "sparsity": {"kind": "l1", "per": "sample"}}
    base["train"] |= {"steps": training.steps, "batch": task.sizes.batch, "curve_points": 1}
    if training.recipe != OWN:
        base["train"]["optimizer"]["lr"] = learning_rate(training.recipe)
    for path, value in fields.items():
        *sections, name = path.split(".")
        section = base
        for key in sections:
            section = section.setdefault(key, {})
        section[name] = value
    made = []
    for n, alpha in enumerate(training.coefficients):
        own = copy.deepcopy(base)
        own["loss"]["sparsity"]["coefficient"] = alpha
        own["seed"] = training.seed * 1000 + n
        config = CellConfig.model_validate(own)
        made.append(Cell(cell_id(config), config))
    return tuple(made)


class Held(Batches):
    """The training's batches from memory, the same for all cells."""

    def __init__(self, configs: list[CellConfig], training: Training) -> None:
        super().__init__(configs, Sources(training.device))
        self._training = training

    def batch(self, part: str, t: int) -> tuple[Tensor, Tensor]:
        """Input and target, [N, B, D]."""
        if part == TRAIN:
            x_BD = self._training.batch(t)
        else:  # for the only point of the curve, after the last step
            self._training.done(self._training.steps)
            x_BD = self._training.pool.batch(t)
        x_NBD = x_BD.expand(len(self.source_of_cell), -1, -1)
        return x_NBD, x_NBD


def train(training: Training, args: argparse.Namespace) -> None:
    """Train."""
    os.environ[device.VARIABLE] = str(training.device)
    device.device()  # sets torch as a stage does: deterministic kernels, float32 that is float32
    fields = dict(item.split("=", 1) for item in args.set)
    (together,) = split(cells(training, {k: _value(v) for k, v in fields.items()}), training.device)
    run = Run(together, Sources(training.device))
    run.batches = Held([one.config for one in run.stack.rows], training)

    def saes() -> list[Trained]:
        w = run.stack.gradients.norm.observe(run.stack.params)
        return [Trained(w["encoder"][n], w["bias"][n], w["decoder"][n]) for n in range(len(together))]

    training.look(saes)
    with tempfile.TemporaryDirectory() as folder:
        train_round([run], Store(Path(folder)), lambda progress: None, lambda: False)


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main(__doc__, train, lambda: f"saespec {version()}", _add)
