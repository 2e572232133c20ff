"""The limit: a step's five matrix products and nothing else, each in the fastest of its layouts.

A dense step of a ReLU SAE has two products forward and three back: codes and their gradient are
[B, D] × [D, L], the reconstruction [B, L] × [L, D], the gradients of encoder and decoder [L, B] × [B, D].
Each kind is timed as a stacked product with either operand stored as it is or transposed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from benchmarks import machine

from . import workload as w
from .sizes import Workload

ROUNDS = 5
ESTIMATE = {"cpu": 1e11, "cuda": 3e13}
"""FLOP/s, from which it follows how often a product is repeated."""
SPAN = 0.02
"""Seconds to spend on each timing, by that estimate."""


def step_seconds(sizes: Workload, dtype: torch.dtype, device: torch.device, rounds: int = ROUNDS) -> float:
    """Seconds of the products of one step of all SAEs."""
    B, D, L = sizes.batch, sizes.dim, sizes.latents
    each = sizes.cells * sizes.flops / 5
    repeats = max(1, round(SPAN * ESTIMATE[device.type] / each))

    def best(rows: int, inner: int, columns: int) -> float:
        out = torch.empty(sizes.cells, rows, columns, dtype=dtype, device=device)
        found = float("inf")
        for layout in product((False, True), repeat=2):
            a = _stored(sizes.cells, rows, inner, layout[0], dtype, device)
            b = _stored(sizes.cells, inner, columns, layout[1], dtype, device)

            def multiply(a: Tensor = a, b: Tensor = b) -> None:
                torch.bmm(a, b, out=out)

            found = min(found, seconds(multiply, repeats, rounds, device))
        return found

    return 2 * best(B, D, L) + best(B, L, D) + 2 * best(L, B, D)


def seconds(work: Callable[[], object], repeats: int, rounds: int, device: torch.device) -> float:
    """Time of one call, median of some rounds of `repeats`, after one that is not counted.

    On a GPU the calls of a round are one CUDA graph, so that launches are not counted either.
    """
    again = _captured(work, repeats) if device.type == "cuda" else _repeated(work, repeats)
    times = []
    for _ in range(rounds + 1):
        w.synchronise(device)
        start = time.perf_counter()
        again()
        w.synchronise(device)
        times.append((time.perf_counter() - start) / repeats)
    return statistics.median(times[1:])


def _repeated(work: Callable[[], object], repeats: int) -> Callable[[], None]:
    def again() -> None:
        for _ in range(repeats):
            work()

    return again


def _captured(work: Callable[[], object], repeats: int) -> Callable[[], None]:
    work()  # libraries set themselves up at the first call, which may not be captured
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        _repeated(work, repeats)()
    return graph.replay


def _stored(
    cells: int, rows: int, columns: int, transposed: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """A stack of random matrices, each stored by rows or by columns."""
    if transposed:
        return torch.randn(cells, columns, rows, device=device).to(dtype).transpose(1, 2)
    return torch.randn(cells, rows, columns, device=device).to(dtype)


def main() -> None:
    """Measure, and print the result."""
    parser = w.parser(__doc__)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    args = parser.parse_args()
    job = w.job(args)
    start = machine.now()
    step = step_seconds(job.sizes, getattr(torch, args.dtype), job.device)
    others = machine.between(start, machine.now()).others
    job.emit(others=others, seconds=step * job.timed, package=w.installed("torch"), finite=True)


if __name__ == "__main__":
    main()
