"""`saespec stage train`: train the cells of a batch shape that the store lacks, then lay all of them out."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from saespec.errors import CallError
from saespec.plan import planfile
from saespec.plan.cost import training_seconds
from saespec.plan.groups import by_batch
from saespec.plan.project import group_folder, store_folder
from saespec.results.atomic import writing_folder
from saespec.results.lock import Notify, Stop

from . import runs

if TYPE_CHECKING:
    from saespec.sae.train import Finished, Progress


def train(
    plan_path: Path,
    batch: str,
    start: Callable[[int, int, int], None] = lambda cells, missing, steps: None,
    report: Callable[[Progress], None] = lambda progress: None,
    stop: Stop = lambda: False,
    trained: Callable[[int], None] = lambda cells: None,
    notify: Notify = lambda message: None,
) -> None:
    """Make `cells/<group>/` of the groups that read batches of that shape, one checkpoint a cell.

    `batch` is a `saespec.plan.groups.batch_name`. `start` is told the number of cells, how many of them the
    store lacks, and the steps of those in all; `report` how far training is; `trained` how many cells came
    to their ends, whenever some do; `notify` that cells which another process trains are waited for.
    Raises Interrupted once `stop()` is true, with everything saved.
    """
    plan = planfile.read(plan_path)
    stages = by_batch(plan.groups)
    if batch not in stages:
        raise CallError(f"{plan_path} has no batches {batch}: it has {', '.join(stages)}")
    groups = stages[batch]
    cells = [cell for group in groups for cell in group.cells]
    # torch takes seconds to import; where all cells are in the store training does not need it, but verifying
    # their checksums does.
    import torch

    from saespec.sae.baselines import BASELINES
    from saespec.sae.checkpoint import Store
    from saespec.sae.fit import fit as fit_cells
    from saespec.sae.reserved import reserved
    from saespec.sae.train import train as train_cells

    from .device import devices

    store = Store(store_folder(Path.cwd()))
    missing = [cell for cell in cells if not store.finished(cell.id)]
    start(len(cells), len(missing), sum(cell.config.train.steps for cell in missing))
    if missing:
        chosen = devices()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        cuda = chosen[0].type == "cuda"
        name = torch.cuda.get_device_name(chosen[0]) if cuda else platform.processor() or "cpu"

        def finished(took: Finished) -> None:
            constant = {
                "spec": plan.spec.name,
                "stage": f"train-{batch}",
                "started": started,
                "seconds": took.seconds,
                "steps_per_second": sum(took.steps) / took.seconds,
                "benchmark_seconds": training_seconds(took.cells, took.steps),
                "device": chosen[0].type,
                "device_name": name,
                "torch": torch.__version__,
            }
            each = zip(took.cells, took.steps, strict=True)
            # One that was at its end already took no part of the time: the run that brought it there has its row.
            runs.append(
                plan_path.parent,
                [{"cell": cell.id, "steps": steps, **constant} for cell, steps in each if steps],
            )
            if took.stored:
                trained(len(took.cells))

        while missing:  # what another process trains is awaited, then found in the store
            with reserved(store.folder, [cell.id for cell in missing], notify, stop) as free:
                own = [cell for cell in missing if cell.id in free and not store.finished(cell.id)]
                for learn, of_baselines in ((train_cells, False), (fit_cells, True)):
                    if some := [c for c in own if (c.config.sae.kind in BASELINES) == of_baselines]:
                        learn(some, store, chosen, report, finished, stop)
            missing = [cell for cell in missing if cell.id not in free]
    for group in groups:
        lay_out([store.cell(cell.id) for cell in group.cells], group_folder(plan_path.parent, group.name))


def lay_out(files: list[Path], folder: Path) -> None:
    """Make `folder` hold exactly these files, by hard link where that is possible."""
    with writing_folder(folder) as new:
        for file in files:
            try:
                os.link(file, new / file.name)
            except OSError:
                shutil.copy2(file, new / file.name)
