"""`kind: jumprelu`: c = z where z = Wx + b exceeds its latent's threshold θ, else 0 (Rajamanoharan et al. 2024b).

θ = e^t for the trained t, so that it stays positive. Its derivatives are synthetic, by a rectangle of width ε around
θ: that of the codes -θ/ε, that of their number -1/ε, for z within ε/2 of θ.

Legend: N cells of a stack, n of them in a view, B samples, L latents.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from saespec.sae.pieces import Params, PerCell, View


class JumpRelu:
    """JumpReLU and, where codes are penalised by their number, the gradient of that."""

    bias_in_product: ClassVar[bool] = True

    def __init__(self, bandwidth: float, counted: PerCell | None) -> None:
        self.state: Params = {}
        self._bandwidth = bandwidth
        self._counted = counted
        self._near_NBL: Tensor | None = None

    def forward(self, pre_NBL: Tensor, w: Params) -> None:
        """Codes, in place; what lies near a threshold is kept for the way back."""
        threshold_N1L = _threshold(w, pre_NBL)
        self._near_NBL = (pre_NBL - threshold_N1L).abs_() < self._bandwidth / 2
        pre_NBL.mul_(pre_NBL > threshold_N1L)

    def codes(self, pre_NBL: Tensor, w: Params) -> None:
        """Codes, in place."""
        pre_NBL.mul_(pre_NBL > _threshold(w, pre_NBL))

    def penalised(self, codes_NBL: Tensor) -> Tensor:
        """The codes."""
        return codes_NBL

    def learned(self) -> Params:
        """Nothing."""
        return {}

    def back(self, view: View, grad: Tensor, w: Params, g: Params) -> None:
        """The gradient where a code is positive; thresholds learn from what is near them."""
        assert self._near_NBL is not None
        threshold = view.latents(w["log_threshold"]).exp()
        by_threshold = grad * threshold
        if self._counted is not None:
            by_threshold += view.cells(self._counted)
        by_threshold *= view.own(self._near_NBL)
        view.sums(by_threshold.mul_(threshold).mul_(-1 / self._bandwidth), g["log_threshold"])
        torch.ops.aten.threshold_backward.grad_input(grad, view.codes, 0, grad_input=grad)


def _threshold(w: Params, pre_NBL: Tensor) -> Tensor:
    return w["log_threshold"].exp().unsqueeze(1).to(pre_NBL.dtype)
