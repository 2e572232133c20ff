"""Dense products of what is there, unrounded: two forward, three back, and the buffers of a step, allocated once.

Legend: N cells of a stack, n of them in a view, B samples, D dimensions, L latents of the dictionary, l of them in a
view. All tensors have the parameters' type: float32, or float64 where tests ask for it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.memory import alike
from saespec.sae.pieces import Params, PerCell

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
        return PlainView(self.codes_NBL, self.error_NBD, self.codes_grad_NBL, rows, None)

    def block(self, latents: slice) -> PlainView:
        """A view of neighbouring latents of all cells, with an error of its own."""
        return PlainView(self.codes_NBL, alike(self.error_NBD), self.codes_grad_NBL, None, latents)

    def beside(self, codes_NBL: Tensor) -> PlainView:
        """A view of other codes of the same latents, with buffers of its own."""
        return PlainView(codes_NBL, alike(self.error_NBD), alike(self.codes_grad_NBL), None, None)


class PlainView(DenseView):
    """The products that take some codes."""

    def __init__(
        self,
        codes_NBL: Tensor,
        error_NBD: Tensor,
        grad_NBL: Tensor,
        rows: slice | None,
        latents: slice | None,
    ) -> None:
        super().__init__(codes_NBL, rows, latents)
        self._error_nBD, self._grad_nBl = self.own(error_NBD), self.columns(self.own(grad_NBL))

    def sums(self, values: Tensor, out_NL: Tensor) -> None:
        """Write sums over samples."""
        torch.sum(values, dim=1, out=self.own_latents(out_NL))

    def error(self, w: Params, target_NBD: Tensor, scale: PerCell) -> Tensor:
        """Reconstructions minus targets, times a number of each cell, [n, B, D]."""
        decoder_nlD = self.own_latents(w["decoder"])
        torch.baddbmm(self.own(target_NBD), self.codes, decoder_nlD, beta=-1, out=self._error_nBD)
        if "offset" in w:
            self._error_nBD.add_(self.own(w["offset"]).unsqueeze(1))
        return self._error_nBD.mul_(self.own(scale.value_N11))

    def codes_gradient(self, w: Params, error_nBD: Tensor, constant: Tensor | None) -> Tensor:
        """The error times the decoder's transpose, plus a constant."""
        decoder_nDl = self.own_latents(w["decoder"]).transpose(1, 2)
        if constant is None:
            return torch.bmm(error_nBD, decoder_nDl, out=self._grad_nBl)
        return torch.baddbmm(constant, error_nBD, decoder_nDl, out=self._grad_nBl)

    def decoder_gradient(self, error_nBD: Tensor, g: Params) -> None:
        """Write the gradient by the decoder."""
        torch.bmm(self.codes.transpose(1, 2), error_nBD, out=self.own_latents(g["decoder"]))

    def encoder_gradient(self, grad: Tensor, x_NBD: Tensor, g: Params) -> None:
        """Write the gradients by encoder and shift."""
        torch.bmm(grad.transpose(1, 2), self.own(x_NBD), out=self.own_latents(g["encoder"]))
        if "shift" in g:
            self.sums(grad, g["shift"])
