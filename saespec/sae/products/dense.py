"""What views of dense codes share, whatever their precision.

Legend: N cells of a stack, n of them in a view, B samples, D dimensions, L latents of the dictionary, l of them in a
view: all, but for nested dictionaries.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.memory import rows_of
from saespec.sae.pieces import Params, PerCell


class DenseView:
    """The codes of neighbouring cells, or of all, [n, B, l]."""

    active_only = False

    def __init__(self, codes_NBL: Tensor, rows: slice | None, latents: slice | None) -> None:
        self._rows = rows
        self._latents = latents
        self.codes = self.columns(self.own(codes_NBL))

    def own(self, value: Tensor) -> Tensor:
        """The rows of the view's cells."""
        return rows_of(value, self._rows)

    def own_latents(self, value_NL: Tensor) -> Tensor:
        """What belongs to the view's cells and latents, [n, l] or [n, l, D]."""
        own = self.own(value_NL)
        return own if self._latents is None else own[:, self._latents]

    def columns(self, value_nBL: Tensor) -> Tensor:
        """What belongs to the view's latents, [n, B, l]."""
        return value_nBL if self._latents is None else value_nBL[:, :, self._latents]

    def cells(self, number: PerCell) -> Tensor:
        """A number of each cell, [n, 1, 1]."""
        return self.own(number.value_N11)

    def latents(self, value_NL: Tensor) -> Tensor:
        """A number of each latent, [n, 1, l], in the codes' type."""
        return self.own_latents(value_NL).unsqueeze(1).to(self.codes.dtype)

    def sample_sums(self, values: Tensor) -> Tensor:
        """Sums over latents, [n, B, 1]."""
        return values.sum(dim=2, keepdim=True)

    def offset_gradient(self, error_nBD: Tensor, g: Params) -> None:
        """Write the gradient by the reconstruction's offset, if there is one."""
        if "offset" in g:
            torch.sum(error_nBD, dim=1, out=self.own(g["offset"]))
