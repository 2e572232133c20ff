"""Dense products of bfloat16 operands. Weights and optimiser stay float32.

A product's operands are rounded to bfloat16 (8 bits of precision), its sums are float32 inside the processor's
instructions, and its result is rounded again; the error, a difference of numbers that are nearly equal once a cell
is trained, is taken in float32.

Legend: N cells of a stack, n of them in a view, B samples, D dimensions, L latents of the dictionary, l of them in a
view. Names ending in `_b`, codes and their gradients are bfloat16.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.memory import aligned, alike
from saespec.sae.pieces import Params, PerCell

from .dense import DenseView


class Bfloat16:
    """As `plain.Plain`, step for step, with what is multiplied rounded."""

    dtype = torch.bfloat16

    def __init__(self, B: int, encoder_NLD: Tensor) -> None:
        N, L, D = encoder_NLD.shape
        device = encoder_NLD.device

        def half(*shape: int) -> Tensor:
            return aligned(N, *shape, device=device, dtype=torch.bfloat16)

        self.state: Params = {}
        self.error_NBD = aligned(N, B, D, device=device)
        self.error_NBD_b, self._x_NBD_b = half(B, D), half(B, D)
        self.codes_NBL, self.codes_grad_NBL = half(B, L), half(B, L)
        self._encoder_NLD_b, self.decoder_NLD_b, self.weight_grad_NLD_b = half(L, D), half(L, D), half(L, D)
        self._shift_N1L_b = half(1, L)
        self.input_NBD_b = self._x_NBD_b
        self._all = (self.view(None),)

    def encode(self, x_NBD: Tensor, w: Params) -> Tensor:
        """encoder · x + shift."""
        encoder_NDL_b = self._encoder_NLD_b.copy_(w["encoder"]).transpose(1, 2)
        if x_NBD.stride(0):
            self.input_NBD_b = self._x_NBD_b.copy_(x_NBD)
        else:  # all cells have the same batch
            self._x_NBD_b[0].copy_(x_NBD[0])
            self.input_NBD_b = self._x_NBD_b[:1].expand(x_NBD.shape)
        if "shift" in w:
            shift_N1L_b = self._shift_N1L_b.copy_(w["shift"].unsqueeze(1))
            return torch.baddbmm(shift_N1L_b, self.input_NBD_b, encoder_NDL_b, out=self.codes_NBL)
        return torch.bmm(self.input_NBD_b, encoder_NDL_b, out=self.codes_NBL)

    def views(self) -> tuple[Bfloat16View, ...]:
        """One view of all."""
        return self._all

    def view(self, rows: slice | None) -> Bfloat16View:
        """A view of neighbouring cells, or of all."""
        errors = self.error_NBD, self.error_NBD_b
        return Bfloat16View(self, self.codes_NBL, *errors, self.codes_grad_NBL, rows, None)

    def block(self, latents: slice) -> Bfloat16View:
        """A view of neighbouring latents of all cells, with an error of its own."""
        errors = alike(self.error_NBD), alike(self.error_NBD_b)
        return Bfloat16View(self, self.codes_NBL, *errors, self.codes_grad_NBL, None, latents)

    def beside(self, codes_NBL: Tensor) -> Bfloat16View:
        """A view of other codes of the same latents, with buffers of its own."""
        errors = alike(self.error_NBD), alike(self.error_NBD_b)
        return Bfloat16View(self, codes_NBL, *errors, alike(self.codes_grad_NBL), None, None)


class Bfloat16View(DenseView):
    """The products that take some codes."""

    def __init__(
        self,
        buffers: Bfloat16,
        codes_NBL: Tensor,
        error_NBD: Tensor,
        error_NBD_b: Tensor,
        grad_NBL: Tensor,
        rows: slice | None,
        latents: slice | None,
    ) -> None:
        super().__init__(codes_NBL, rows, latents)
        self._buffers = buffers
        self._error_nBD, self._error_nBD_b = self.own(error_NBD), self.own(error_NBD_b)
        self._grad_nBl = self.columns(self.own(grad_NBL))
        self._decoder_nlD_b = self.own_latents(buffers.decoder_NLD_b)
        self._weight_grad_nlD_b = self.own_latents(buffers.weight_grad_NLD_b)

    def sums(self, values: Tensor, out_NL: Tensor) -> None:
        """Write sums over samples."""
        self.own_latents(out_NL).copy_(values.sum(dim=1))

    def error(self, w: Params, target_NBD: Tensor, scale: PerCell) -> Tensor:
        """Reconstructions minus targets, times a number of each cell, [n, B, D], float32."""
        decoder_nlD_b = self._decoder_nlD_b.copy_(self.own_latents(w["decoder"]))
        torch.bmm(self.codes, decoder_nlD_b, out=self._error_nBD_b)
        error_nBD = self._error_nBD.copy_(self._error_nBD_b).sub_(self.own(target_NBD))
        if "offset" in w:
            error_nBD.add_(self.own(w["offset"]).unsqueeze(1))
        return error_nBD.mul_(self.own(scale.value_N11))

    def codes_gradient(self, w: Params, error_nBD: Tensor, constant: Tensor | None) -> Tensor:
        """The error times the decoder's transpose, plus a constant."""
        error_nBD_b, decoder_nDl_b = self._error_nBD_b.copy_(error_nBD), self._decoder_nlD_b.transpose(1, 2)
        if constant is None:
            return torch.bmm(error_nBD_b, decoder_nDl_b, out=self._grad_nBl)
        return torch.baddbmm(constant, error_nBD_b, decoder_nDl_b, out=self._grad_nBl)

    def decoder_gradient(self, error_nBD: Tensor, g: Params) -> None:
        """Write the gradient by the decoder, of the error that `codes_gradient` was last asked about."""
        product_nlD_b = torch.bmm(self.codes.transpose(1, 2), self._error_nBD_b, out=self._weight_grad_nlD_b)
        self.own_latents(g["decoder"]).copy_(product_nlD_b)

    def encoder_gradient(self, grad: Tensor, x_NBD: Tensor, g: Params) -> None:
        """Write the gradients by encoder and shift, of the input that was last encoded."""
        x_nBD_b = self.own(self._buffers.input_NBD_b)
        product_nlD_b = torch.bmm(grad.transpose(1, 2), x_nBD_b, out=self._weight_grad_nlD_b)
        self.own_latents(g["encoder"]).copy_(product_nlD_b)
        if "shift" in g:
            self.sums(grad, g["shift"])
