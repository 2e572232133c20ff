"""Products that multiply no zeros, for cells of which few latents are active. CPU only.

Only the encoder's product must be dense. The other four take the K codes that are not zero: the reconstruction
and both weight gradients are sums of weighted rows (`embedding_bag`), and the codes' gradient is K dot products
(`sampled_addmm`). They run in float32 at every precision of the dense products.

Legend: N cells of a stack, S of them in a view, B samples, D dimensions, L latents, K active codes. float32 unless
said otherwise; `_K` in the order of samples, `_KT` in the order of latents.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from saespec.sae.pieces import Params, PerCell

from .active import Active


class SparseView:
    """The active codes of some cells, [K], in the order of samples."""

    active_only = True

    def __init__(self, codes_NBL: Tensor, rows_S: NDArray[np.int64]) -> None:
        self._rows = _slice(rows_S)
        self._cells = len(rows_S)
        codes_SBL = codes_NBL[self._rows]
        self._active = Active.of(codes_SBL)
        self.codes = codes_SBL.reshape(-1)[self._active.code_K].float()

    def own(self, value: Tensor) -> Tensor:
        """The rows of the view's cells."""
        return value[self._rows]

    def cells(self, number: PerCell) -> Tensor:
        """A number of each code's cell, [K]."""
        return self.own(number.value_N).repeat_interleave(self._active.per_cell_S)

    def latents(self, value_NL: Tensor) -> Tensor:
        """A number of each code's latent, [K]."""
        return self.own(value_NL).reshape(-1)[self._active.latent_K]

    def sums(self, values: Tensor, out_NL: Tensor) -> None:
        """Sums over samples."""
        found = torch.zeros(self._cells * out_NL.shape[1]).index_add_(0, self._active.latent_K, values)
        out_NL[self._rows] = found.view(self._cells, -1)

    def sample_sums(self, values: Tensor) -> Tensor:
        """Sums over the latents of each code's sample, [K]."""
        per_sample = self._active.sample_offsets.diff()
        sample_K = torch.arange(len(per_sample)).repeat_interleave(per_sample)
        return torch.zeros(len(per_sample)).index_add_(0, sample_K, values)[sample_K]

    def error(self, w: Params, target_NBD: Tensor, scale: PerCell) -> Tensor:
        """Reconstructions minus targets, times a number of each cell, [S, B, D]."""
        _, B, D = target_NBD.shape
        decoder = self.own(w["decoder"]).reshape(-1, D)
        found = _weighted_sums(decoder, self._active.latent_K, self._active.sample_offsets, self.codes)
        error_SBD = found.view(-1, B, D).sub_(self.own(target_NBD))
        if "offset" in w:
            error_SBD.add_(self.own(w["offset"]).unsqueeze(1))
        return error_SBD.mul_(self.own(scale.value_N11))

    def codes_gradient(self, w: Params, error_nBD: Tensor, constant: Tensor | None) -> Tensor:
        """The dot products of errors and decoder rows, plus a constant."""
        D = error_nBD.shape[2]
        grad_K = _dot_products(error_nBD.view(-1, D), self.own(w["decoder"]).reshape(-1, D), self._active)
        return grad_K if constant is None else grad_K.add_(constant)

    def decoder_gradient(self, error_nBD: Tensor, g: Params) -> None:
        """Write the gradient by the decoder."""
        D, active = error_nBD.shape[2], self._active
        codes_KT = self.codes[active.order_KT]
        found = _weighted_sums(error_nBD.view(-1, D), active.sample_KT, active.latent_offsets, codes_KT)
        g["decoder"][self._rows] = found.view(self._cells, -1, D)

    def encoder_gradient(self, grad: Tensor, x_NBD: Tensor, g: Params) -> None:
        """Write the gradients by encoder and shift."""
        _, B, D = x_NBD.shape
        active = self._active
        x, sample_KT = self.own(x_NBD).reshape(-1, D), active.sample_KT
        if not x_NBD.stride(0):  # all cells have the same batch: one copy of it stays in the cache
            x, sample_KT = x_NBD[0], sample_KT % B
        found = _weighted_sums(x, sample_KT, active.latent_offsets, grad[active.order_KT])
        g["encoder"][self._rows] = found.view(self._cells, -1, D)
        if "shift" in g:
            self.sums(grad, g["shift"])

    def offset_gradient(self, error_nBD: Tensor, g: Params) -> None:
        """Write the gradient by the reconstruction's offset, if there is one."""
        if "offset" in g:
            g["offset"][self._rows] = error_nBD.sum(dim=1)


def _slice(rows_S: NDArray[np.int64]) -> slice | Tensor:
    """Rows as a slice where they are neighbours, which needs no copy."""
    first, last = int(rows_S[0]), int(rows_S[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows_S) else torch.from_numpy(rows_S)


def _weighted_sums(table: Tensor, row_K: Tensor, offsets: Tensor, weight_K: Tensor) -> Tensor:
    """For each pair of neighbouring offsets the sum of the weighted rows of the table between them."""
    return embedding_bag(
        row_K, table, offsets, mode="sum", per_sample_weights=weight_K, include_last_offset=True
    )


def _dot_products(error: Tensor, decoder: Tensor, active: Active) -> Tensor:
    """The dot product of sample and latent for each active code, [K]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says that its sparse tensors are new
        pattern = torch.sparse_csr_tensor(
            active.sample_offsets,
            active.latent_K,
            torch.zeros(len(active.latent_K)),
            size=(len(error), len(decoder)),
            check_invariants=False,
        )
        found: Tensor = torch.sparse.sampled_addmm(pattern, error, decoder.t(), beta=0.0).values()
    return found
