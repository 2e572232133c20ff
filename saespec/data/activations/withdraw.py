"""Taking back what turned out to be damaged, so that it is made again: never under the hands of who makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from saespec.results.lock import store_lock

_KINDS = {"models": "model", "activations": "extraction"}


def object_lock_name(folder: Path) -> str:
    """What the lock of a model or an extraction is called, by its folder in the store."""
    return f"{_KINDS.get(folder.parent.name, folder.parent.name)} {folder.name}"


def withdraw(folder: Path, files: Iterable[Path], damaged: Callable[[], bool]) -> None:
    """Remove files of a model or an extraction, whose folder in the store is given, if they still are damaged.

    Where another process holds the object it is being made again at this moment, and nothing is removed.
    """
    lock = store_lock(folder.parents[1], object_lock_name(folder), lambda message: None)
    with lock.if_free() as free:
        if free and damaged():
            for file in files:
                file.unlink(missing_ok=True)
