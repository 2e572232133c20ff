"""Trainers side by side: each in a process of its own, in an order that is drawn anew each round."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from saespec.spec.columns import Column

from . import machine
from .trainers.sizes import WORKLOADS

SHORTER = 5
"""Every round but the first takes this fraction of the steps, unless a step's cost changes meanwhile."""

COLUMNS = (
    Column("workload", "string", "name", "Sizes: d is the dimension, n the number of latents."),
    Column("trainer", "string", "name", "What was measured; see docs/speed.md."),
    Column("role", "string", "name", "saespec; peer, as shipped; tuned peer; reference (no library); limit."),
    Column("precision", "string", "name", "Of the matrix products: float32 or bfloat16."),
    Column("data", "string", "name", "pool: batches from memory; generated: made in the loop, as in real use."),
    Column("device", "string", "kind", "cpu or cuda."),
    Column("device_name", "string", "name", "The device's name."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("position", "int64", "index", "Place in the round's random order, from 0."),
    Column("attempt", "int64", "index", "How often this measurement was repeated because others disturbed it."),
    Column("cells", "int64", "cells", "SAEs that were trained."),
    Column("batch", "int64", "samples", "Samples in a step."),
    Column("dim", "int64", "dimensions", "Width of the activations."),
    Column("latents", "int64", "latents", "Size of each dictionary."),
    Column("threads", "int64", "threads", "Threads that torch might use."),
    Column("steps", "int64", "steps", "Timed steps of every SAE."),
    Column("seconds", "float64", "s", "Time of these steps."),
    Column("steps_per_second", "float64", "SAE-steps/s", "Steps a second, summed over the SAEs."),
    Column("flop_rate", "float64", "FLOP/s", "Of dense training: 10·batch·dim·latents a step; NULL for copies."),
    Column("byte_rate", "float64", "bytes/s", "Of Adam's: 28·(2·dim + 1)·latents a step; NULL for products."),
    Column("peak_share", "float64", "1", "flop_rate over the products' own of the same precision (medians)."),
    Column("copy_share", "float64", "1", "byte_rate over that of the copies alone (medians of rounds)."),
    Column("loss", "float64", "squared activation", "Held-out loss, mean over the SAEs."),
    Column("mmcs_best", "float64", "cosine", "Best MMCS with the truth among the SAEs."),
    Column("mmcs_mean", "float64", "cosine", "MMCS with the truth, mean over the SAEs."),
    Column("finite", "bool", "bool", "Whether every loss is finite."),
    Column("data_sha256", "string", "hash", "Of the pool: equal where trainers had the same data."),
    Column("peak_memory_bytes", "int64", "bytes", "Peak memory of the process, the pool included."),
    Column("device_memory_bytes", "int64", "bytes", "Peak of torch's memory on the GPU; NULL on a CPU."),
    Column("package", "string", "name", "The package that trained, and its version."),
)  # fmt: skip

PRODUCTS = "products alone"
COPIES = "copies alone"


@dataclass(frozen=True)
class Trainer:
    """One row of the comparison."""

    name: str
    role: str
    module: str
    options: tuple[str, ...] = ()
    precision: str = "float32"
    data: str = "pool"
    devices: tuple[str, ...] = ("cpu", "cuda")
    settles: bool = False
    """Whether a step's cost changes while the SAEs learn, so that only whole trainings can be compared."""


BFLOAT16 = ("--set", "train.precision=bfloat16")
SPARSE = ("--set", "train.products=sparse")
IN_FORWARD = ("--set", "sae.decoder_norm=unit_in_forward")

TRAINERS = (
    Trainer("saespec, as used", "saespec", "saespec_stack", ("--data", "generated"), data="generated"),
    Trainer("saespec", "saespec", "saespec_stack"),
    Trainer("saespec, in forward", "saespec", "saespec_stack", IN_FORWARD),
    Trainer("saespec, sparse", "saespec", "saespec_stack", SPARSE, devices=("cpu",), settles=True),
    Trainer("saespec, bfloat16", "saespec", "saespec_stack", BFLOAT16, "bfloat16"),
    Trainer(
        *("saespec, bfloat16, sparse", "saespec", "saespec_stack", (*BFLOAT16, *SPARSE), "bfloat16"),
        devices=("cpu",),
        settles=True,
    ),
    Trainer(
        *("saespec, bfloat16, in forward", "saespec", "saespec_stack", (*BFLOAT16, *IN_FORWARD), "bfloat16"),
    ),
    Trainer("stacked bmm, fused Adam", "reference", "bmm"),
    Trainer("plain loop", "reference", "loop"),
    Trainer("SAELens", "peer", "saelens"),
    Trainer("SAELens, compile_sae", "tuned peer", "saelens", ("--compile",)),
    Trainer("SAELens, autocast", "tuned peer", "saelens", ("--autocast",), "bfloat16"),
    Trainer("dictionary_learning", "peer", "dictionary_learning"),
    Trainer(
        *("dictionary_learning, autocast", "tuned peer", "dictionary_learning", ("--autocast",), "bfloat16"),
        devices=("cuda",),
    ),
    Trainer(PRODUCTS, "limit", "products", data="none"),
    Trainer(f"{PRODUCTS}, bfloat16", "limit", "products", ("--dtype", "bfloat16"), "bfloat16", "none"),
    Trainer(COPIES, "limit", "copying", data="none"),
)


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    workloads: Sequence[str]
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


def measure(settings: Settings, console: Console) -> list[dict[str, Any]]:
    """Run every trainer on every workload, round after round; the rows of the table."""
    present = []
    for trainer in settings.trainers:
        if settings.pythons.get(trainer.module, Path()) is None:
            option = f"--{trainer.module.replace('_', '-')}-python"
            console.print(f"left out: {trainer.name} (give {option})", style="yellow")
        elif settings.device.split(":")[0] in trainer.devices:
            present.append(trainer)
    rows: list[dict[str, Any]] = []
    order = random.Random(settings.seed)
    deadline = time.monotonic() + settings.patience
    for number in range(settings.rounds):
        jobs = list(product(settings.workloads, present))
        order.shuffle(jobs)
        for position, (workload, trainer) in enumerate(jobs):
            steps = settings.steps or WORKLOADS[workload].steps
            if number and not trainer.settles:
                steps = max(1, steps // SHORTER)  # how well it learns is known; how fast, is asked again
            row = machine.undisturbed(partial(_measured, workload, trainer, steps, settings), deadline)
            rows.append(row | {"round": number, "position": position})
            console.print(
                f"round {number + 1}/{settings.rounds}  {workload}  {trainer.name}: "
                f"{row['steps_per_second']:,.0f} SAE-steps/s, others {row['others']:.2f} cores",
                highlight=False,
            )
    _add_shares(rows)
    return rows


def _add_shares(rows: Sequence[dict[str, Any]]) -> None:
    """Set every row beside what this machine's products and copies alone reach, in the same run."""
    for row in rows:
        precise = "" if row["precision"] == "float32" else f", {row['precision']}"
        for column, limit in (("flop_rate", PRODUCTS + precise), ("byte_rate", COPIES)):
            reached = [r[column] for r in rows if r["workload"] == row["workload"] and r["trainer"] == limit]
            share = "peak_share" if column == "flop_rate" else "copy_share"
            row[share] = row[column] / median(reached) if reached and row[column] else None


def _measured(workload: str, trainer: Trainer, steps: int, settings: Settings) -> dict[str, Any]:
    """One row."""
    sizes = WORKLOADS[workload]
    arguments = [
        *trainer.options,
        *("--workload", workload, "--device", settings.device, "--seed", str(settings.seed)),
        *("--steps", str(steps), "--warmup", str(max(1, steps // 10))),
    ]
    python = settings.pythons.get(trainer.module)
    (said,) = machine.lines(trainer.module, arguments, settings.threads, python)
    per_second = sizes.cells * said["steps"] / said["seconds"]
    return {
        "workload": workload,
        "trainer": trainer.name,
        "role": trainer.role,
        "precision": trainer.precision,
        "data": trainer.data,
        "device": settings.device.split(":")[0],
        "cells": sizes.cells,
        "batch": sizes.batch,
        "dim": sizes.dim,
        "latents": sizes.latents,
        "steps_per_second": per_second,
        "flop_rate": None if trainer.name == COPIES else per_second * sizes.flops,
        "byte_rate": None if trainer.name.startswith(PRODUCTS) else per_second * sizes.bytes,
        **said,
    }
