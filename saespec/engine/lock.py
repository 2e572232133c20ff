"""The locks of a project: one run of a spec at a time, one process that sets the project up, one that compiles it."""

from __future__ import annotations

from pathlib import Path

from saespec.plan.project import work_folder
from saespec.results.lock import Lock, Notify

__all__ = ["Lock", "Notify", "project_lock", "run_lock"]


def run_lock(root: Path, spec_name: str, notify: Notify) -> Lock:
    """The lock of whoever runs or compiles a spec; a run hands it to its DVC, which may outlive saespec."""
    return _lock(root, f"run-{spec_name}", spec_name, notify)


def project_lock(root: Path, name: str, what: str, notify: Notify) -> Lock:
    """A lock for what a project has once: `what` is made, in words for who waits."""
    return _lock(root, name, what, notify)


def _lock(root: Path, file: str, what: str, notify: Notify) -> Lock:
    return Lock(work_folder(root) / "locks" / f"{file}.lock", what, notify)
