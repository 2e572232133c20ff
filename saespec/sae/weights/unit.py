"""`decoder_norm: unit` and `unit_projected`: dictionary elements are rescaled to unit length before each forward pass.

Legend: N cells of a stack, L latents, D dimensions. All tensors float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.memory import alike
from saespec.sae.pieces import Params


class Unit:
    """The elements themselves are rescaled; their gradient is taken as it comes (Sharkey et al. 2022)."""

    def __init__(self, dictionary: str, params: Params) -> None:
        self._name = dictionary
        self._grads: Params = {}

    def forward(self, params: Params) -> Params:
        """The same parameters, rescaled in place."""
        own_NLD = params[self._name]
        own_NLD.mul_(torch.linalg.vector_norm(own_NLD, dim=2, keepdim=True).reciprocal_())
        return params

    def observe(self, params: Params) -> Params:
        """Copies that are rescaled: to rescale the elements twice would change their last bits."""
        return self.forward({**params, self._name: alike(params[self._name]).copy_(params[self._name])})

    def wire(self, grads: Params) -> Params:
        """The same gradients."""
        self._grads = grads
        return grads

    def back(self) -> None:
        """Nothing: steps along an element are taken, and taken back by the next rescaling."""


class UnitProjected(Unit):
    """The part of the gradient along an element is removed before Adam sees it: g - (g·d) d (Bricken et al. 2023)."""

    def __init__(self, dictionary: str, params: Params) -> None:
        super().__init__(dictionary, params)
        self._unit_NLD = params[dictionary]
        self._product_NLD = alike(self._unit_NLD)

    def back(self) -> None:
        """Project."""
        remove_along(self._grads[self._name], self._unit_NLD, self._product_NLD)


def remove_along(grad_NLD: Tensor, unit_NLD: Tensor, scratch_NLD: Tensor) -> Tensor:
    """Take from each row its part along a row of unit length, in place."""
    along_NL1 = torch.mul(grad_NLD, unit_NLD, out=scratch_NLD).sum(dim=2, keepdim=True)
    return grad_NLD.addcmul_(unit_NLD, along_NL1, value=-1)
