"""Batches drawn some at once by all cores, before they are asked for.

Only a cache: a batch is a function of its number, so nothing depends on what was drawn when or by which thread.
Drawing one batch keeps one core busy while the others wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Generic, TypeVar

import torch

T = TypeVar("T")

AT_ONCE = 16


class Ahead(Generic[T]):
    """What `job(part, t)` makes for one t after another.

    `job` is called at once and returns what a thread then runs, which should be NumPy's work, not torch's:
    torch has threads of its own.
    """

    def __init__(self, job: Callable[[str, int], Callable[[], T]], at_once: int = AT_ONCE) -> None:
        self._job = job
        self._at_once = max(1, at_once)
        self._drawn: dict[str, dict[int, T]] = {}
        self._last: dict[str, int] = {}

    def __call__(self, part: str, t: int) -> T:
        """Batch t, which is then no longer kept."""
        drawn = self._drawn.setdefault(part, {})
        if t not in drawn:
            drawn.clear()
            # Who asks for one batch may want no other; who asks for the next will go on.
            goes_on = self._last.get(part) == t - 1
            numbers = range(t, t + (self._at_once if goes_on else 1))
            jobs = [self._job(part, number) for number in numbers]
            drawn.update(zip(numbers, in_threads(jobs), strict=True))
        self._last[part] = t
        return drawn.pop(t)


def in_threads(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Results of all jobs, run by as many threads as torch may use."""
    threads = min(torch.get_num_threads(), len(jobs))
    if threads == 1:
        return [job() for job in jobs]
    others = [_pool().submit(_run, jobs[i::threads]) for i in range(1, threads)]
    shares = [_run(jobs[::threads]), *(future.result() for future in others)]
    return [shares[i % threads][i // threads] for i in range(len(jobs))]


def _run(jobs: Sequence[Callable[[], T]]) -> list[T]:
    return [job() for job in jobs]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="ahead")
