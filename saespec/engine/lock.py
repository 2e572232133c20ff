"""One run of a spec at a time: a lock that dies with the processes that hold it.

`flock` belongs to the open file, so a DVC process that inherits it keeps the lock when saespec itself is
killed: the next run waits for that DVC process, instead of working against it. (`filelock` offers no way
to hand a lock to a child.)
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from saespec.plan.project import work_folder
from saespec.results.atomic import is_alive

Notify = Callable[[str], None]


class RunLock:
    """A named lock of a project, held by this process and by children that inherit `fileno()`."""

    def __init__(self, root: Path, name: str, notify: Notify) -> None:
        self._path = work_folder(root) / "locks" / f"{name}.lock"
        self._name, self._notify = name, notify
        self._fd = -1

    def fileno(self) -> int:
        """The descriptor to pass to a child that shall hold the lock too."""
        return self._fd

    def name_holders(self, *pids: int) -> None:
        """Write down who holds the lock, for the message that a second run gives."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, " ".join(map(str, pids)).encode(), 0)

    def __enter__(self) -> Self:
        self._path.parent.mkdir(exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._notify(f"{self._name}: {self._holder()}; waiting for it")
                fcntl.flock(self._fd, fcntl.LOCK_EX)
        except BaseException:
            os.close(self._fd)
            raise
        self.name_holders(os.getpid())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def _holder(self) -> str:
        pids = [int(pid) for pid in os.pread(self._fd, 100, 0).split()]
        alive = [pid for pid in pids if is_alive(pid)]
        if not alive:
            return "another run is at work"
        if alive[0] != pids[0]:
            return f"a run that lost its saespec is still at work (DVC, pid {alive[0]})"
        return f"another run is at work (pid {alive[0]})"
