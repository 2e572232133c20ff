"""Fitting baselines: what training is for autoencoders.

Legend: B samples, D dimensions, L latents.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from saespec.data.parts import HELD_OUT, TRAIN
from saespec.errors import Interrupted
from saespec.plan.identity import described
from saespec.plan.model import Cell

from . import checkpoint
from .assembly import penalty
from .baselines import BASELINES
from .batches import Batches, Sources
from .cosine import mmcs
from .initial import generator
from .loss import on_batch
from .memory import stacked
from .pieces import PerCell
from .train import CURVE, REPORT_SECONDS, Finished, Progress


def fit(
    cells: Sequence[Cell],
    store: checkpoint.Store,
    devices: Sequence[torch.device],
    report: Callable[[Progress], None] = lambda progress: None,
    finished: Callable[[Finished], None] = lambda took: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Fit cells that the store lacks, one after the other on the first device.

    `train` for baselines, with the same arguments and errors. A fit that is interrupted begins anew. The
    curve of such a cell is one point, after the last of its batches.
    """
    sources = Sources(devices[0])
    for cell in cells:
        started = time.perf_counter()
        _fit_one(cell, store, sources, report, stop)
        finished(Finished((cell,), (cell.config.train.steps,), time.perf_counter() - started))


def _fit_one(
    cell: Cell,
    store: checkpoint.Store,
    sources: Sources,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> None:
    config, baseline = cell.config, BASELINES[cell.config.sae.kind]
    batches = Batches([config], sources)
    draw = generator(config.sae.kind, (config.sae.latents, config.data.dim), config.seed)
    # One thread: how libraries share a sum among threads must not show in the numbers.
    with threadpool_limits(1):
        fitted = baseline.fit(config, _vectors(cell, batches, report, stop), draw)
    params = {name: torch.from_numpy(np.ascontiguousarray(value)).float() for name, value in fitted.items()}
    stack = {name: stacked([value], sources.device) for name, value in params.items()}
    x_1BD, target_1BD = batches.batch(HELD_OUT, config.train.steps)
    codes_1BL = baseline.encode(stack, x_1BD)
    error_1BD = baseline.decode(stack, codes_1BL) - target_1BD
    truth = batches.sources[0].truth
    found = math.nan if truth is None else mmcs(truth.truth_GD, baseline.dictionary(stack)[0])
    own_penalty = penalty(config, PerCell([1.0], sources.device, torch.float32))
    sizes_1BL, dictionary_1LD = baseline.penalised(codes_1BL), baseline.dictionary(stack)
    losses_4 = on_batch(config, own_penalty, codes_1BL[0], sizes_1BL[0], dictionary_1LD[0], error_1BD[0])
    point = [config.train.steps, *losses_4.tolist(), found]
    header = {"cell": cell.id, "config": described(config), "device": sources.device.type, "curve": CURVE}
    curve = torch.tensor([point], dtype=torch.float64)
    checkpoint.write(store.cell(cell.id), {**params, "curve": curve}, header)


def _vectors(
    cell: Cell, batches: Batches, report: Callable[[Progress], None], stop: Callable[[], bool]
) -> Iterator[NDArray[np.float64]]:
    """The training inputs of each step, [B, D], float64."""
    steps, told = cell.config.train.steps, 0
    started = said = time.perf_counter()
    for t in range(steps):
        if stop():
            raise Interrupted
        x_1BD, _ = batches.batch(TRAIN, t)
        yield x_1BD[0].double().cpu().numpy()
        now = time.perf_counter()
        if now - said > REPORT_SECONDS or t + 1 == steps:
            report(Progress(1, t + 1, steps, t + 1 - told, (t + 1) / (now - started), float("nan")))
            said, told = now, t + 1
