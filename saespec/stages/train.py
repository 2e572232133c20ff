"""`saespec stage train`: train the cells of a group that the store lacks, then lay all of them out."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from saespec.errors import CallError, StageError
from saespec.plan import planfile
from saespec.plan.project import store_folder

from . import runs

if TYPE_CHECKING:
    from saespec.sae.train import Finished, Progress


def train(
    plan_path: Path,
    group_name: str,
    start: Callable[[int, int], None] = lambda cells, missing: None,
    report: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Make `cells/<group>/` of the plan's results folder, one checkpoint a cell.

    `start` is told the number of cells and how many of them the store lacks, `report` how far training is.
    Raises `saespec.sae.train.Interrupted` once `stop()` is true, with everything saved.
    """
    plan = planfile.read(plan_path)
    try:
        group = plan.group(group_name)
    except KeyError:
        raise CallError(
            f"{plan_path} has no group {group_name}: it has {', '.join(plan.group_names)}"
        ) from None
    # torch takes seconds to import; a group whose cells are all in the store does not need it for training,
    # but verifying their checksums does.
    import torch

    from saespec.sae.baselines import BASELINES
    from saespec.sae.checkpoint import Store
    from saespec.sae.fit import fit as fit_cells
    from saespec.sae.train import train as train_cells

    from .device import devices

    store = Store(store_folder(Path.cwd()))
    missing = [cell for cell in group.cells if not store.finished(cell.id)]
    start(len(group.cells), len(missing))
    if missing:
        chosen = devices()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        cuda = chosen[0].type == "cuda"
        name = torch.cuda.get_device_name(chosen[0]) if cuda else platform.processor() or "cpu"

        def finished(stack: Finished) -> None:
            constant = {
                "spec": plan.spec.name,
                "stage": f"train-{group_name}",
                "started": started,
                "seconds": stack.seconds,
                "steps": stack.steps,
                "steps_per_second": stack.steps * len(stack.cells) / stack.seconds,
                "device": chosen[0].type,
                "device_name": name,
                "torch": torch.__version__,
            }
            runs.append(plan_path.parent, [{"cell": cell.id, **constant} for cell in stack.cells])

        fitted = group.cells[0].config.sae.kind in BASELINES
        (fit_cells if fitted else train_cells)(missing, store, chosen, report, finished, stop)
    folder = plan_path.parent / "cells" / group_name
    lay_out([store.cell(cell.id) for cell in group.cells], folder)


def lay_out(files: list[Path], folder: Path) -> None:
    """Make `folder` hold exactly these files, by hard link where that is possible."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for file in files:
            try:
                os.link(file, temporary / file.name)
            except OSError:
                shutil.copy2(file, temporary / file.name)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except OSError as error:
        raise StageError(f"cannot write {folder}: {error.strerror}") from error
