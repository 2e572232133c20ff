"""Gradients of the ReLU autoencoder's loss, in float32.

Legend: N cells of a stack, B samples, D dimensions, L latents. All tensors float32.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from saespec.spec.spec import CellConfig

from .loss import code_gradient, error_gradient
from .memory import aligned, rows_of


class Gradients:
    """Two products forward, three back, and the buffers of a step, allocated once.

    By hand, because autograd would keep and copy what is used once. Tested against autograd.
    """

    def __init__(self, configs: list[CellConfig], device: torch.device) -> None:
        N, B = len(configs), configs[0].train.batch
        L, D = configs[0].sae.latents, configs[0].data.dim
        self.choice: dict[str, Tensor] = {}
        self.error_gradient_N11 = error_gradient(configs, device)
        self.code_gradient_N11 = code_gradient(configs, device)
        self.codes_NBL = aligned(N, B, L, device=device)
        self.codes_grad_NBL = aligned(N, B, L, device=device)
        self.error_NBD = aligned(N, B, D, device=device)

    def __call__(
        self, params: dict[str, Tensor], grads: dict[str, Tensor], x_NBD: Tensor, target_NBD: Tensor
    ) -> None:
        """Write into `grads` the gradient of each cell's loss at a dictionary of unit length."""
        self.encode(params, x_NBD)
        self.differentiate(params, grads, x_NBD, target_NBD)

    def encode(self, params: dict[str, Tensor], x_NBD: Tensor) -> None:
        """Compute every cell's codes."""
        bias_N1L, encoder = params["bias"].unsqueeze(1), params["encoder"]
        torch.baddbmm(bias_N1L, x_NBD, encoder.transpose(1, 2), out=self.codes_NBL).relu_()

    def differentiate(
        self,
        params: dict[str, Tensor],
        grads: dict[str, Tensor],
        x_NBD: Tensor,
        target_NBD: Tensor,
        rows: slice | None = None,
    ) -> None:
        """Write the gradients of some neighbouring cells, or of all, given all cells' codes."""
        own = partial(rows_of, rows=rows)
        decoder, x_NBD, target_NBD = own(params["decoder"]), own(x_NBD), own(target_NBD)
        codes_NBL, codes_grad_NBL = own(self.codes_NBL), own(self.codes_grad_NBL)
        error_NBD, penalty_N11 = own(self.error_NBD), own(self.code_gradient_N11)
        torch.baddbmm(target_NBD, codes_NBL, decoder, beta=-1, out=error_NBD)
        error_NBD.mul_(own(self.error_gradient_N11))
        torch.baddbmm(penalty_N11, error_NBD, decoder.transpose(1, 2), out=codes_grad_NBL)
        torch.ops.aten.threshold_backward.grad_input(codes_grad_NBL, codes_NBL, 0, grad_input=codes_grad_NBL)
        torch.bmm(codes_NBL.transpose(1, 2), error_NBD, out=own(grads["decoder"]))
        torch.bmm(codes_grad_NBL.transpose(1, 2), x_NBD, out=own(grads["encoder"]))
        torch.sum(codes_grad_NBL, dim=1, out=own(grads["bias"]))
