"""What a step of TopK costs as k, the number of latents and that of SAEs grow, with dense and with sparse products."""

from __future__ import annotations

import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rich.console import Console

from saespec.spec.columns import Column

from . import machine
from .scaling import POOL
from .trainers.architectures import OWN, K, architectures
from .trainers.sizes import WORKLOADS, Workload

COLUMNS = (
    Column("products", "string", "name", "train.products: dense or sparse."),
    Column("k", "int64", "latents", "Active latents a sample."),
    Column("latents", "int64", "latents", "Size of each dictionary."),
    Column("cells", "int64", "cells", "SAEs that train together."),
    Column("batch", "int64", "samples", "Samples in a step."),
    Column("dim", "int64", "dimensions", "Width of the activations."),
    Column("device", "string", "kind", "cpu or cuda."),
    Column("device_name", "string", "name", "The device's name."),
    Column("threads", "int64", "threads", "Threads that torch might use."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("position", "int64", "index", "Place in the round's random order, from 0."),
    Column("attempt", "int64", "index", "How often this measurement was repeated because others disturbed it."),
    Column("steps", "int64", "steps", "Timed steps of every SAE."),
    Column("seconds", "float64", "s", "Time of these steps."),
    Column("steps_per_second", "float64", "SAE-steps/s", "Steps a second, summed over the SAEs."),
    Column("memory_bytes", "int64", "bytes", "Peak memory of the process while training, above that before."),
    Column("device_memory_bytes", "int64", "bytes", "Peak of torch's memory on the GPU; NULL on a CPU."),
)  # fmt: skip

BASE = replace(WORKLOADS["d256-n512"], pool=POOL, cells=4)
KS = (4, 16, 64, 256)
LATENTS = (512, 2048, 8192)
CELLS = (1, 2, 4, 8, 16)
PRODUCTS = {"cpu": ("dense", "sparse"), "cuda": ("dense",)}


@dataclass(frozen=True)
class Point:
    """What is measured once a round."""

    sizes: Workload
    k: int
    products: str


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    rounds: int
    threads: int
    device: str
    seed: int
    latents: tuple[int, ...]
    patience: float
    """Seconds to spend, over all, on repeating what others disturbed, once it is quiet."""


def points(latents: tuple[int, ...], device: str) -> list[Point]:
    """Every k with four SAEs and every number of SAEs at `K`, at all these numbers of latents."""
    grown = [(k, BASE.cells) for k in KS] + [(K, cells) for cells in CELLS]
    return list(
        dict.fromkeys(
            Point(replace(BASE, latents=n, cells=cells), k, products)
            for n in latents
            for k, cells in grown
            for products in PRODUCTS[device]
        )
    )


def measure(settings: Settings, console: Console) -> list[dict[str, Any]]:
    """Measure every point in each round, in random order, each in a process of its own."""
    order = random.Random(settings.seed)
    deadline = time.monotonic() + settings.patience
    rows: list[dict[str, Any]] = []
    with machine.forks(settings.threads) as processes:
        for number in range(settings.rounds):
            jobs = points(settings.latents, settings.device.split(":")[0])
            order.shuffle(jobs)
            for position, point in enumerate(jobs):
                row = machine.undisturbed(partial(_forked, processes, point, settings), deadline)
                rows.append({**row, "round": number, "position": position})
                console.print(
                    f"round {number + 1}/{settings.rounds}  k={point.k}, {point.sizes.latents} latents, "
                    f"{point.sizes.cells} cells, {point.products}: {row['steps_per_second']:,.0f} SAE-steps/s, "
                    f"others {row['others']:.2f} cores",
                    highlight=False,
                )
    return rows


def _forked(processes: ProcessPoolExecutor, point: Point, settings: Settings) -> dict[str, Any]:
    return processes.submit(_point, point, settings).result()


def _point(point: Point, settings: Settings) -> dict[str, Any]:
    from .trainers.point import trained
    from .trainers.saespec_stack import held

    topk = architectures(point.sizes, point.sizes.steps)["topk"].fields
    fields = {**OWN, **topk, "sae.k": point.k, "train.products": point.products}
    return {
        "products": point.products,
        "k": point.k,
        "latents": point.sizes.latents,
        "cells": point.sizes.cells,
        "batch": point.sizes.batch,
        "dim": point.sizes.dim,
        "device": settings.device.split(":")[0],
        "threads": settings.threads,
        **trained(point.sizes, held(point.sizes), settings.threads, settings.device, settings.seed, fields),
    }
