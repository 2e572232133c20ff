"""`kind: prolu`: c = m where m > 0 and m + b > 0, else 0, with m = Wx (Taggart 2024).

The derivative by b is 0 wherever there is one, so that what b learns from is synthetic: as of ReLU(m + b), or with the
step function H taken as its own derivative in m·H(m)·H(m + b), that is g·(1 + m) by m and g·m by b. `hybrid` puts
ReLU(m + b) in its place where b > 0.

Legend: N cells of a stack, B samples, L latents.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from saespec.sae.pieces import Params, View


class Prolu:
    """ProLU with either synthetic gradient."""

    bias_in_product: ClassVar[bool] = False

    def __init__(self, gradient: str, hybrid: bool) -> None:
        self.state: Params = {}
        self._straight_through = gradient == "ste"
        self._hybrid = hybrid

    def forward(self, pre_NBL: Tensor, w: Params) -> None:
        """Codes, in place."""
        bias_N1L = w["bias"].unsqueeze(1).to(pre_NBL.dtype)
        if self._hybrid:
            pre_NBL.add_(bias_N1L.clamp(min=0))
        # What passes -b passes b's threshold; where b > 0 all that is positive does.
        pre_NBL.mul_(pre_NBL > (-bias_N1L).clamp(min=0))

    codes = forward

    def penalised(self, codes_NBL: Tensor) -> Tensor:
        """The codes."""
        return codes_NBL

    def learned(self) -> Params:
        """Nothing."""
        return {}

    def back(self, view: View, grad: Tensor, w: Params, g: Params) -> None:
        """The synthetic gradients."""
        if not view.active_only:
            torch.ops.aten.threshold_backward.grad_input(grad, view.codes, 0, grad_input=grad)
        if not self._straight_through:
            view.sums(grad, g["bias"])
            return
        by_bias = grad * view.codes
        if self._hybrid:  # there it is ReLU, whose derivatives need no invention
            plain = view.latents(w["bias"]) > 0
            view.sums(torch.where(plain, grad, by_bias), g["bias"])
            by_bias.masked_fill_(plain.expand_as(by_bias), 0)
        else:
            view.sums(by_bias, g["bias"])
        grad.add_(by_bias)
