"""`sparsity: {kind: l0}`: the number of active latents, times the coefficient (Rajamanoharan et al. 2024b).

Its derivative by codes is 0 wherever there is one. What thresholds learn of it is in `activations.jumprelu`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .none import NoPenalty


class L0(NoPenalty):
    """coefficient · Σ [c ≠ 0]."""

    def value(self, codes: Tensor, decoder_LD: Tensor) -> Tensor:
        """Σ [c ≠ 0]."""
        return (codes != 0).sum(dim=(-2, -1)).to(torch.float64)
