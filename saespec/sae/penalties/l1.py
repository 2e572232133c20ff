"""`sparsity: {kind: l1}`: the codes' sum, times the coefficient.

Its slope is the same for every code, so that it rides in the product that makes the codes' gradient.

Legend: n cells in a view, B samples, L latents.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.pieces import Params, View

from .of_codes import PenaltyOfCodes


class L1(PenaltyOfCodes):
    """coefficient · Σ s."""

    def total(self, sizes: Tensor) -> Tensor:
        """Σ s."""
        return sizes.sum(dim=(-2, -1), dtype=torch.float64)

    def slope(self, view: View, sizes: Tensor) -> Tensor:
        """The coefficient."""
        return view.cells(self.scale)

    def constant(self, view: View, w: Params) -> Tensor | None:
        """The coefficient, over the batch, times the lengths of elements where they count."""
        if not self.weighted:
            return view.cells(self.scale)
        return view.cells(self.scale) * view.latents(torch.linalg.vector_norm(w["decoder"], dim=2))

    def back(self, view: View, grad: Tensor, w: Params) -> None:
        """Nothing more."""
        self._slope = view.cells(self.scale)
