"""Every architecture, trained by saespec and by others: how fast, side by side.

A process goes through all architectures that its trainer has, in an order that is drawn anew, for starting one takes
longer than a measurement.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console

from saespec.spec.columns import Column

from . import machine
from .throughput import BFLOAT16, SPARSE
from .trainers.architectures import Architecture, architectures
from .trainers.sizes import FEW_ACTIVE, WORKLOADS, Workload

SIZES = {**WORKLOADS, **FEW_ACTIVE}
STEPS = {"d256-n512": 24, "d64-n128": 150, "d256-n8192": 4}
"""Timed steps: enough for a rate, not for an SAE."""

COLUMNS = (
    Column("workload", "string", "name", "Sizes: d is the dimension, n the number of latents."),
    Column("architecture", "string", "name", "What is trained; see benchmarks/trainers/architectures.py."),
    Column("trainer", "string", "name", "Who trained it; see docs/speed.md."),
    Column("role", "string", "name", "saespec; peer, as shipped."),
    Column("precision", "string", "name", "Of the matrix products: float32 or bfloat16."),
    Column("products", "string", "name", "dense or sparse."),
    Column("device", "string", "kind", "cpu or cuda."),
    Column("device_name", "string", "name", "The device's name."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("position", "int64", "index", "Place in the round's random order, from 0."),
    Column("attempt", "int64", "index", "How often this measurement was repeated because others disturbed it."),
    Column("cells", "int64", "cells", "SAEs that were trained."),
    Column("batch", "int64", "samples", "Samples in a step."),
    Column("dim", "int64", "dimensions", "Width of the activations."),
    Column("latents", "int64", "latents", "Size of each dictionary."),
    Column("k", "int64", "latents", "Active latents a sample, where the architecture fixes them."),
    Column("threads", "int64", "threads", "Threads that torch might use."),
    Column("steps", "int64", "steps", "Timed steps of every SAE."),
    Column("seconds", "float64", "s", "Time of these steps."),
    Column("steps_per_second", "float64", "SAE-steps/s", "Steps a second, summed over the SAEs."),
    Column("dead", "float64", "fraction", "Share of latents that count as dead at the end; NULL without aux_k."),
    Column("finite", "bool", "bool", "Whether every weight is finite."),
    Column("data_sha256", "string", "hash", "Of the pool: equal where trainers had the same data."),
    Column("package", "string", "name", "The package that trained, and its version."),
)  # fmt: skip


@dataclass(frozen=True)
class Trainer:
    """Who trains, and how."""

    name: str
    role: str
    module: str
    options: tuple[str, ...] = ()
    precision: str = "float32"
    products: str = "dense"
    devices: tuple[str, ...] = ("cpu", "cuda")

    def knows(self, architecture: Architecture, sizes: Workload) -> bool:
        """Whether it has an architecture at these sizes, or this way of multiplying has."""
        if self.module != "saespec_stack" and getattr(architecture, self.module) is None:
            return False
        return self.products == "dense" or (sizes.dim > NARROW and architecture.can_be_sparse)


NARROW = 64
"""Width up to which dense products are the faster ones whatever is active."""

TRAINERS = (
    Trainer("saespec", "saespec", "saespec_stack"),
    Trainer(
        *("saespec, sparse", "saespec", "saespec_stack", SPARSE),
        products="sparse",
        devices=("cpu",),
    ),
    Trainer("saespec, bfloat16", "saespec", "saespec_stack", BFLOAT16, "bfloat16"),
    Trainer(
        *("saespec, bfloat16, sparse", "saespec", "saespec_stack", (*BFLOAT16, *SPARSE), "bfloat16"),
        products="sparse",
        devices=("cpu",),
    ),
    Trainer("SAELens", "peer", "saelens"),
    Trainer("dictionary_learning", "peer", "dictionary_learning"),
)


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    workloads: Sequence[str]
    architectures: Sequence[str]
    trainers: Sequence[Trainer]
    rounds: int
    steps: int | None
    threads: int
    device: str
    seed: int
    pythons: dict[str, Path | None]
    """Interpreter of each peer's environment, by module; None leaves the peer out."""
    patience: float
    """Seconds to spend, over all, on repeating what others disturbed, once it is quiet."""


def names(workload: str = "d64-n128") -> list[str]:
    """The architectures that are measured at these sizes."""
    found = architectures(SIZES[workload], STEPS[workload])
    return [name for name, one in found.items() if workload in WORKLOADS or one.few_active]


def measure(settings: Settings, console: Console) -> list[dict[str, Any]]:
    """Run every trainer on every workload, round after round; the rows of the table."""
    present = [trainer for trainer in settings.trainers if _present(trainer, settings, console)]
    jobs = [
        (workload, trainer, found)
        for workload, trainer in product(settings.workloads, present)
        if (found := wanted(workload, trainer, settings.architectures))
    ]
    rows: list[dict[str, Any]] = []
    order = random.Random(settings.seed)
    deadline = time.monotonic() + settings.patience
    for number in range(settings.rounds):
        order.shuffle(jobs)
        position = 0
        for workload, trainer, found in jobs:
            drawn = order.sample(found, len(found))
            measured = machine.undisturbed(partial(_measured, workload, trainer, drawn, settings), deadline)
            for row in measured["rows"]:
                common = {"load": measured["load"], "attempt": measured["attempt"]}
                rows.append({**common, **row, "round": number, "position": position})
                position += 1
                console.print(
                    f"round {number + 1}/{settings.rounds}  {workload}  {row['architecture']}  {trainer.name}: "
                    f"{row['steps_per_second']:,.0f} SAE-steps/s, others {row['others']:.2f} cores",
                    highlight=False,
                )
    return rows


def _present(trainer: Trainer, settings: Settings, console: Console) -> bool:
    """Whether a trainer can be measured here; says why not."""
    kind, missing = settings.device.split(":")[0], None
    if settings.pythons.get(trainer.module, Path()) is None:
        missing = f"give --{trainer.module.replace('_', '-')}-python"
    elif kind == "cpu" and trainer.precision == "bfloat16" and not machine.multiplies_bfloat16():
        missing = "this processor has no bfloat16 instructions"
    if missing:
        console.print(f"left out: {trainer.name} ({missing})", style="yellow")
    return not missing and kind in trainer.devices


def wanted(workload: str, trainer: Trainer, among: Sequence[str]) -> list[str]:
    """The architectures that a trainer trains at these sizes."""
    sizes = SIZES[workload]
    known = architectures(sizes, STEPS[workload])
    return [name for name in names(workload) if name in among and trainer.knows(known[name], sizes)]


def _measured(workload: str, trainer: Trainer, among: Sequence[str], settings: Settings) -> dict[str, Any]:
    """A row for each architecture, all from one process, and the worst of what disturbed them."""
    sizes = SIZES[workload]
    steps = settings.steps or STEPS[workload]
    warmup = max(2, steps // 10)
    arguments = [
        *trainer.options,
        *("--workload", workload, "--device", settings.device, "--seed", str(settings.seed)),
        *("--steps", str(steps), "--warmup", str(warmup)),
        *(argument for name in among for argument in ("--architecture", name)),
    ]
    said = machine.lines(trainer.module, arguments, settings.threads, settings.pythons.get(trainer.module))
    known = architectures(sizes, warmup + steps)
    declared = {column.name for column in COLUMNS} | {"others", "torch", "python"}
    rows = [
        {
            "workload": workload,
            "architecture": name,
            "trainer": trainer.name,
            "role": trainer.role,
            "precision": trainer.precision,
            "products": trainer.products,
            "device": settings.device.split(":")[0],
            "cells": sizes.cells,
            "batch": sizes.batch,
            "dim": sizes.dim,
            "latents": sizes.latents,
            "k": known[name].k,
            "steps_per_second": sizes.cells * row["steps"] / row["seconds"],
            **{column: value for column, value in row.items() if column in declared},
        }
        for name, row in zip(among, said, strict=True)
    ]
    return {"rows": rows, "others": max(row["others"] for row in rows)}
