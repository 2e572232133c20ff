"""Trainings whose quality is looked at while they run, with the clock stopped meanwhile.

Legend: T batches, B samples, G features, D dimensions, L latents. float32.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import math
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import torch
from torch import Tensor

from benchmarks import machine

from . import workload as w
from .quality_tasks import MMCS_GOALS, OWN, TASKS, Task, points
from .workload import Trained, installed, synchronise

__all__ = ["OWN", "Trained", "Training", "installed", "main"]

HELD_OUT = 1024
WARMUP_STEPS = 8
"""Of a training before the first: what a process does only once is not timed."""


class Pool:
    """Truth, batches in memory and held-out samples, as `workload.Pool`, with as many active features as a task has."""

    def __init__(self, task: Task, seed: int, device: torch.device) -> None:
        sizes = task.sizes
        generator = torch.Generator().manual_seed(1_000_003 + seed)
        truth_GD = torch.randn(sizes.features, sizes.dim, generator=generator)
        truth_GD /= truth_GD.norm(dim=1, keepdim=True)

        def sample(size: int) -> Tensor:
            uniform_BG = torch.rand(size, sizes.features, generator=generator)
            normal_BG = torch.randn(size, sizes.features, generator=generator)
            codes_BG = (1 + 0.25 * normal_BG).relu() * (uniform_BG < task.active / sizes.features)
            x_BD: Tensor = codes_BG @ truth_GD
            return x_BD

        batches_TBD = torch.stack([sample(sizes.batch) for _ in range(sizes.pool_batches)])
        data = ctypes.string_at(batches_TBD.data_ptr(), batches_TBD.nbytes)
        self.sha256 = hashlib.sha256(data).hexdigest()[:12]
        self.held_out_BD = sample(HELD_OUT).to(device)
        self.truth_GD, self.batches_TBD = truth_GD.to(device), batches_TBD.to(device)

    def batch(self, t: int) -> Tensor:
        """Batch t, [B, D]."""
        batch_BD: Tensor = self.batches_TBD[t % len(self.batches_TBD)]
        return batch_BD


@dataclass
class Training:
    """One training of a task's SAEs: what the trainer is asked to do, and its clock.

    The trainer says by `look` where its SAEs are, and asks for batch t by `batch`; the clock runs from the first
    batch on and is stopped while the SAEs are looked at.
    """

    task: Task
    recipe: str
    steps: int
    seed: int
    device: torch.device
    pool: Pool
    coefficients: Sequence[float] = ()
    enough: float | None = None
    """The loss below which it need not fall any more."""
    found: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    last: list[tuple[float, float]] = field(default_factory=list)
    """Loss and MMCS of each SAE when they were last looked at."""

    def __post_init__(self) -> None:
        self.coefficients = self.coefficients or (self.task.coefficient,) * self.task.sizes.cells
        self._points = {0, *points(self.steps)}
        self._since = 0.0
        self._saes: Callable[[], Sequence[Trained]] = lambda: ()

    def look(self, saes: Callable[[], Sequence[Trained]]) -> None:
        """Say how to get the SAEs as they are at a moment between two steps."""
        self._saes = saes

    def batch(self, t: int) -> Tensor:
        """Batch t; to ask for it says that t steps are done."""
        self.done(t)
        return self.pool.batch(t)

    def done(self, t: int) -> None:
        """Say that t steps are done; a second time is ignored."""
        if t not in self._points:
            return
        self._points.remove(t)
        synchronise(self.device)
        if t:
            self.seconds += machine.now().clock - self._since
            self._note(t)
        self._since = machine.now().clock

    @property
    def satisfied(self) -> bool:
        """Whether the SAEs were good enough when they were last looked at."""
        if not self.found or self.enough is None:
            return False
        return self.found[-1]["mmcs"] >= MMCS_GOALS[-1] and self.found[-1]["loss"] <= self.enough

    def _note(self, t: int) -> None:
        with torch.no_grad():
            scores = [
                w._score(sae, alpha, self.pool.truth_GD, self.pool.held_out_BD)
                for sae, alpha in zip(self._saes(), self.coefficients, strict=True)
            ]
        synchronise(self.device)
        self.last = scores
        cosines = [mmcs for _, mmcs in scores]
        self.found.append(
            {
                "step": t,
                "seconds": self.seconds,
                "mmcs": median(cosines),
                "mmcs_least": min(cosines),
                "mmcs_most": max(cosines),
                "loss": median(loss if math.isfinite(loss) else math.inf for loss, _ in scores),
            }
        )


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that every trainer's program takes."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--task", choices=list(TASKS), required=True)
    found.add_argument(
        "--run", action="append", required=True, metavar="RECIPE:STEPS", help="trainings, in this order"
    )
    found.add_argument("--prune", action="store_true", help="leave out what `useless` says")
    found.add_argument("--enough", type=float, help="a loss that need not be lower")
    found.add_argument("--threads", type=int, required=True)
    found.add_argument("--device", default="cpu")
    found.add_argument("--seed", type=int, default=0)
    return found


def useless(recipe: str, steps: int, ended: Sequence[Training]) -> bool:
    """Whether the trainings that ended say that this one would reach no goal sooner.

    The own recipe, the longest training first: if a longer one ended below the lowest MMCS. One of the grid, the
    shortest first: if a shorter one was good enough; or if this recipe's last was worse than one of half its length.
    """
    if recipe == OWN:
        own = [one for one in ended if one.recipe == OWN]
        return any(one.steps > steps and one.found[-1]["mmcs"] < MMCS_GOALS[0] for one in own)
    grid = [one for one in ended if one.recipe != OWN]
    if any(one.satisfied and one.steps < steps for one in grid):
        return True
    last = max((one for one in grid if one.recipe == recipe), key=lambda one: one.steps, default=None)
    return last is not None and any(
        2 * one.steps <= last.steps and one.found[-1]["mmcs"] > last.found[-1]["mmcs"] for one in grid
    )


def main(
    description: str | None,
    train: Callable[[Training, argparse.Namespace], None],
    package: Callable[[], str],
    add: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> None:
    """Run a trainer's program: `train` each of the trainings asked for; a line of JSON for each."""
    arguments = parser(description)
    add(arguments)
    args = arguments.parse_args()
    os.environ["WANDB_MODE"] = "disabled"
    torch.set_num_threads(args.threads)
    task, device = TASKS[args.task], torch.device(args.device)
    pool = Pool(task, args.seed, device)
    runs = [(recipe, int(steps)) for recipe, _, steps in (run.rpartition(":") for run in args.run)]
    train(Training(task, runs[0][0], WARMUP_STEPS, args.seed, device, pool), args)
    ended: list[Training] = []
    for recipe, steps in runs:
        if args.prune and useless(recipe, steps, ended):
            continue
        torch.manual_seed(args.seed)
        training = Training(task, recipe, steps, args.seed, device, pool, enough=args.enough)
        start = machine.now()
        train(training, args)
        ended.append(training)
        row = {
            "recipe": recipe,
            "length": steps,
            "points": training.found,
            "others": machine.between(start, machine.now()).others,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "data_sha256": pool.sha256,
            "package": package(),
            **w.memory(device),
        }
        print(json.dumps(row), flush=True)
