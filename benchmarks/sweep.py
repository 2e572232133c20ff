"""Dictionaries of several sizes on toy data that are made in the loop: one size after the other, and all at once."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from saespec.spec.columns import Column

from . import machine

COLUMNS = (
    Column("workload", "string", "name", "Sizes: d is the dimension, n the number of latents of the middle size."),
    Column("training", "string", "name", "one size after the other, or side by side."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("dim", "int64", "dimensions", "Width of the activations."),
    Column("sizes", "int64", "sizes", "Dictionary sizes, from a quarter of the middle one to four times it."),
    Column("cells", "int64", "cells", "SAEs in all."),
    Column("batch", "int64", "samples", "Samples in a step."),
    Column("threads", "int64", "threads", "Threads that torch might use."),
    Column("device", "string", "kind", "cpu or cuda."),
    Column("device_name", "string", "name", "The device's name."),
    Column("steps", "int64", "steps", "Steps of every SAE."),
    Column("seconds", "float64", "s", "Time of these steps, without making the SAEs ready."),
    Column("steps_per_second", "float64", "SAE-steps/s", "Steps a second, summed over the SAEs."),
)  # fmt: skip

RATIOS = (0.25, 0.5, 1, 2, 4)


def measure(
    workloads: Sequence[str], rounds: int, steps: int, threads: int, device: str
) -> list[dict[str, Any]]:
    """Train both ways in each round, in turn; the first round, of a few steps, warms up and is left out."""
    import torch

    from .trainers.saespec_stack import cells, toy
    from .trainers.sizes import WORKLOADS
    from .trainers.workload import memory

    torch.set_num_threads(threads)
    chosen = torch.device(device)
    rows: list[dict[str, Any]] = []
    for number in range(-1, rounds):
        for name in workloads:
            middle, taken = WORKLOADS[name], steps if number >= 0 else 5
            sizes = [replace(middle, latents=round(middle.latents * ratio)) for ratio in RATIOS]
            groups = [cells(size, toy(size), taken, 1, 0, {}) for size in sizes]
            everything = tuple(cell for group in groups for cell in group)
            ways = {"one size after the other": groups, "side by side": [everything]}
            for way in sorted(ways, reverse=number % 2 == 1):
                load, start = machine.load(), machine.now()
                seconds = sum(_train(together, chosen) for together in ways[way])
                rows.append(
                    {
                        "workload": name,
                        "training": way,
                        "round": number,
                        "dim": middle.dim,
                        "sizes": len(sizes),
                        "cells": len(everything),
                        "batch": middle.batch,
                        "threads": threads,
                        "device": chosen.type,
                        "device_name": memory(chosen)["device_name"],
                        "steps": taken,
                        "seconds": seconds,
                        "steps_per_second": taken * len(everything) / seconds,
                        "load": load,
                        "others": machine.between(start, machine.now()).others,
                    }
                )
    return [row for row in rows if row["round"] >= 0]


def _train(cells: Sequence[Any], device: Any) -> float:
    from saespec.sae.checkpoint import Store
    from saespec.sae.train import train

    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(cells, Store(Path(folder)), [device], finished=lambda done: took.append(done.seconds))
    return sum(took)
