"""The other limit: moving the bytes that Adam must move for one step, and nothing else.

A copy within memory that reads and writes, together, as many bytes as an optimiser's pass over the stack
reads and writes (see `Workload.bytes`); where they fit, they stay in the cache, as the optimiser's do.
"""

from __future__ import annotations

import torch

from benchmarks import machine

from . import workload as w
from .products import ROUNDS, seconds
from .sizes import Workload


def step_seconds(sizes: Workload, device: torch.device, rounds: int = ROUNDS) -> float:
    """Seconds of moving the bytes of one step of all SAEs."""
    source = torch.randn(sizes.cells * sizes.bytes // 8, device=device)
    target = torch.empty_like(source)
    repeats = max(1, round(2e8 / source.nbytes))
    return seconds(lambda: target.copy_(source), repeats, rounds, device)


def main() -> None:
    """Measure, and print the result."""
    job = w.job(w.parser(__doc__).parse_args())
    start = machine.now()
    step = step_seconds(job.sizes, job.device)
    others = machine.between(start, machine.now()).others
    job.emit(others=others, seconds=step * job.timed, package=w.installed("torch"), finite=True)


if __name__ == "__main__":
    main()
