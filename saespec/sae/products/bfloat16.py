"""Dense products of bfloat16 operands. Weights and optimiser stay float32.

A product's operands are rounded to bfloat16 (8 bits of precision), its sums are float32 inside the processor's
instructions, and its result is rounded again; the error, a difference of numbers that are nearly equal once a cell
is trained, is taken in float32.

Legend: N cells of a stack, n of them in a view, B samples, D dimensions, L latents. Names ending in `_b`, codes and
their gradients are bfloat16.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.memory import aligned
from saespec.sae.pieces import Params

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
        return Bfloat16View(self, rows)


class Bfloat16View(DenseView):
    """The products that take some cells' codes."""

    def __init__(self, buffers: Bfloat16, rows: slice | None) -> None:
        super().__init__(buffers.codes_NBL, rows)
        self._buffers = buffers
        self._error_nBD, self._error_nBD_b = self.own(buffers.error_NBD), self.own(buffers.error_NBD_b)
        self._grad_nBL, self._decoder_nLD_b = (
            self.own(buffers.codes_grad_NBL),
            self.own(buffers.decoder_NLD_b),
        )
        self._weight_grad_nLD_b = self.own(buffers.weight_grad_NLD_b)

    def sums(self, values: Tensor, out_NL: Tensor) -> None:
        """Sums over samples."""
        self.own(out_NL).copy_(values.sum(dim=1))

    def error(self, w: Params, target_NBD: Tensor) -> Tensor:
        """Reconstructions minus targets, [n, B, D], float32."""
        decoder_nLD_b = self._decoder_nLD_b.copy_(self.own(w["decoder"]))
        torch.bmm(self.codes, decoder_nLD_b, out=self._error_nBD_b)
        error_nBD = self._error_nBD.copy_(self._error_nBD_b).sub_(self.own(target_NBD))
        return error_nBD.add_(self.own(w["offset"]).unsqueeze(1)) if "offset" in w else error_nBD

    def codes_gradient(self, w: Params, error_nBD: Tensor, constant: Tensor | None) -> Tensor:
        """The error times the decoder's transpose, plus a constant."""
        error_nBD_b, decoder_nDL_b = self._error_nBD_b.copy_(error_nBD), self._decoder_nLD_b.transpose(1, 2)
        if constant is None:
            return torch.bmm(error_nBD_b, decoder_nDL_b, out=self._grad_nBL)
        return torch.baddbmm(constant, error_nBD_b, decoder_nDL_b, out=self._grad_nBL)

    def weight_gradients(self, error_nBD: Tensor, grad: Tensor, x_NBD: Tensor, g: Params) -> None:
        """Write the gradients by encoder, shift and decoder."""
        product_nLD_b, x_nBD_b = self._weight_grad_nLD_b, self.own(self._buffers.input_NBD_b)
        self.own(g["decoder"]).copy_(
            torch.bmm(self.codes.transpose(1, 2), self._error_nBD_b, out=product_nLD_b)
        )
        self.own(g["encoder"]).copy_(torch.bmm(grad.transpose(1, 2), x_nBD_b, out=product_nLD_b))
        if "shift" in g:
            self.sums(grad, g["shift"])
