"""Remove what nothing needs. Killed at any moment, it leaves a project that works, and the same command goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from saespec.errors import CallError
from saespec.plan import dvcfile
from saespec.plan.orphans import scratch_runs
from saespec.plan.project import spec_files, spec_name, store_folder
from saespec.sae.reserved import all_reserved

from . import git
from .leftovers import REMOVED, Item
from .lock import Lock, Notify, run_lock


@contextmanager
def no_run(root: Path) -> Iterator[None]:
    """Hold off every run of the project and of its scratch runs, and whoever makes an object of its store.

    Raises CallError, naming it, if one is at work.
    """

    def refuse(told: str) -> None:
        raise CallError(
            f"{told.removesuffix('; waiting for it')}: clean when it is done; nothing was removed"
        )

    with ExitStack() as stack:
        for project in (root, *scratch_runs(root)):
            for name in filter(None, map(spec_name, spec_files(project))):
                stack.enter_context(run_lock(project, name, refuse))
            held = {f"run-{spec_name(path)}" for path in spec_files(project)}
            for path in sorted((project / ".saespec" / "locks").glob("*.lock")):
                if path.stem not in held:
                    stack.enter_context(Lock(path, path.stem.removeprefix("run-"), refuse))
        store = store_folder(root)
        for path in sorted((store / "locks").glob("*-*.lock")):
            stack.enter_context(Lock(path, path.stem.replace("-", " "), refuse))
        stack.enter_context(all_reserved(store, refuse))
        yield


def remove(items: Iterable[Item], root: Path, notify: Notify = lambda message: None) -> None:
    """Remove items that `leftovers` listed. Call it under `no_run`.

    The root `dvc.yaml` first, so that it leads to nothing that goes.
    """
    _lead_elsewhere(root, notify)
    for item in items:
        if item.kind == "results":
            for file in item.files:
                file.unlink(missing_ok=True)
            _remove_empty(item.path)
        elif item.path.is_dir():
            _remove_folder(item.path)
        else:
            item.path.unlink(missing_ok=True)


def _lead_elsewhere(root: Path, notify: Notify) -> None:
    """Compile the root `dvc.yaml` again, but do not remove it from under git."""
    path = root / "dvc.yaml"
    try:
        if dvcfile.leads_nowhere(root) and path in git.tracked(root, "dvc.yaml"):
            notify(
                f"no spec is left that {path} could lead to; in git: `git rm dvc.yaml dvc.lock` removes it"
            )
        else:
            dvcfile.write_root(root)
    except CallError as error:
        notify(str(error))


def _remove_folder(path: Path) -> None:
    """Remove a folder of the store, or a scratch project: at once under its name, so that none is half there."""
    if not path.name.endswith(REMOVED):
        aside = path.with_name(f".{path.name.removeprefix('.')}{REMOVED}")
        if aside.exists():
            shutil.rmtree(aside)
        os.replace(path, aside)
        path = aside
    shutil.rmtree(path)


def _remove_empty(folder: Path) -> None:
    """Remove a folder and those below it, as far as they are empty."""
    for where, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(where)
