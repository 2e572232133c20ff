"""What penalties of the codes' sizes share: the weight of each latent, one or the length of its element.

A penalty P(c) with weights ‖d‖ is the sum of P over ‖d_k‖ c_k, so that no scale of the dictionary matters. With
s = ‖d‖ c its derivative by c is P'(s) ‖d‖, by d it is P'(s) c d/‖d‖.

Legend: n cells in a view, B samples, L latents, D dimensions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from saespec.sae.pieces import Params, PerCell, View


class PenaltyOfCodes(ABC):
    """A penalty that is a function of sizes s = c, or s = ‖d‖ c."""

    def __init__(self, scale: PerCell, weighted: bool) -> None:
        self.scale = scale
        self.weighted = weighted
        self._sizes: Tensor | None = None

    @abstractmethod
    def total(self, sizes: Tensor) -> Tensor:
        """The sum over samples of P, float64, [...] for sizes [..., B, L]."""

    @abstractmethod
    def slope(self, view: View, sizes: Tensor) -> Tensor:
        """P' at sizes that are not 0, times the coefficient over the batch, in the layout of codes."""

    def value(self, codes: Tensor, decoder_LD: Tensor) -> Tensor:
        """The sum over samples, without coefficient."""
        if self.weighted:
            codes = codes * torch.linalg.vector_norm(decoder_LD, dim=-1).unsqueeze(-2)
        return self.total(codes)

    def constant(self, view: View, w: Params) -> Tensor | None:
        """Nothing: the slope depends on the codes."""
        return None

    def back(self, view: View, grad: Tensor, w: Params) -> None:
        """Add the gradient by codes that are not 0; what it adds to others comes to nothing."""
        if not self.weighted:
            grad.add_(self.slope(view, view.codes))
            return
        lengths = view.latents(torch.linalg.vector_norm(w["decoder"], dim=2))
        self._slope = self.slope(view, view.codes * lengths)
        grad.add_(self._slope * lengths)

    def weights_back(self, view: View, w: Params, g: Params) -> None:
        """Add the gradient by the dictionary, which the lengths depend on."""
        if not self.weighted:
            return
        sums_NL = torch.zeros_like(w["decoder"][:, :, 0])
        view.sums(self._slope * view.codes, sums_NL)
        lengths_NL = torch.linalg.vector_norm(w["decoder"], dim=2)
        view.own(g["decoder"]).addcmul_(view.own(w["decoder"]), view.own(sums_NL / lengths_NL).unsqueeze(2))
