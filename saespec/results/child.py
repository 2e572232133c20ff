"""The process that a spec's SQL runs in, which is killed when it takes too long or too much memory.

DuckDB's own means do not bound a query: it looks for an interrupt between vectors, so that one call such as
`range(1000000000)` goes on for as long as it likes, and its `memory_limit` does not count the values of lists
and texts (measured with DuckDB 2.0: 17 s after the interrupt, 8 GB above a limit of 256 MB).
"""

from __future__ import annotations

import atexit
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.02
"""How often the memory is looked at: at 2 GB/s that a process can fill, it is 40 MB late."""
_STATM = "/proc/{pid}/statm"
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from saespec.results import serve; serve.main()"
)


class ChildEnded(Exception):
    """The process was stopped at a bound, or ended by itself; says which."""


@dataclass(frozen=True)
class Bounds:
    """What one query may take."""

    seconds: float
    memory_mb: int
    """Of the whole process."""
    duckdb_mb: int
    """Of DuckDB's buffers, which it refuses to exceed in better words than a kill has."""


class Child:
    """A process that answers queries, one database at a time."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path), str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self.holds: object = None
        """What the process has open, as the caller names it."""

    @property
    def alive(self) -> bool:
        """Whether it still runs: it ends by itself when nobody asks."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], more: Iterable[Any], seconds: float, memory_mb: int) -> Any:
        """Send a request, and bytes that belong to it; return the answer, or raise ChildEnded at a bound."""
        try:
            self._pipe.send_bytes(json.dumps(request).encode())
            for content in more:
                self._pipe.send_bytes(content)
            answer = self._answer(seconds, memory_mb)
        except (EOFError, ConnectionError):
            raise ChildEnded(f"DuckDB ended on it ({self._end()})") from None
        except BaseException:
            # Interrupted, or stopped at a bound: its answer would be taken for that to the next request.
            self.close()
            raise
        return json.loads(answer)

    def close(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()

    def _answer(self, seconds: float, memory_mb: int) -> bytes:
        until = time.monotonic() + seconds
        while not self._pipe.poll(_LOOK_SECONDS):
            if time.monotonic() > until:
                raise ChildEnded(f"it was stopped after {seconds:g} s")
            if resident_mb(self._process.pid) > memory_mb:
                raise ChildEnded(f"it was stopped at {memory_mb:,} MB of memory")
        return self._pipe.recv_bytes()

    def _end(self) -> str:
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def resident_mb(pid: int) -> float:
    """Memory that a process holds; 0 if it has ended."""
    try:
        pages = int(Path(_STATM.format(pid=pid)).read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, IndexError):
        # macOS has no /proc.
        said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True).stdout
        return int(said.split()[0]) / 2**10 if said.split() else 0.0


_lock = threading.Lock()
_child: Child | None = None


def ask(
    holds: object, opening: tuple[dict[str, Any], Iterable[Any]], request: dict[str, Any], bounds: Bounds
) -> Any:
    """Ask the one child of this process, which is started, and given its database by `opening`, when it must be.

    `holds` stands for the database: the next query of the same one goes to it as it is. An answer to
    `opening` that is not empty says why it could not be opened, and is returned.
    """
    global _child
    with _lock:
        if _child is None or not _child.alive:
            _close()
            _child = Child()
        try:
            if _child.holds is not holds:
                _child.holds = None
                if refused := _child.ask(*opening, seconds=math.inf, memory_mb=bounds.memory_mb):
                    return refused
                _child.holds = holds
            return _child.ask(request, (), bounds.seconds, bounds.memory_mb)
        except BaseException:
            _close()
            raise


def _close() -> None:
    global _child
    if _child is not None:
        _child.close()
    _child = None


atexit.register(_close)
