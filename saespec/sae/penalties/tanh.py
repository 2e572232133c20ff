"""`sparsity: {kind: tanh}`: Σ tanh(scale · c), times the coefficient: large codes cost no more than middling ones.

Legend: n cells in a view, B samples, L latents.
"""

from __future__ import annotations

from torch import Tensor

from saespec.sae.pieces import PerCell, View

from .of_codes import PenaltyOfCodes


class Tanh(PenaltyOfCodes):
    """coefficient · Σ tanh(a s)."""

    def __init__(self, scale: PerCell, weighted: bool, steepness: float) -> None:
        super().__init__(scale, weighted)
        self._steepness = steepness

    def total(self, sizes: Tensor) -> Tensor:
        """Σ tanh(a s)."""
        return (sizes.double() * self._steepness).tanh_().sum(dim=(-2, -1))

    def slope(self, view: View, sizes: Tensor) -> Tensor:
        """a (1 - tanh²(a s))."""
        saturated = (sizes * self._steepness).tanh_()
        return saturated.square_().neg_().add_(1).mul_(self._steepness).mul_(view.cells(self.scale))
