"""Seconds of training until eight SAEs are good, by each trainer's own recipe and by the best of a small grid.

Each trainer is a program that runs a task's trainings one after the other, and leaves out those that would reach no
goal sooner (`quality_training.useless`). In the first round saespec is first: the loss that it reaches tells the others
when longer trainings are no use. Later rounds, in random order, repeat the trainings that reached a goal first.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from saespec.spec.columns import Column

from . import machine
from .trainers.quality_tasks import LEARNING_RATES, LOSS_GOAL, MMCS_GOALS, OWN, Task, recipe

ENOUGH = 1.01
"""Times the least loss so far: a trainer that comes to it, and to the highest MMCS, need not train longer."""

COLUMNS = (
    Column("workload", "string", "name", "Sizes: d is the dimension, n the number of latents."),
    Column("data", "string", "name", "sparse or dense: few or many active features a sample."),
    Column("trainer", "string", "name", "What trained; see docs/speed.md."),
    Column("role", "string", "name", "saespec; peer; tuned peer; reference (no library)."),
    Column("precision", "string", "name", "Of the matrix products: float32 or bfloat16."),
    Column("recipe", "string", "name", "own: as the library itself recommends; lr=…: of the grid."),
    Column("device", "string", "kind", "cpu or cuda."),
    Column("device_name", "string", "name", "The device's name."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("cells", "int64", "cells", "SAEs that were trained."),
    Column("batch", "int64", "samples", "Samples in a step."),
    Column("dim", "int64", "dimensions", "Width of the activations."),
    Column("features", "int64", "features", "Features of the truth."),
    Column("latents", "int64", "latents", "Size of each dictionary."),
    Column("active", "float64", "features per sample", "Mean number of active features."),
    Column("coefficient", "float64", "1", "Coefficient of the L1 penalty."),
    Column("threads", "int64", "threads", "Threads that torch might use."),
    Column("length", "int64", "steps", "Steps of the whole training."),
    Column("step", "int64", "steps", "Steps of every SAE until it was looked at."),
    Column("seconds", "float64", "s", "Time of these steps of all SAEs, without looking."),
    Column("mmcs", "float64", "cosine", "MMCS with the truth, median of the SAEs."),
    Column("mmcs_least", "float64", "cosine", "The least of the SAEs."),
    Column("mmcs_most", "float64", "cosine", "The most of the SAEs."),
    Column("loss", "float64", "squared activation", "Held-out loss, median of the SAEs."),
    Column("data_sha256", "string", "hash", "Of the pool: equal where trainers had the same data."),
    Column("peak_memory_bytes", "int64", "bytes", "Peak memory of the process, the pool included."),
    Column("device_memory_bytes", "int64", "bytes", "Peak of torch's memory on the GPU; NULL on a CPU."),
    Column("package", "string", "name", "The package that trained, and its version."),
)  # fmt: skip

GRID = tuple(recipe(rate) for rate in LEARNING_RATES)


@dataclass(frozen=True)
class Trainer:
    """One row of the comparison."""

    name: str
    role: str
    module: str
    options: tuple[str, ...] = ()
    precision: str = "float32"
    recipes: tuple[str, ...] = (OWN, *GRID)
    own_once: bool = False
    """Whether the own recipe is the same at all lengths."""


TRAINERS = (
    Trainer("saespec", "saespec", "saespec"),
    Trainer("saespec, bfloat16", "saespec", "saespec", ("--set", "train.precision=bfloat16"), "bfloat16"),
    Trainer("plain loop", "reference", "loop", recipes=GRID),
    Trainer("SAELens", "peer", "saelens"),
    Trainer("SAELens, autocast", "tuned peer", "saelens", ("--autocast",), "bfloat16", GRID),
    Trainer("dictionary_learning", "peer", "dictionary_learning", own_once=True),
)


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    tasks: Sequence[Task]
    trainers: Sequence[Trainer]
    rounds: int
    lengths: Sequence[int]
    """Steps of the trainings, instead of the tasks' own."""
    threads: int
    device: str
    seed: int
    pythons: Mapping[str, Path | None]
    """Interpreter of each peer's environment, by module; None leaves the peer out."""


Run = tuple[str, int]
"""A recipe and its steps."""


def measure(settings: Settings, console: Console) -> list[dict[str, Any]]:
    """Every trainer on every task; the rows of the table."""
    present = []
    for trainer in settings.trainers:
        if trainer.precision == "bfloat16" and settings.device == "cpu" and not machine.multiplies_bfloat16():
            console.print(f"left out: {trainer.name} (this processor lacks bfloat16)", style="yellow")
        elif settings.pythons.get(trainer.module, Path()) is None:
            option = f"--{trainer.module.replace('_', '-')}-python"
            console.print(f"left out: {trainer.name} (give {option})", style="yellow")
        else:
            present.append(trainer)
    rows: list[dict[str, Any]] = []
    for task in settings.tasks:
        lengths = settings.lengths or task.lengths
        of_task: list[dict[str, Any]] = []
        for trainer in present:
            least = min((row["loss"] for row in of_task), default=None)
            enough = None if least is None or trainer.role == "saespec" else ENOUGH * least
            options = ("--prune", *(() if enough is None else ("--enough", str(enough))))
            of_task += _measured(task, trainer, trials(trainer, lengths), 0, options, settings, console)
        rows += of_task
    order = random.Random(settings.seed)
    first = winners(rows)
    for number in range(1, settings.rounds):
        jobs = [(task, trainer) for task in settings.tasks for trainer in present]
        order.shuffle(jobs)
        for task, trainer in jobs:
            if runs := first[task.name, trainer.name]:
                rows += _measured(task, trainer, runs, number, (), settings, console)
    return rows


def trials(trainer: Trainer, lengths: Sequence[int]) -> list[Run]:
    """What the first round tries, in the order that `quality_training.useless` wants."""
    own = sorted(lengths, reverse=True)[: 1 if trainer.own_once else None] if OWN in trainer.recipes else []
    grid = [(name, length) for length in sorted(lengths) for name in trainer.recipes if name != OWN]
    return [*((OWN, length) for length in own), *grid]


def winners(rows: Sequence[Mapping[str, Any]]) -> Mapping[tuple[str, str], list[Run]]:
    """By task and trainer: the trainings that reached one of the goals first, by the own recipe or by the grid's."""
    least = {
        task: min(row["loss"] for row in rows if _task(row) == task) for task in {_task(row) for row in rows}
    }
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for key, own in _grouped(rows, lambda row: (_task(row), row["trainer"], row["recipe"] == OWN)):
        for goal in (*MMCS_GOALS, LOSS_GOAL):
            reached = [
                row
                for row in own
                if (row["loss"] <= goal * least[key[0]] if goal == LOSS_GOAL else row["mmcs"] >= goal)
            ]
            if reached:
                best = min(reached, key=lambda row: row["seconds"])
                run = best["recipe"], best["length"]
                if run not in found[key[0], key[1]]:
                    found[key[0], key[1]].append(run)
    return found


def _task(row: Mapping[str, Any]) -> str:
    return f"{row['workload']}-{row['data']}"


def _grouped(
    rows: Iterable[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], tuple[str, str, bool]]
) -> Iterable[tuple[tuple[str, str, bool], list[Mapping[str, Any]]]]:
    groups: dict[tuple[str, str, bool], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups.items()


def _measured(
    task: Task,
    trainer: Trainer,
    runs: Sequence[Run],
    number: int,
    options: Sequence[str],
    settings: Settings,
    console: Console,
) -> list[dict[str, Any]]:
    """The rows of one program: one for each time that a training's SAEs were looked at."""
    sizes = task.sizes
    arguments = [
        *trainer.options,
        *("--task", task.name, "--device", settings.device, "--seed", str(settings.seed)),
        *(item for name, length in runs for item in ("--run", f"{name}:{length}")),
        *options,
    ]
    python = settings.pythons.get(trainer.module)
    rows: list[dict[str, Any]] = []
    for said in machine.lines(f"quality_{trainer.module}", arguments, settings.threads, python):
        points = said.pop("points")
        last = points[-1]
        console.print(
            f"round {number + 1}/{settings.rounds}  {task.name}  {trainer.name}, {said['recipe']}, "
            f"{said['length']} steps: {last['seconds']:.2f} s, MMCS {last['mmcs']:.3f}, loss {last['loss']:.3f}, "
            f"others {said['others']:.2f} cores",
            highlight=False,
        )
        common = {
            "workload": task.workload,
            "data": task.data,
            "trainer": trainer.name,
            "role": trainer.role,
            "precision": trainer.precision,
            "device": settings.device.split(":")[0],
            "round": number,
            "cells": sizes.cells,
            "batch": sizes.batch,
            "dim": sizes.dim,
            "features": sizes.features,
            "latents": sizes.latents,
            "active": task.active,
            "coefficient": task.coefficient,
        }
        rows += [{**common, **said, **point} for point in points]
    return rows
