"""`decoder_norm: unit_in_forward`: the forward pass takes d_k = m_k / ‖m_k‖ for the trained m_k, whose length is free.

With g the gradient at d, m's is (g - (g·d) d) / ‖m‖: steps across m alone, and shorter ones as it grows (Cunningham
et al. 2023).

Legend: N cells of a stack, L latents, D dimensions. All tensors float32.
"""

from __future__ import annotations

import torch

from saespec.sae.memory import alike
from saespec.sae.pieces import Params

from .unit import remove_along


class UnitInForward:
    """Division by the length, and its derivative."""

    def __init__(self, dictionary: str, params: Params) -> None:
        self._name = dictionary
        self._unit_NLD = alike(params[dictionary])
        self._product_NLD = alike(params[dictionary])
        self._shortening_NL1 = torch.ones_like(params[dictionary][:, :, :1])
        self._grads: Params = {}

    def forward(self, params: Params) -> Params:
        """The parameters with the dictionary's elements at unit length."""
        raw_NLD = params[self._name]
        torch.reciprocal(torch.linalg.vector_norm(raw_NLD, dim=2, keepdim=True), out=self._shortening_NL1)
        torch.mul(raw_NLD, self._shortening_NL1, out=self._unit_NLD)
        return {**params, self._name: self._unit_NLD}

    observe = forward

    def wire(self, grads: Params) -> Params:
        """The same gradients."""
        self._grads = grads
        return grads

    def back(self) -> None:
        """Turn the gradient at unit length into that of the trained elements, in place."""
        remove_along(self._grads[self._name], self._unit_NLD, self._product_NLD).mul_(self._shortening_NL1)
