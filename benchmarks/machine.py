"""The machine that a benchmark runs on, and how much of it others use meanwhile."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
TICK = os.sysconf("SC_CLK_TCK")


class Moment(NamedTuple):
    """A point in time, with the processor time used up to then."""

    clock: float
    machine: float
    """By the whole machine, in seconds."""
    process: float
    """By this process."""


class Span(NamedTuple):
    """How long something took."""

    seconds: float
    others: float
    """Cores that other processes kept busy meanwhile; NaN where the system does not tell."""


def now() -> Moment:
    """This moment."""
    return Moment(time.perf_counter(), busy_seconds(), time.process_time())


def between(first: Moment, last: Moment) -> Span:
    """The time between two moments of this process."""
    seconds = last.clock - first.clock
    foreign = (last.machine - first.machine) - (last.process - first.process)
    return Span(seconds, max(foreign / seconds, 0.0))  # in this order, NaN stays


@dataclass(frozen=True)
class Finished:
    """A process that has come to its end."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    peak_memory_bytes: int
    others: float
    """As in `Span`."""


def run(command: Sequence[str], folder: Path, threads: int | None = None) -> Finished:
    """Run a command in a folder to its end; `benchmarks` and saespec are importable there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        busy, start = busy_seconds(), time.perf_counter()
        process = subprocess.Popen(list(command), stdout=out, stderr=err, cwd=folder, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        foreign = busy_seconds() - busy - usage.ru_utime - usage.ru_stime
        out.seek(0)
        err.seek(0)
        return Finished(
            code=process.returncode,
            stdout=out.read(),
            stderr=err.read(),
            seconds=seconds,
            peak_memory_bytes=usage.ru_maxrss * 1024,
            others=max(foreign / seconds, 0.0),
        )


def lines(
    module: str, arguments: Sequence[str], threads: int, python: Path | None = None
) -> list[dict[str, Any]]:
    """What a program of `trainers/`, run to its end, prints: a line of JSON for each row.

    `python` is the interpreter of another environment; libraries in it may print lines of their own.
    """
    before = load()
    program = [str(python or sys.executable), "-m", f"benchmarks.trainers.{module}"]
    command = [*program, *arguments, "--threads", str(threads)]
    done = run(command, folder=ROOT, threads=threads)
    if done.code:
        raise SystemExit(f"{module} failed:\n{done.stderr[-2000:]}")
    said = (line for line in done.stdout.splitlines() if line.startswith("{"))
    return [{"load": before, **json.loads(line)} for line in said]


@contextmanager
def forks(threads: int) -> Iterator[ProcessPoolExecutor]:
    """Processes, one after the other, each a fresh fork of one that has imported torch."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.trainers.point"])
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as processes:
        yield processes


def busy_seconds() -> float:
    """Processor time that the whole machine has used since it started, waiting not counted."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return float("nan")
    user, nice, system, _idle, _waiting, *interrupts = (int(field) for field in fields[:8])
    return (user + nice + system + sum(interrupts)) / TICK


def load() -> float:
    """Load average over the last minute."""
    return os.getloadavg()[0]


def memory_now(peak: bool) -> float:
    """Bytes that this process has in memory, or their peak since `forget_peak`; NaN where nothing tells."""
    name = "VmHWM:" if peak else "VmRSS:"
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def forget_peak() -> None:
    """Let the peak of this process's memory begin at what it has now, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


QUIET = 0.1
"""Cores that others may keep busy before a measurement counts as disturbed."""


def undisturbed(measure: Callable[[], dict[str, Any]], deadline: float) -> dict[str, Any]:
    """Measure, and again, once the machine is quiet, as long as others disturb it and the deadline is not over.

    The row says in `attempt` how often it was repeated, in `load` how busy the machine was before.
    """
    attempt = 0
    while True:
        before = load()
        row = {"load": before, "attempt": attempt, **measure()}
        if not row["others"] >= QUIET or time.monotonic() >= deadline:  # NaN, where unknown, is quiet
            return row
        _wait_until_quiet(deadline)
        attempt += 1


def _wait_until_quiet(deadline: float) -> None:
    """Wait until, for two seconds, others keep fewer than `QUIET` cores busy, or the deadline is over."""
    while time.monotonic() < deadline:
        start = now()
        time.sleep(2)
        if not between(start, now()).others >= QUIET:
            return


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 products; yes where nothing tells.

    Without them torch multiplies bfloat16 ten times more slowly than float32.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return True
    flags = next((line.split() for line in lines if line.startswith(("flags", "Features"))), None)
    return flags is None or bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))


def processor() -> str:
    """The processor's name and number of cores."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"
