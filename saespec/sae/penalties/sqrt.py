"""`sparsity: {kind: sqrt}`: square roots of codes, or of their sum, times the coefficient (Taggart 2024).

The document says "Sqrt(L1)", its code takes the root of each code: `of` names the two readings. A small number under
the root keeps its slope finite.

Legend: n cells in a view, B samples, L latents.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.pieces import PerCell, View

from .of_codes import PenaltyOfCodes

EPS = 1e-6


class Sqrt(PenaltyOfCodes):
    """coefficient · Σ √(s + ε), or Σ √(Σ s + ε), the inner sum over latents."""

    def __init__(self, scale: PerCell, weighted: bool, of: str) -> None:
        super().__init__(scale, weighted)
        self._of_sum = of == "sum"

    def total(self, sizes: Tensor) -> Tensor:
        """The roots' sum; a code of 0 adds √ε, as in the document's code."""
        if self._of_sum:
            return (sizes.sum(dim=-1, dtype=torch.float64) + EPS).sqrt().sum(dim=-1)
        return (sizes.double() + EPS).sqrt().sum(dim=(-2, -1))

    def slope(self, view: View, sizes: Tensor) -> Tensor:
        """1/2 over the root."""
        if self._of_sum:
            sizes = view.sample_sums(sizes)
        return (sizes + EPS).rsqrt_().mul_(0.5).mul_(view.cells(self.scale))
