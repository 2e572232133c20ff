"""A stack's step as one CUDA graph: some twenty kernels started by one call.

For small autoencoders starting kernels takes longer than running them. The batch is made before, outside of the
graph, and copied into buffers that the graph reads: its generator has another seed at every step.

Legend: N cells of a stack, B samples, D dimensions.
"""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from .stack import Stack

WARM_UP = 3
"""Steps before the capture, in which the libraries allocate what they keep. They are taken back."""

_capturing = threading.Lock()


class CapturedStep:
    """`Stack.step` on a CUDA device. Every step is a replay, the first one too, so that all have the same bits."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []

    def __call__(self, x_NBD: Tensor, target_NBD: Tensor) -> None:
        """One optimiser step of every cell on its batch; the two have the layout that they had at first."""
        given = [x_NBD] if x_NBD is target_NBD else [x_NBD, target_NBD]
        if self._graph is None:
            self._inputs = [_copy(batch) for batch in given]
            self._graph = self._capture()
        for own, batch in zip(self._inputs, given, strict=True):
            rows = own.shape[0] if own.stride(0) else 1
            own[:rows].copy_(batch[:rows])
        self._graph.replay()

    def _capture(self) -> torch.cuda.CUDAGraph:
        stack, x_NBD, target_NBD = self._stack, self._inputs[0], self._inputs[-1]
        changed = [stack.updates, *(t for own in stack.state.values() for t in own.values())]
        before = [tensor.clone() for tensor in changed]
        stream = torch.cuda.Stream(stack.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(stack.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                stack.step(x_NBD, target_NBD)
        torch.cuda.current_stream(stack.device).wait_stream(stream)
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)
        graph = torch.cuda.CUDAGraph()
        # Other threads may work on other devices meanwhile, but one captures at a time.
        with _capturing, torch.cuda.graph(graph, capture_error_mode="thread_local"):
            stack.step(x_NBD, target_NBD)
        return graph


def _copy(batch: Tensor) -> Tensor:
    """A buffer like the batch, in which cells that share their samples still do."""
    return batch.clone() if batch.stride(0) else batch[:1].clone().expand(batch.shape)
