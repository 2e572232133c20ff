"""The limit: a step's five matrix products and nothing else, each in the fastest of its layouts.

A dense step of a ReLU SAE has two products forward and three back: codes and their gradient are
[B, D] × [D, L], the reconstruction [B, L] × [L, D], the gradients of encoder and decoder [L, B] × [B, D].
Each kind is timed as a stacked product with either operand stored as it is or transposed.
"""

from __future__ import annotations

import statistics
import time
from itertools import product

import torch
from torch import Tensor

from benchmarks import machine

from . import workload as w
from .sizes import BATCH, CELLS, WORKLOADS

ROUNDS = 5


def stored(shape: tuple[int, int], transposed: bool) -> Tensor:
    """A stack of random matrices of a shape, each stored by rows or by columns."""
    rows, columns = shape
    if transposed:
        return torch.randn(CELLS, columns, rows).transpose(1, 2)
    return torch.randn(CELLS, rows, columns)


def seconds(rows: int, inner: int, columns: int, repeats: int) -> float:
    """Time of one stacked product in the fastest layout, median of some rounds."""
    best = float("inf")
    for left, right in product((False, True), repeat=2):
        a, b = stored((rows, inner), left), stored((inner, columns), right)
        out = torch.empty(CELLS, rows, columns)
        torch.bmm(a, b, out=out)
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for _ in range(repeats):
                torch.bmm(a, b, out=out)
            times.append((time.perf_counter() - start) / repeats)
        best = min(best, statistics.median(times))
    return best


def main() -> None:
    """Measure, and print the result."""
    args = w.arguments(__doc__)
    sizes = WORKLOADS[args.workload]
    start = machine.now()
    repeats = max(1, args.steps // 20)
    B, D, L = BATCH, sizes.dim, sizes.latents
    encode, decode, gradient = (seconds(*shape, repeats) for shape in ((B, D, L), (B, L, D), (L, B, D)))
    step = 2 * encode + decode + 2 * gradient
    others = machine.between(start, machine.now()).others
    w.emit(args, others=others, seconds=step * args.steps, package=w.installed("torch"), finite=True)


if __name__ == "__main__":
    main()
