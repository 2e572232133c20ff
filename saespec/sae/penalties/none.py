"""`sparsity: none`: the architecture alone makes codes sparse."""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.pieces import Params, View


class NoPenalty:
    """0."""

    def value(self, codes: Tensor, decoder_LD: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros(codes.shape[:-2], dtype=torch.float64, device=codes.device)

    def constant(self, view: View, w: Params) -> Tensor | None:
        """Nothing."""
        return None

    def back(self, view: View, grad: Tensor, w: Params) -> None:
        """Nothing."""

    def weights_back(self, view: View, w: Params, g: Params) -> None:
        """Nothing."""
