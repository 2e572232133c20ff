"""The training loop.

Legend: N cells of a stack, B samples, D dimensions, G truth features, L latents.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.data.parts import HELD_OUT, TRAIN
from saespec.errors import DamagedFileError, Interrupted
from saespec.plan.identity import described
from saespec.plan.model import Cell
from saespec.spec.rules import NoResampling

from . import checkpoint
from .assembly import dictionary
from .batches import Batches, Sources
from .captured import CapturedStep
from .coder import decode, encode
from .cosine import mean_max
from .diverged import LOOK, Diverged
from .loss import on_batch
from .movement import Movement
from .rounds import Piece, Round, rounds
from .rules.resample import Resample
from .spread import spread
from .stack import Stack

CURVE = ("step", "loss", "reconstruction_loss", "sparsity_loss", "l0", "mmcs")
MOVEMENT = "movement"
"""Columns of a cell's training curve, and the one that `train.movement` adds; a checkpoint names those that it has."""

SNAPSHOT_SECONDS = float(os.environ.get("SAESPEC_SNAPSHOT_SECONDS", "10"))
"""How much work a kill may cost."""

SNAPSHOT_SHARE = 0.05
"""How much of the time may go into snapshots: large stacks take longer to write, and are written less often."""

REPORT_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """What a round reports while it trains."""

    cells: int
    step: int
    steps: int
    """Of the cells that take the most."""
    advanced: int
    """Cell-steps since the last report; the first one also counts those of an earlier run."""
    steps_per_second: float
    """Cell-steps per second, summed over the cells."""
    best_mmcs: float
    """Highest MMCS of any of its cells so far; NaN before the first curve point."""


@dataclass(frozen=True)
class Finished:
    """What training one round took, without what an earlier run did of it; also one that was stopped."""

    cells: tuple[Cell, ...]
    steps: tuple[int, ...]
    """Steps that each cell took; none for one that an earlier run had brought to its end but not stored."""
    seconds: float
    stored: bool = True
    """Whether the cells came to their ends; else they were stopped, and their state is saved."""


def train(
    cells: Sequence[Cell],
    store: checkpoint.Store,
    devices: Sequence[torch.device],
    report: Callable[[Progress], None] = lambda progress: None,
    finished: Callable[[Finished], None] = lambda took: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train cells that the store lacks, from their last snapshot on, and put them there.

    Their rounds are spread over the devices, which are of one kind. `report` is told about twice a second how
    far a round is, `finished` what each took, also if it was stopped; neither is called by two threads at once. Raises
    Interrupted, after saving, once `stop()` is true; StageError where the store cannot be written or a device
    lacks the memory.
    """
    partials = sorted(store.partials(), key=lambda found: found[1]["step"])
    snapshots = {cell_id: path for path, header in partials for cell_id in header["cells"]}
    telling = threading.Lock()

    def said(progress: Progress) -> None:
        with telling:
            report(progress)

    def work(pieces: Round, device: torch.device, stop: Callable[[], bool]) -> None:
        sources = Sources(device)
        took = train_round([_begun(piece, sources) for piece in pieces], store, said, stop)
        with telling:
            finished(took)
        if not took.stored:
            raise Interrupted

    spread(rounds(cells, snapshots, devices), devices, work, stop)
    own = {cell.id for cell in cells}
    for path, header in partials:
        # Of no use any more: its cells are finished, or further in another; those of other processes are theirs.
        if all(store.cell(c).exists() or (c in own and snapshots[c] != path) for c in header["cells"]):
            path.unlink(missing_ok=True)


def _begun(piece: Piece, sources: Sources) -> Run:
    try:
        return Run(piece.cells, sources, piece.resume)
    except DamagedFileError:  # gone since it was listed, or another version's: from the first step
        return Run(piece.cells, sources)


def train_round(
    runs: Sequence[Run], store: checkpoint.Store, report: Callable[[Progress], None], stop: Callable[[], bool]
) -> Finished:
    """Train stacks side by side to their ends and store their cells, or save them once `stop()` is true.

    Step t of all comes before step t + 1 of any: those that are ahead wait.
    """
    cells = [cell for run in runs for cell in run.stack.cells]
    first = [run.step for run in runs]
    step, steps = min(first), max(run.steps for run in runs)
    started = saved = said = time.perf_counter()
    pause = SNAPSHOT_SECONDS
    told = 0

    def tell(now: float) -> None:
        nonlocal told
        done, taken = sum(run.step * len(run.stack.cells) for run in runs), sum(_taken(runs, first))
        best = max((run.best_mmcs for run in runs), key=lambda found: (not math.isnan(found), found))
        rate = taken / (now - started) if taken else 0.0
        report(Progress(len(cells), step, steps, done - told, rate, best))
        told = done

    def took(stored: bool) -> Finished:
        return Finished(tuple(cells), tuple(_taken(runs, first)), time.perf_counter() - started, stored)

    while step < steps:
        for run in runs:
            if run.step == step < run.steps:
                run.advance()
        step += 1
        now, stopping = time.perf_counter(), stop()
        if now - said > REPORT_SECONDS and step < steps:
            tell(now)
            said = now
        if stopping or now - saved > pause:
            for run in runs:
                run.save(store)
            saved = time.perf_counter()
            pause = max(SNAPSHOT_SECONDS, (saved - now) / SNAPSHOT_SHARE)
        if stopping:
            return took(stored=False)
    tell(time.perf_counter())
    for run in runs:
        run.finish(store)
    return took(stored=True)


def _taken(runs: Sequence[Run], first: Sequence[int]) -> Iterator[int]:
    for run, before in zip(runs, first, strict=True):
        yield from [run.step - before] * len(run.stack.cells)


class Run:
    """A stack, its batches and how far it has come."""

    def __init__(self, cells: tuple[Cell, ...], sources: Sources, resume: Path | None = None) -> None:
        self.stack = Stack(cells, sources.device)
        configs = [cell.config for cell in self.stack.rows]
        self.batches = Batches(configs, sources)
        self.step, self.steps = 0, configs[0].train.steps
        self.curves: list[Tensor] = []
        self._points = curve_points(self.steps, configs[0].train.curve_points)
        self.diverged = Diverged(self.stack.state["theta"])
        self.stack.state["diverged"] = self.diverged.state
        rule = configs[0].train.resample
        self._resample: Resample | None = None
        if not isinstance(rule, NoResampling):
            self._resample = Resample(rule, self.stack, lambda t: self.batches.batch(TRAIN, t))
            self.stack.state["resample"] = self._resample.state
        if resume is None:
            self.stack.initialise(self._first_inputs)
        self.movement = Movement(self._dictionary()) if configs[0].train.movement else None
        if resume is not None:
            self._load(resume)
        self._update = CapturedStep(self.stack) if sources.device.type == "cuda" else self.stack.step

    def advance(self) -> None:
        """One step of every cell, and a row of its curve where that is due."""
        self.stack.prepare(self.step)
        if self._resample:
            self._resample.before(self.step)
        self._update(*self.batches.batch(TRAIN, self.step))
        if self._resample:
            self._resample.after(self.step)
        self.step += 1
        if self.step % LOOK == 0 or self.step == self.steps:
            self.diverged.look(self.step)
        if self.step in self._points:
            self.record()

    def _first_inputs(self, n: int, count: int) -> NDArray[np.float64]:
        """The first so many inputs that row n is trained on, [count, D]."""
        size = self.stack.rows[n].config.train.batch
        parts = [self.batches.batch(TRAIN, t)[0][n].double().cpu().numpy() for t in range(-(-count // size))]
        return np.concatenate(parts)[:count]

    def record(self) -> None:
        """Add a row to every cell's curve, from a held-out batch; it stays on the device until it is asked for."""
        gradients = self.stack.gradients
        w = {**gradients.observed(), **gradients.activation.learned()}
        x_NBD, target_NBD = self.batches.batch(HELD_OUT, self.step)
        codes_NBL = encode(w, gradients.observer, x_NBD)
        error_NBD = decode(w, codes_NBL) - target_NBD
        dictionary_NLD = w["decoder"]
        penalised_NBL = gradients.observer.penalised(codes_NBL)
        rows = []
        for n, cell in enumerate(self.stack.rows):
            # One cell at a time: a sum over the whole stack could be ordered by its width.
            losses_4 = on_batch(
                cell.config,
                gradients.penalty,
                codes_NBL[n],
                penalised_NBL[n],
                dictionary_NLD[n],
                error_NBD[n],
            )
            truth = self.batches.sources[self.batches.source_of_cell[n]].truth
            none = losses_4.new_full((), math.nan)
            found = none if truth is None else mean_max(truth.truth_GD, dictionary_NLD[n])
            rows.append(torch.cat([losses_4.new_full((1,), self.step), losses_4, found.view(1)]))
        curve_NC = torch.stack(rows)
        if self.movement:
            curve_NC = torch.cat([curve_NC, self.movement.since_last(dictionary_NLD)[:, None]], dim=1)
        self.curves.append(curve_NC)

    @property
    def best_mmcs(self) -> float:
        """The best MMCS among the cells at the last point of the curve; NaN before the first."""
        return self.curves[-1][:, CURVE.index("mmcs")].max().item() if self.curves else math.nan

    def _dictionary(self) -> Tensor:
        return self.stack.params[dictionary(self.stack.cells[0].config)]

    def save(self, store: checkpoint.Store) -> None:
        """Write a snapshot from which the stack, or any of its cells, continues bit for bit."""
        n = len(self.stack.cells)
        tensors = {
            f"{kind}.{name}": tensor[:n]
            for kind, own in self.stack.state.items()
            for name, tensor in own.items()
        }
        tensors["curves"] = (
            torch.stack([row[:n] for row in self.curves], dim=1) if self.curves else torch.empty(n, 0, 6)
        )
        if self.movement:
            tensors["before"] = self.movement.before_NLD[:n]
        header = {"cells": [cell.id for cell in self.stack.cells], "step": self.step}
        checkpoint.write(self._snapshot(store), tensors, header)

    def _snapshot(self, store: checkpoint.Store) -> Path:
        return store.partial([cell.id for cell in self.stack.cells])

    def _load(self, path: Path) -> None:
        tensors, header = checkpoint.read(path)
        rows = torch.tensor([header["cells"].index(cell.id) for cell in self.stack.rows])
        for kind, own in self.stack.state.items():
            for name, tensor in own.items():
                if f"{kind}.{name}" not in tensors:
                    raise DamagedFileError(path, "another version of saespec wrote it", "Delete it")
                tensor.copy_(tensors[f"{kind}.{name}"][rows])
        self.step = header["step"]
        self.stack.updates.fill_(self.step)
        self.curves = list(tensors["curves"][rows].double().to(self.stack.device).unbind(dim=1))
        if self.movement:
            self.movement.before_NLD.copy_(tensors["before"][rows])

    def finish(self, store: checkpoint.Store) -> None:
        """Put every cell into the store; a snapshot is then of no use any more."""
        self.stack.finish()
        self.diverged.look(self.step)  # an element too long to be rescaled
        curves_NRC = torch.stack(self.curves, dim=1)
        kept = {**self.stack.params, **self.stack.gradients.activation.learned()}
        diverged = self.diverged.found(lambda t: self.batches.batch(TRAIN, t))
        for n, cell in enumerate(self.stack.cells):
            tensors = {name: stacked[n] for name, stacked in kept.items()}
            header = {
                "cell": cell.id,
                "config": described(cell.config),
                "device": self.stack.device.type,
                "curve": [*CURVE, *([MOVEMENT] if self.movement else [])],
                **({"diverged": diverged[n]} if diverged[n] else {}),
            }
            checkpoint.write(store.cell(cell.id), {**tensors, "curve": curves_NRC[n]}, header)
        self._snapshot(store).unlink(missing_ok=True)


def curve_points(steps: int, points: int) -> frozenset[int]:
    """Steps after which a curve gets a row: evenly spaced, the last step always among them."""
    return frozenset(round(steps * (i + 1) / points) for i in range(points)) - {0}
