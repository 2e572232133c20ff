"""`kind: relu`: codes are what is positive of Wx + b.

Legend: N cells of a stack, B samples, L latents.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from saespec.sae.pieces import Params, View


class Relu:
    """max(0, ·)."""

    bias_in_product: ClassVar[bool] = True

    def __init__(self) -> None:
        self.state: Params = {}

    def forward(self, pre_NBL: Tensor, w: Params) -> None:
        """Codes, in place."""
        pre_NBL.relu_()

    codes = forward

    def penalised(self, codes_NBL: Tensor) -> Tensor:
        """The codes."""
        return codes_NBL

    def learned(self) -> Params:
        """Nothing."""
        return {}

    def back(self, view: View, grad: Tensor, w: Params, g: Params) -> None:
        """The gradient where a code is positive, else 0."""
        if not view.active_only:
            torch.ops.aten.threshold_backward.grad_input(grad, view.codes, 0, grad_input=grad)
