"""`kind: gated`: a gate decides which latents are active, a magnitude how much (Rajamanoharan et al. 2024a).

    π = Wx + b,   c = ReLU(e^r · Wx + m) where π > 0, else 0

The penalty is of ReLU(π), which also reconstructs the target by a decoder that does not learn from it
(`auxiliary.gate`).

Legend: N cells of a stack, B samples, L latents.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from saespec.sae.memory import alike
from saespec.sae.pieces import Params, View


class Gated:
    """Gate and magnitude share the encoder's weights."""

    bias_in_product: ClassVar[bool] = False

    def __init__(self) -> None:
        self.state: Params = {}
        self._projected_NBL = torch.empty(0)
        self.gate_NBL = torch.empty(0)
        """ReLU(π) of the last pass."""
        self.gate_gradient: Tensor | None = None
        """The loss's gradient by ReLU(π); set before the way back."""

    def allocate(self, pre_NBL: Tensor) -> None:
        """Buffers for batches like this one."""
        self._projected_NBL, self.gate_NBL = alike(pre_NBL), alike(pre_NBL)

    def forward(self, pre_NBL: Tensor, w: Params) -> None:
        """Codes, in place."""
        if self.gate_NBL.shape != pre_NBL.shape:
            self.allocate(pre_NBL)
        self._projected_NBL.copy_(pre_NBL)
        torch.add(pre_NBL, _row(w["bias"], pre_NBL), out=self.gate_NBL).relu_()
        pre_NBL.mul_(_row(w["r_mag"], pre_NBL).exp()).add_(_row(w["b_mag"], pre_NBL)).relu_()
        pre_NBL.mul_(self.gate_NBL > 0)

    codes = forward

    def penalised(self, codes_NBL: Tensor) -> Tensor:
        """ReLU(π)."""
        return self.gate_NBL

    def learned(self) -> Params:
        """Nothing."""
        return {}

    def back(self, view: View, grad: Tensor, w: Params, g: Params) -> None:
        """Both ways to the encoder, and the gradients of gate, magnitude and rescaling."""
        assert self.gate_gradient is not None
        gate_grad = self.gate_gradient
        torch.ops.aten.threshold_backward.grad_input(grad, view.codes, 0, grad_input=grad)
        view.sums(grad, g["b_mag"])
        grad.mul_(view.latents(w["r_mag"]).exp())
        view.sums(grad * view.own(self._projected_NBL), g["r_mag"])
        torch.ops.aten.threshold_backward.grad_input(
            gate_grad, view.own(self.gate_NBL), 0, grad_input=gate_grad
        )
        view.sums(gate_grad, g["bias"])
        grad.add_(gate_grad)


def _row(value_NL: Tensor, like: Tensor) -> Tensor:
    return value_NL.unsqueeze(1).to(like.dtype)
