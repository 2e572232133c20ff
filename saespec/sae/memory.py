"""Stacked tensors whose matrices all start on a 64-byte boundary.

The CPU's matrix library takes other paths, with other rounding, for operands at other offsets from a cache
line. Where every cell's matrix starts on one, its bits do not depend on its place in the stack.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ALIGNMENT = 16
"""Floats in 64 bytes: a cache line, and the widest vector register."""


def padded(size: int) -> int:
    """The next multiple of the alignment."""
    return size + (-size) % ALIGNMENT


def aligned(n: int, *shape: int, device: torch.device) -> Tensor:
    """Zeros, [n, *shape], float32, each of the n parts aligned; contiguous but for the gaps between parts."""
    size = math.prod(shape)
    return torch.zeros(n, padded(size), device=device)[:, :size].view(n, *shape)


def stacked(parts: list[Tensor], device: torch.device) -> Tensor:
    """The tensors of one shape, stacked and aligned."""
    out = aligned(len(parts), *parts[0].shape, device=device)
    for n, part in enumerate(parts):
        out[n] = part
    return out
