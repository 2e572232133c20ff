"""`sparsity: {kind: l1}`: the codes' sum, times the coefficient.

Its gradient is the same for every code, so that it rides in the product that makes the codes' gradient.

Legend: N cells of a stack, B samples, L latents.
"""

from __future__ import annotations

from torch import Tensor

from saespec.sae.pieces import Params, PerCell, View


class L1:
    """coefficient · Σ c."""

    def __init__(self, scale: PerCell) -> None:
        self._scale = scale

    def constant(self, view: View, w: Params) -> Tensor | None:
        """The coefficient, over the batch."""
        return view.cells(self._scale)

    def back(self, view: View, grad: Tensor, w: Params, g: Params) -> None:
        """Nothing more."""
