"""Dense products of what is there, unrounded: two forward, three back, and the buffers of a step, allocated once.

Legend: N cells of a stack, n of them in a view, B samples, D dimensions, L latents. All tensors have the
parameters' type: float32, or float64 where tests ask for it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.memory import alike
from saespec.sae.pieces import Params

from .dense import DenseView


class Plain:
    """The products of all cells of a stack."""

    def __init__(self, B: int, encoder_NLD: Tensor) -> None:
        N, L, D = encoder_NLD.shape
        self.dtype = encoder_NLD.dtype
        self.state: Params = {}
        self.codes_NBL, self.codes_grad_NBL = (alike(encoder_NLD, N, B, L) for _ in range(2))
        self.error_NBD = alike(encoder_NLD, N, B, D)
        self._all = (self.view(None),)

    def encode(self, x_NBD: Tensor, w: Params) -> Tensor:
        """encoder · x + shift."""
        encoder_NDL = w["encoder"].transpose(1, 2)
        if "shift" in w:
            return torch.baddbmm(w["shift"].unsqueeze(1), x_NBD, encoder_NDL, out=self.codes_NBL)
        return torch.bmm(x_NBD, encoder_NDL, out=self.codes_NBL)

    def views(self) -> tuple[PlainView, ...]:
        """One view of all."""
        return self._all

    def view(self, rows: slice | None) -> PlainView:
        """A view of neighbouring cells, or of all."""
        return PlainView(self, rows)


class PlainView(DenseView):
    """The products that take some cells' codes."""

    def __init__(self, buffers: Plain, rows: slice | None) -> None:
        super().__init__(buffers.codes_NBL, rows)
        self._error_nBD, self._grad_nBL = self.own(buffers.error_NBD), self.own(buffers.codes_grad_NBL)

    def sums(self, values: Tensor, out_NL: Tensor) -> None:
        """Sums over samples."""
        torch.sum(values, dim=1, out=self.own(out_NL))

    def error(self, w: Params, target_NBD: Tensor) -> Tensor:
        """Reconstructions minus targets, [n, B, D]."""
        target_nBD, decoder_nLD = self.own(target_NBD), self.own(w["decoder"])
        torch.baddbmm(target_nBD, self.codes, decoder_nLD, beta=-1, out=self._error_nBD)
        if "offset" in w:
            self._error_nBD.add_(self.own(w["offset"]).unsqueeze(1))
        return self._error_nBD

    def codes_gradient(self, w: Params, error_nBD: Tensor, constant: Tensor | None) -> Tensor:
        """The error times the decoder's transpose, plus a constant."""
        decoder_nDL = self.own(w["decoder"]).transpose(1, 2)
        if constant is None:
            return torch.bmm(error_nBD, decoder_nDL, out=self._grad_nBL)
        return torch.baddbmm(constant, error_nBD, decoder_nDL, out=self._grad_nBL)

    def weight_gradients(self, error_nBD: Tensor, grad: Tensor, x_NBD: Tensor, g: Params) -> None:
        """Write the gradients by encoder, shift and decoder."""
        torch.bmm(self.codes.transpose(1, 2), error_nBD, out=self.own(g["decoder"]))
        torch.bmm(grad.transpose(1, 2), self.own(x_NBD), out=self.own(g["encoder"]))
        if "shift" in g:
            self.sums(grad, g["shift"])
