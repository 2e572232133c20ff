"""How the trainer's speed and memory change as one size grows and the others stay."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rich.console import Console

from saespec.spec.columns import Column

from . import machine
from .trainers.sizes import WORKLOADS, Workload

COLUMNS = (
    Column("base", "string", "name", "The sizes around which one at a time is changed."),
    Column("precision", "string", "name", "Of the matrix products: float32 or bfloat16."),
    Column("device", "string", "kind", "cpu or cuda."),
    Column("device_name", "string", "name", "The device's name."),
    Column("cells", "int64", "cells", "SAEs that train together."),
    Column("latents", "int64", "latents", "Size of each dictionary."),
    Column("batch", "int64", "samples", "Samples in a step."),
    Column("dim", "int64", "dimensions", "Width of the activations."),
    Column("threads", "int64", "threads", "Threads that torch might use."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("position", "int64", "index", "Place in the round's random order, from 0."),
    Column(
        "attempt", "int64", "index", "How often this measurement was repeated because others disturbed it."
    ),
    Column("steps", "int64", "steps", "Timed steps of every SAE."),
    Column("seconds", "float64", "s", "Time of these steps."),
    Column("steps_per_second", "float64", "SAE-steps/s", "Steps a second, summed over the SAEs."),
    Column("flop_rate", "float64", "FLOP/s", "Of dense training: 10·batch·dim·latents a step."),
    Column("product_rate", "float64", "FLOP/s", "Of the step's five products alone, measured right after."),
    Column("peak_share", "float64", "1", "flop_rate over product_rate."),
    Column("memory_bytes", "int64", "bytes", "Peak memory of the process while training, above that before."),
    Column("device_memory_bytes", "int64", "bytes", "Peak of torch's memory on the GPU; NULL on a CPU."),
)

POOL = 4
"""Batches that are made before the clock starts, and repeated."""
BASES = {name: replace(workload, pool=POOL) for name, workload in WORKLOADS.items()}
VALUES = {
    "cells": (1, 2, 4, 8, 16, 32, 64),
    "latents": (64, 128, 256, 512, 1024, 2048),
    "batch": (64, 128, 256, 512, 1024, 2048, 4096),
    "dim": (32, 64, 128, 256, 512),
}


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    rounds: int
    threads: int
    device: str
    seed: int
    bases: Collection[str]
    vary: Collection[str]
    fields: Mapping[str, Any]
    """Fields of the cells, such as train.precision."""
    patience: float
    """Seconds to spend, over all, on repeating what others disturbed, once it is quiet."""


def points(bases: Collection[str], vary: Collection[str]) -> list[tuple[str, Workload]]:
    """Every point with the name of its base; a base itself is measured once."""
    return list(
        dict.fromkeys(
            (base, replace(BASES[base], **{size: value}))
            for base in bases
            for size in vary
            for value in VALUES[size]
        )
    )


def measure(settings: Settings, console: Console) -> list[dict[str, Any]]:
    """Measure every point in each round, in random order, each in a process of its own."""
    order = random.Random(settings.seed)
    deadline = time.monotonic() + settings.patience
    rows: list[dict[str, Any]] = []
    with machine.forks(settings.threads) as processes:
        for number in range(settings.rounds):
            jobs = points(settings.bases, settings.vary)
            order.shuffle(jobs)
            for position, (base, sizes) in enumerate(jobs):
                row = machine.undisturbed(partial(_forked, processes, sizes, settings), deadline)
                row |= {"base": base, "round": number, "position": position}
                rows.append(row)
                console.print(
                    f"round {number + 1}/{settings.rounds}  {sizes.cells} cells, {sizes.latents} latents, "
                    f"batch {sizes.batch}, d={sizes.dim}: {row['steps_per_second']:,.0f} SAE-steps/s, "
                    f"{row['peak_share']:.0%} of the products, others {row['others']:.2f} cores",
                    highlight=False,
                )
    return rows


def _forked(processes: ProcessPoolExecutor, sizes: Workload, settings: Settings) -> dict[str, Any]:
    return processes.submit(_point, sizes, settings).result()


def _point(sizes: Workload, settings: Settings) -> dict[str, Any]:
    from .trainers import point

    return {
        "precision": settings.fields.get("train.precision", "float32"),
        "device": settings.device.split(":")[0],
        "cells": sizes.cells,
        "latents": sizes.latents,
        "batch": sizes.batch,
        "dim": sizes.dim,
        "threads": settings.threads,
        **point.measure(sizes, settings.threads, settings.device, settings.seed, settings.fields),
    }
