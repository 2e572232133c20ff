"""Stacked tensors whose matrices all start on a 64-byte boundary.

The CPU's matrix library takes other paths, with other rounding, for operands at other offsets from a cache
line. Where every cell's matrix starts on one, its bits do not depend on its place in the stack.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector register."""


def padded(size: int, dtype: torch.dtype = torch.float32) -> int:
    """The next multiple of the alignment, in elements."""
    return size + (-size) % (ALIGNMENT // dtype.itemsize)


def aligned(n: int, *shape: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Zeros, [n, *shape], each of the n parts aligned; contiguous but for the gaps between parts."""
    size = math.prod(shape)
    return torch.zeros(n, padded(size, dtype), device=device, dtype=dtype)[:, :size].view(n, *shape)


def alike(tensor: Tensor, *shape: int) -> Tensor:
    """Zeros on the tensor's device, in its type, aligned; of its shape, or of another."""
    n, *rest = shape or tensor.shape
    return aligned(n, *rest, device=tensor.device, dtype=tensor.dtype)


def rows_of(tensor: Tensor, rows: slice | None) -> Tensor:
    """Some rows of a stack, or, without a slice, all: slicing takes time too, a fiftieth of a small step."""
    return tensor if rows is None else tensor[rows]


def stacked(parts: list[Tensor], device: torch.device) -> Tensor:
    """The float32 tensors of one shape, stacked and aligned."""
    out = aligned(len(parts), *parts[0].shape, device=device)
    for n, part in enumerate(parts):
        out[n] = part
    return out
