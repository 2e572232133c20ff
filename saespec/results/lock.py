"""Locks between processes that die with the processes that hold them.

`flock` belongs to the open file: it is free again however its holder ends, and a child that inherits the descriptor
goes on holding it. (`filelock` offers no way to hand a lock to a child.) A lock's file is never removed.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from saespec.errors import Interrupted

from .atomic import is_alive

Notify = Callable[[str], None]
Stop = Callable[[], bool]

_HELD: set[Path] = set()
"""Files of the locks that this process holds."""

_PAUSE = 0.1
"""Seconds between two looks at a lock that another process holds."""


class Lock:
    """One holder at a time: this process, and children that inherit `fileno()`."""

    def __init__(self, path: Path, what: str, notify: Notify, stop: Stop = lambda: False) -> None:
        """`what` is held, in words for the message that `notify` gets if another process holds it.

        While it waits, `stop()` makes it raise Interrupted.
        """
        self._path, self._what, self._notify, self._stop = path, what, notify, stop
        self._fd = -1
        self._holds = False

    def fileno(self) -> int:
        """The descriptor to pass to a child that shall hold the lock too."""
        return self._fd

    def name_holders(self, *pids: int) -> None:
        """Write down who holds the lock, for the message that a second process gives."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, " ".join(map(str, pids)).encode(), 0)

    def try_to_enter(self) -> bool:
        """Hold the lock if it is free, and say whether it was."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        if self._taken():
            return True
        self._leave()
        return False

    @contextmanager
    def if_free(self) -> Iterator[bool]:
        """Hold the lock while the block runs, if it is free or this process holds it already; say whether it is so."""
        if self._path in _HELD:
            yield True
            return
        free = self.try_to_enter()
        try:
            yield free
        finally:
            if free:
                self._leave()

    def __enter__(self) -> Self:
        if not self.try_to_enter():
            self._fd = os.open(self._path, os.O_RDWR)
            try:
                self._wait()
            except BaseException:
                self._leave()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _wait(self) -> None:
        self._notify(f"{self._what}: {self._holder()}; waiting for it")
        while not self._taken():
            if self._stop():
                raise Interrupted("stopped while waiting; the same command continues")
            time.sleep(_PAUSE)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.name_holders(os.getpid())
        _HELD.add(self._path)
        self._holds = True
        return True

    def _leave(self) -> None:
        os.close(self._fd)
        if self._holds:
            _HELD.discard(self._path)
            self._holds = False

    def _holder(self) -> str:
        pids = [int(pid) for pid in os.pread(self._fd, 100, 0).split()]
        alive = [pid for pid in pids if is_alive(pid)]
        if not alive:
            return "another process is at work"
        if alive[0] != pids[0]:
            return f"a run that lost its saespec is still at work (DVC, pid {alive[0]})"
        return f"another process is at work (pid {alive[0]})"


def store_lock(store: Path, what: str, notify: Notify, stop: Stop = lambda: False) -> Lock:
    """The lock of whoever makes, mends or removes an object of a store; `what` is such as `model 0123456789ab`.

    Others wait for it, and find the object made.
    """
    return Lock(store / "locks" / f"{what.replace(' ', '-')}.lock", what, notify, stop)
