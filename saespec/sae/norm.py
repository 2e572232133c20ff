"""How dictionary elements come to unit length in the forward pass: `sae.decoder_norm`.

Legend: N cells of a stack, L latents, D dimensions. All tensors float32.
"""

from __future__ import annotations

import torch

from saespec.plan.groups import normalised_in_forward
from saespec.spec.spec import CellConfig

from .architecture import Architecture, Params
from .memory import aligned


class Rescaled:
    """The dictionary's elements themselves are rescaled before each forward pass; their gradient is not projected."""

    def __init__(self, architecture: Architecture) -> None:
        self._name = architecture.DICTIONARY

    def forward(self, params: Params) -> Params:
        """The parameters that the forward pass takes: the same, rescaled in place."""
        own_NLD = params[self._name]
        own_NLD.mul_(torch.linalg.vector_norm(own_NLD, dim=2, keepdim=True).reciprocal_())
        return params

    def back(self, grads: Params) -> None:
        """Turn the gradients at those parameters into the gradients of the ones that are trained."""


class InForward:
    """The forward pass takes d_k = m_k / ‖m_k‖ for the trained m_k, whose length is free (Cunningham et al. 2023).

    With g the gradient at d, m's is (g - (g·d) d) / ‖m‖: steps across m alone, and shorter ones as it grows.
    """

    def __init__(self, architecture: Architecture, params: Params) -> None:
        self._name = architecture.DICTIONARY
        shape, device = params[self._name].shape, params[self._name].device
        self._unit_NLD = aligned(*shape, device=device)
        self._product_NLD = aligned(*shape, device=device)
        self._shortening_NL1 = torch.ones(*shape[:2], 1, device=device)

    def forward(self, params: Params) -> Params:
        """The parameters that the forward pass takes: the dictionary's elements at unit length."""
        raw_NLD = params[self._name]
        torch.reciprocal(torch.linalg.vector_norm(raw_NLD, dim=2, keepdim=True), out=self._shortening_NL1)
        torch.mul(raw_NLD, self._shortening_NL1, out=self._unit_NLD)
        return {**params, self._name: self._unit_NLD}

    def back(self, grads: Params) -> None:
        """Turn the gradients at those parameters into the gradients of the ones that are trained."""
        grad_NLD = grads[self._name]
        along_NL1 = torch.mul(grad_NLD, self._unit_NLD, out=self._product_NLD).sum(dim=2, keepdim=True)
        grad_NLD.addcmul_(self._unit_NLD, along_NL1, value=-1).mul_(self._shortening_NL1)


def norm(configs: list[CellConfig], architecture: Architecture, params: Params) -> Rescaled | InForward:
    """What the cells of a stack do, which share it."""
    return InForward(architecture, params) if normalised_in_forward(configs[0]) else Rescaled(architecture)
