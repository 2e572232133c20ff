"""Run a plan: compile it, hold its lock, let DVC do what is not fresh, and say plainly what went wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from saespec.errors import CallError, DamagedFileError, Interrupted, StageError
from saespec.plan import dvcfile
from saespec.plan.freshness import StageState, freshness, read_lock
from saespec.plan.model import Plan
from saespec.plan.project import STORE_VARIABLE, work_folder

from . import dvc, events
from .lock import Notify, project_lock, run_lock

DEVICE_VARIABLE = "SAESPEC_DEVICE"
VERBOSITY_VARIABLE = "SAESPEC_VERBOSITY"


def run(
    plan: Plan,
    root: Path,
    *,
    device: str | None = None,
    verbosity: int = 1,
    store: Path | None = None,
    notify: Notify = lambda message: None,
    account: Callable[[list[events.Ran]], None] = lambda ran: None,
) -> list[StageState]:
    """Bring a spec's results up to date; return the state of every stage as it was before.

    `device` and `verbosity` (0 quiet, 1, 2) reach the stages through the environment; `store` puts finished
    cells elsewhere. A second run of the same spec waits for the first, and for a DVC that saespec did not start. A
    damaged file of the store that a stage comes upon is made again, and the run goes on. Prints nothing: what there
    is to say goes to `notify`; the stages' standard error passes through. `account` is told what ran, however that
    ended. Raises StageError naming the stage that failed, Interrupted if the user stopped it, CallError if generated
    files are in the way.
    """
    dvc.ensure_repo(root, notify=notify)
    log = _log(root, plan.spec.name)
    told = log.with_suffix(".events")
    with run_lock(root, plan.spec.name, notify) as lock, _accounted(told, account):
        compile_plan(plan, root, notify)
        repair_lock(plan, root, notify)
        states = freshness(plan, root, store)
        if all(state.state == "fresh" for state in states):
            return states
        _drop_notes(states, root)
        extra = {events.VARIABLE: str(told), VERBOSITY_VARIABLE: str(verbosity)}
        if device:
            extra[DEVICE_VARIABLE] = device
        if store:
            extra[STORE_VARIABLE] = str(store)
        repro = partial(
            dvc.repro,
            root,
            [str(plan.folder / "dvc.yaml")],
            extra,
            log=log if verbosity < 2 else None,
            held=lock.fileno(),
            started=lambda pid: lock.name_holders(os.getpid(), pid),
        )
        code, stopped = repro(quiet=verbosity < 2)
        healed: set[str] = set()
        while code != 0 and not stopped:
            if (lost := _damaged(told)) and lost not in healed:
                healed.add(lost)  # once a file: a disk that spoils it again is the user's to know
                notify(f"{lost}: making it again")
                _drop_notes(freshness(plan, root, store), root)
            elif events.failure(told) or not dvc.wait_for_others(root, plan.folder, plan.spec.name, notify):
                break
            code, stopped = repro(quiet=verbosity < 2)
        if code != 0 and not stopped and events.failure(told) is None:
            if shutil.disk_usage(root).free < _LEAST_FREE:
                raise StageError(f"the disk that holds {root} is full. {_CONTINUE}")
            code, stopped = repro()  # DVC failed itself: let it say why
        if code != 0:
            if stopped:
                raise Interrupted
            raise _error(plan, root, events.failure(told), code, log)
    return states


@contextmanager
def _accounted(told: Path, account: Callable[[list[events.Ran]], None]) -> Iterator[None]:
    """Tell what ran within, from the stages' events: from none to those that there then are."""
    told.unlink(missing_ok=True)
    try:
        yield
    finally:
        account(events.ran(told))


def _drop_notes(states: list[StageState], root: Path) -> None:
    """Remove the notes on what the store no longer has: DVC does not look into it."""
    for state in states:
        if state.state == "stale" and state.stage.marks:
            for out in state.stage.outs:
                (root / out.path).unlink(missing_ok=True)


def _damaged(told: Path) -> str:
    """The damaged file that ended a run, and how it is damaged; empty if something else did."""
    failed = events.failure(told)
    return failed.damaged if failed else ""


def compile_plan(plan: Plan, root: Path, notify: Notify = lambda message: None) -> bool:
    """Write a spec's `dvc.yaml` and the root one; return whether either changed.

    A root `dvc.yaml` that is not generated is left alone, with a message; any other generated file that is
    in the way raises CallError.
    """
    changed = dvcfile.write(plan, root)
    if plan.sources[0].parent != PurePosixPath("specs"):
        return changed
    # Two specs compiled at once: the later sees the earlier.
    with project_lock(root, "compile", "dvc.yaml", notify):
        try:
            return dvcfile.write_root(root) or changed
        except CallError as error:
            notify(f"{error}; until then a plain `dvc repro` leaves the specs out")
            return changed


def repair_lock(plan: Plan, root: Path, notify: Notify = lambda message: None) -> None:
    """Remove a damaged `dvc.lock`: DVC writes it in place, and one killed there must not block the next run."""
    path = root / plan.folder / "dvc.lock"
    try:
        read_lock(path)
    except DamagedFileError:
        notify(f"{path} is damaged: starting it anew")
        path.unlink(missing_ok=True)


def _error(
    plan: Plan, root: Path, failed: events.Failure | None, code: int, log: Path
) -> StageError | CallError:
    if failed and failed.refused:
        return CallError(f"stage {failed.stage}: {failed.error}")
    if failed:
        what = failed.error or "it was killed, or failed without a word"
        return StageError(f"stage {failed.stage} failed: {what.rstrip('.')}. {_CONTINUE}")
    ready = [state.stage.name for state in freshness(plan, root) if state.state == "stale"]
    return StageError(
        f"DVC failed (exit code {code}, log {log}); still to do: {', '.join(ready)}. {_CONTINUE}"
    )


_LEAST_FREE = 2**20
"""Bytes; with less, a disk counts as full."""

_CONTINUE = "What is finished is kept: the same command continues"


def _log(root: Path, name: str) -> Path:
    folder = work_folder(root) / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.log"
