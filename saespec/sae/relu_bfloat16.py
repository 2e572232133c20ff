"""Gradients of the ReLU autoencoder's loss, with products of bfloat16 operands.

Weights and optimiser stay float32. A product's operands are rounded to bfloat16 (8 bits of precision), its sums
are float32 inside the processor's instructions, and its result is rounded again; the error, a difference of
numbers that are nearly equal once a cell is trained, is taken in float32.

Legend: N cells of a stack, B samples, D dimensions, L latents. Names ending in `_b`, and codes, are bfloat16.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from saespec.spec.spec import CellConfig

from .loss import code_gradient, error_gradient
from .memory import aligned, rows_of


class Gradients:
    """As `relu_float32.Gradients`, step for step, with what is multiplied rounded to bfloat16."""

    def __init__(self, configs: list[CellConfig], device: torch.device) -> None:
        N, B = len(configs), configs[0].train.batch
        L, D = configs[0].sae.latents, configs[0].data.dim

        def half(*shape: int) -> Tensor:
            return aligned(N, *shape, device=device, dtype=torch.bfloat16)

        self.choice: dict[str, Tensor] = {}
        self.error_gradient_N11 = error_gradient(configs, device)
        self.code_gradient_N11_b = code_gradient(configs, device).bfloat16()
        self.error_NBD = aligned(N, B, D, device=device)
        self.error_NBD_b, self.x_NBD_b = half(B, D), half(B, D)
        self.codes_NBL, self.codes_grad_NBL_b = half(B, L), half(B, L)
        self.encoder_NLD_b, self.decoder_NLD_b, self.weight_grad_NLD_b = half(L, D), half(L, D), half(L, D)
        self.bias_N1L_b = half(1, L)
        self._input_b = self.x_NBD_b

    def __call__(
        self, params: dict[str, Tensor], grads: dict[str, Tensor], x_NBD: Tensor, target_NBD: Tensor
    ) -> None:
        """Write into `grads` the gradient of each cell's loss at a dictionary of unit length."""
        self.encode(params, x_NBD)
        self.differentiate(params, grads, x_NBD, target_NBD)

    def encode(self, params: dict[str, Tensor], x_NBD: Tensor) -> None:
        """Compute every cell's codes."""
        encoder_b = self.encoder_NLD_b.copy_(params["encoder"])
        bias_b = self.bias_N1L_b.copy_(params["bias"].unsqueeze(1))
        if x_NBD.stride(0):
            self._input_b = self.x_NBD_b.copy_(x_NBD)
        else:  # all cells have the same batch
            self.x_NBD_b[0].copy_(x_NBD[0])
            self._input_b = self.x_NBD_b[:1].expand(x_NBD.shape)
        torch.baddbmm(bias_b, self._input_b, encoder_b.transpose(1, 2), out=self.codes_NBL).relu_()

    def differentiate(
        self,
        params: dict[str, Tensor],
        grads: dict[str, Tensor],
        x_NBD: Tensor,
        target_NBD: Tensor,
        rows: slice | None = None,
    ) -> None:
        """Write the gradients of some neighbouring cells, or of all, given all cells' codes of the input `x_NBD`."""
        own = partial(rows_of, rows=rows)
        codes_b, codes_grad_b, x_b = own(self.codes_NBL), own(self.codes_grad_NBL_b), own(self._input_b)
        error_NBD, error_b, weight_grad_b = (
            own(t) for t in (self.error_NBD, self.error_NBD_b, self.weight_grad_NLD_b)
        )
        decoder_b = own(self.decoder_NLD_b).copy_(own(params["decoder"]))
        torch.bmm(codes_b, decoder_b, out=error_b)
        error_NBD.copy_(error_b).sub_(own(target_NBD)).mul_(own(self.error_gradient_N11))
        error_b.copy_(error_NBD)
        torch.baddbmm(own(self.code_gradient_N11_b), error_b, decoder_b.transpose(1, 2), out=codes_grad_b)
        torch.ops.aten.threshold_backward.grad_input(codes_grad_b, codes_b, 0, grad_input=codes_grad_b)
        own(grads["decoder"]).copy_(torch.bmm(codes_b.transpose(1, 2), error_b, out=weight_grad_b))
        own(grads["encoder"]).copy_(torch.bmm(codes_grad_b.transpose(1, 2), x_b, out=weight_grad_b))
        own(grads["bias"]).copy_(codes_grad_b.sum(dim=1))
