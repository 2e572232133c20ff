"""What views of dense codes share, whatever their precision.

Legend: N cells of a stack, n of them in a view, B samples, D dimensions, L latents.
"""

from __future__ import annotations

from torch import Tensor

from saespec.sae.memory import rows_of
from saespec.sae.pieces import PerCell


class DenseView:
    """The codes of neighbouring cells, or of all, [n, B, L]."""

    active_only = False

    def __init__(self, codes_NBL: Tensor, rows: slice | None) -> None:
        self._rows = rows
        self.codes = self.own(codes_NBL)

    def own(self, value: Tensor) -> Tensor:
        """The rows of the view's cells."""
        return rows_of(value, self._rows)

    def cells(self, number: PerCell) -> Tensor:
        """A number of each cell, [n, 1, 1]."""
        return self.own(number.value_N11)

    def latents(self, value_NL: Tensor) -> Tensor:
        """A number of each latent, [n, 1, L], in the codes' type."""
        return self.own(value_NL).unsqueeze(1).to(self.codes.dtype)
