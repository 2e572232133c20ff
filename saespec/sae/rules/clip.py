"""`train.clip`: a cell's gradient, over all its weights, is shortened to a length if it is longer.

Legend: N cells of a stack, P numbers of a parameter.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.pieces import Params


def clip(grads: Params, longest: float) -> None:
    """Shorten each cell's gradients [N, P], in place."""
    squares_N = [torch.linalg.vector_norm(own_NP, dim=1).square_() for own_NP in grads.values()]
    share_N1 = (longest / _sum(squares_N).sqrt_().clamp_(min=longest)).unsqueeze(1)
    for own_NP in grads.values():
        own_NP.mul_(share_N1)


def _sum(parts: list[Tensor]) -> Tensor:
    total = parts[0].clone()
    for part in parts[1:]:
        total.add_(part)
    return total
