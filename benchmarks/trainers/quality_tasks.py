"""What is trained until it is good: data, sizes, penalties and lengths; imports nothing of weight, as `sizes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .sizes import WORKLOADS, Workload

MMCS_GOALS = (0.95, 0.98)
LOSS_GOAL = 1.02
"""Times the least loss that any trainer of the run reaches."""

LEARNING_RATES = (1e-3, 3e-3, 1e-2)
OWN = "own"
"""The recipe that a library itself recommends; the others are learning rates."""
DECAY = 0.2
"""Share of the steps, the last ones, over which the grid's recipes let the learning rate fall to 0."""


@dataclass(frozen=True)
class Task:
    """One comparison: eight SAEs, equal but for their seeds."""

    workload: str
    data: str
    active: float
    """Mean number of active features a sample."""
    coefficient: float
    """Of the L1 penalty: see `quality_scan`."""
    lengths: tuple[int, ...]
    """Steps of the trainings that are tried."""

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{self.workload}-{self.data}"

    @property
    def sizes(self) -> Workload:
        """Its sizes."""
        return WORKLOADS[self.workload]


TASKS = {
    task.name: task
    for task in (
        Task("d64-n128", "sparse", 3, 0.3, (125, 250, 500, 1000, 2000)),
        Task("d64-n128", "dense", 8, 0.5, (125, 250, 500, 1000, 2000)),
        Task("d256-n512", "sparse", 3, 0.2, (125, 250, 500)),
        Task("d256-n512", "dense", 8, 0.3, (125, 250, 500, 1000)),
    )
}


def learning_rate(recipe: str) -> float:
    """The learning rate of a recipe of the grid."""
    return float(recipe.removeprefix("lr="))


def recipe(rate: float) -> str:
    """The recipe of the grid with a learning rate."""
    return f"lr={rate:g}"


def points(steps: int) -> Sequence[int]:
    """After which steps of a training the SAEs are looked at: twenty-five times, evenly."""
    return sorted({max(1, round(steps * i / 25)) for i in range(1, 26)})
