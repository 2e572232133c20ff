"""`kind: topk`: of each sample the k largest positive values of Wx + b (Gao et al. 2024).

Legend: N cells of a stack, B samples, L latents.
"""

from __future__ import annotations

from torch import Tensor

from saespec.sae.pieces import Params

from .largest import keep_largest
from .relu import Relu


class TopK(Relu):
    """The gradient reaches what was kept, as with ReLU."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self._k = k

    def forward(self, pre_NBL: Tensor, w: Params) -> None:
        """Codes, in place."""
        if pre_NBL.is_contiguous():
            keep_largest(pre_NBL.view(-1, pre_NBL.shape[2]), self._k)
        else:
            for own_BL in pre_NBL:
                keep_largest(own_BL, self._k)

    codes = forward
