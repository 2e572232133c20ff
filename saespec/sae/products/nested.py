"""`loss.prefixes`: nested dictionaries that each reconstruct alone (Matryoshka; Bussmann et al. 2025).

With blocks of latents 0, 1, …, each but the first as large as all before it, dictionary i is blocks 0 to i. Its error
E_i is that of dictionary i - 1 plus what block i decodes to, and a code of block j takes part in dictionaries j and
above: its gradient is that of the mean of E_i over all, summed over i ≥ j. So the products are as many, and as large,
as without.

Legend: N cells of a stack, B samples, D dimensions, L latents, P nested dictionaries.
"""

from __future__ import annotations

from torch import Tensor

from saespec.sae.memory import alike
from saespec.sae.pieces import Params, PerCell

from .bfloat16 import Bfloat16, Bfloat16View
from .dense import DenseView
from .plain import Plain, PlainView


class Nested:
    """Dense products, block by block."""

    def __init__(self, dense: Plain | Bfloat16, prefixes: int) -> None:
        self._dense = dense
        self.dtype = dense.dtype
        self.codes_NBL = dense.codes_NBL
        self.state: Params = {}
        self._all = (NestedView(dense, dense.codes_NBL, prefixes),)

    def encode(self, x_NBD: Tensor, w: Params) -> Tensor:
        """encoder · x + shift."""
        return self._dense.encode(x_NBD, w)

    def views(self) -> tuple[NestedView, ...]:
        """One view of all."""
        return self._all

    def beside(self, codes_NBL: Tensor) -> PlainView | Bfloat16View:
        """A view of other codes, which reconstruct as one dictionary."""
        return self._dense.beside(codes_NBL)


class NestedView(DenseView):
    """The products that take the codes, block by block."""

    def __init__(self, dense: Plain | Bfloat16, codes_NBL: Tensor, prefixes: int) -> None:
        super().__init__(codes_NBL, None, None)
        self._whole = dense.view(None)
        self._grad_NBL = dense.codes_grad_NBL
        latents = codes_NBL.shape[2]
        ends = [latents // 2 ** (prefixes - 1 - i) for i in range(prefixes)]
        self._blocks = [dense.block(slice(a, b)) for a, b in zip([0, *ends], ends, strict=False)]
        self._errors_PNBD: list[Tensor] = []
        self._whole_NBD = alike(dense.error_NBD)
        self._one = PerCell([1.0] * len(codes_NBL), codes_NBL.device, dense.error_NBD.dtype)

    def sums(self, values: Tensor, out_NL: Tensor) -> None:
        """Write sums over samples."""
        self._whole.sums(values, out_NL)

    def error(self, w: Params, target_NBD: Tensor, scale: PerCell) -> Tensor:
        """The largest dictionary's reconstructions minus targets, times a number of each cell."""
        errors_PNBD = [self._blocks[0].error(w, target_NBD, self._one)]
        alone = {"decoder": w["decoder"]}
        for block in self._blocks[1:]:
            errors_PNBD.append(block.error(alone, errors_PNBD[-1].neg(), self._one))
        for error_NBD in errors_PNBD:
            error_NBD.mul_(scale.value_N11)
        self._errors_PNBD = errors_PNBD
        self._whole_NBD.copy_(self._errors_PNBD[-1])
        # From here on: the gradient that block j's reconstruction gets.
        for smaller, larger in zip(self._errors_PNBD[-2::-1], self._errors_PNBD[:0:-1], strict=True):
            smaller.add_(larger)
        for error_NBD in self._errors_PNBD:
            error_NBD.div_(len(self._blocks))
        return self._whole_NBD

    def codes_gradient(self, w: Params, error_nBD: Tensor, constant: Tensor | None) -> Tensor:
        """Each block's own error times its part of the decoder, plus a constant."""
        for block, error_NBD in zip(self._blocks, self._errors_PNBD, strict=True):
            own = constant if constant is None or constant.shape[2] == 1 else block.columns(constant)
            block.codes_gradient(w, error_NBD, own)
        return self._grad_NBL

    def decoder_gradient(self, error_nBD: Tensor, g: Params) -> None:
        """Write the gradient by the decoder."""
        for block, error_NBD in zip(self._blocks, self._errors_PNBD, strict=True):
            block.decoder_gradient(error_NBD, g)

    def encoder_gradient(self, grad: Tensor, x_NBD: Tensor, g: Params) -> None:
        """Write the gradients by encoder and shift."""
        self._whole.encoder_gradient(grad, x_NBD, g)

    def offset_gradient(self, error_nBD: Tensor, g: Params) -> None:
        """Write the gradient by the offset, which all dictionaries have."""
        super().offset_gradient(self._errors_PNBD[0], g)
