"""Which cells this process trains, of all processes that share a store.

Each cell is a byte of one file, locked by `fcntl`: one descriptor holds any number of them, and they are free again
however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from saespec.errors import Interrupted
from saespec.results.lock import Notify, Stop

_PAUSE = 0.1
_EVERYTHING = 0
"""What `lockf` takes for the size of a range without an end."""


@contextmanager
def reserved(
    store: Path, cell_ids: Sequence[str], notify: Notify, stop: Stop = lambda: False
) -> Iterator[frozenset[str]]:
    """Those of the cells that no other process trains; while the block runs, no other one will.

    Where that is none of them it waits until one is free, saying so to `notify`: made by then, or given up. Raises
    Interrupted once `stop()` is true. One block a process at a time.
    """
    path = store / "locks" / "cells.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        own = frozenset(cell for cell in cell_ids if _taken(fd, int(cell, 16)))
        if not own:
            notify(f"{len(cell_ids)} cells: another process trains them; waiting for it")
        while not own:
            if stop():
                raise Interrupted
            time.sleep(_PAUSE)
            own = frozenset(cell for cell in cell_ids if _taken(fd, int(cell, 16)))
        yield own
    finally:
        os.close(fd)


@contextmanager
def all_reserved(store: Path, notify: Notify) -> Iterator[None]:
    """While the block runs no process trains a cell of the store; where one does `notify` is told, which raises."""
    path = store / "locks" / "cells.lock"
    if not path.exists():
        yield
        return
    fd = os.open(path, os.O_RDWR)
    try:
        if not _taken(fd, 0, _EVERYTHING):
            notify("cells: another process trains some; waiting for it")
        yield
    finally:
        os.close(fd)


def _taken(fd: int, start: int, size: int = 1) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, size, start)
    except (BlockingIOError, PermissionError):  # systems differ in what they say
        return False
    return True
