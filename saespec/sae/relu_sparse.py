"""Gradients of the ReLU autoencoder's loss that multiply no zeros, where a cell has few active latents.

Only the encoder's product must be dense. The other four take the K codes that are not zero: the reconstruction
and both weight gradients are sums of weighted rows (`embedding_bag`), and the codes' gradient is K dot products
(`sampled_addmm`). They run in float32 at every precision of the dense products.

Whether a cell goes that way is decided every `EVERY` steps by the cell's own codes, so that its numbers do not
depend on its neighbours. CPU only: on a GPU the dense products are the faster ones.

Legend: N cells of a stack, S of them sparse, B samples, D dimensions, L latents, K active codes of the sparse
cells. float32 unless said otherwise; `_K` in the order of samples, `_KT` in the order of latents.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import embedding_bag

from saespec.spec.spec import CellConfig

from . import relu_bfloat16, relu_float32
from .loss import code_gradient, error_gradient

EVERY = 50
"""Steps between two looks at how many codes are active."""
SHARE = {"float32": 0.2, "bfloat16": 0.1}
"""Share of active codes under which sparse products of wide vectors are the faster ones."""
FINDING = 64
"""Finding an active code costs about as much as multiplying it with so many numbers."""

SIGNED = {torch.float32: torch.int32, torch.bfloat16: torch.int16}
"""Integers whose sign is the float's. NumPy compares them ten times faster than torch compares floats."""


class Gradients:
    """The dense gradients for some cells and the sparse ones for the others."""

    def __init__(
        self,
        configs: list[CellConfig],
        device: torch.device,
        dense: relu_float32.Gradients | relu_bfloat16.Gradients,
    ) -> None:
        self._dense = dense
        self._below = sparse_below(configs[0])
        self._error_gradient_N11 = error_gradient(configs, device)
        self._code_gradient_N = code_gradient(configs, device).flatten()
        self.choice = {"sparse": torch.zeros(len(configs)), "steps": torch.zeros(len(configs))}
        """Which cells are sparse (1) and the steps that they have made; part of a snapshot."""

    def __call__(
        self, params: dict[str, Tensor], grads: dict[str, Tensor], x_NBD: Tensor, target_NBD: Tensor
    ) -> None:
        """Write into `grads` the gradient of each cell's loss at a dictionary of unit length."""
        self._dense.encode(params, x_NBD)
        sparse_N = self.choice["sparse"].numpy() > 0
        for rows in runs(~sparse_N):
            self._dense.differentiate(params, grads, x_NBD, target_NBD, rows)
        if sparse_N.any():
            self._differentiate(params, grads, x_NBD, target_NBD, np.flatnonzero(sparse_N))
        self.choice["steps"] += 1
        if self.choice["steps"][0] % EVERY == 0:
            for n, codes_BL in enumerate(_positive(self._dense.codes_NBL)):
                self.choice["sparse"][n] = float(np.count_nonzero(codes_BL) < self._below * codes_BL.size)

    def _differentiate(
        self,
        params: dict[str, Tensor],
        grads: dict[str, Tensor],
        x_NBD: Tensor,
        target_NBD: Tensor,
        rows_S: NDArray[np.int64],
    ) -> None:
        _, B, D = x_NBD.shape
        rows = torch.from_numpy(rows_S)
        codes_SBL = self._dense.codes_NBL[_slice(rows_S)]
        active = Active.of(codes_SBL)
        decoder = params["decoder"][_slice(rows_S)].reshape(-1, D)
        codes_K = codes_SBL.reshape(-1)[active.code_K].float()

        error = _weighted_sums(decoder, active.latent_K, active.sample_offsets, codes_K)
        error_SBD = error.view(-1, B, D).sub_(target_NBD[_slice(rows_S)])
        error = error_SBD.mul_(self._error_gradient_N11[rows]).view(-1, D)
        codes_grad_K = _dot_products(error, decoder, active)
        codes_grad_K += self._code_gradient_N[rows].repeat_interleave(active.per_cell_S)

        x, sample_KT = x_NBD[_slice(rows_S)].reshape(-1, D), active.sample_KT
        if not x_NBD.stride(0):  # all cells have the same batch: one copy of it stays in the cache
            x, sample_KT = x_NBD[0], sample_KT % B
        codes_KT, codes_grad_KT = codes_K[active.order_KT], codes_grad_K[active.order_KT]
        found = {
            "decoder": _weighted_sums(error, active.sample_KT, active.latent_offsets, codes_KT),
            "encoder": _weighted_sums(x, sample_KT, active.latent_offsets, codes_grad_KT),
            "bias": torch.zeros(len(decoder)).index_add_(0, active.latent_K, codes_grad_K),
        }
        for name, value in found.items():
            grads[name][_slice(rows_S)] = value.view(len(rows_S), *grads[name].shape[1:])


def sparse_below(config: CellConfig) -> float:
    """The share of active codes under which a cell goes the sparse way; 0 for narrow vectors.

    Measured on Zen 4, by processor time of one thread: at d=256 the crossing is near 15 % (bfloat16: 8 %), at
    d=64 the dense products are the faster ones at any share.
    """
    return SHARE[config.train.precision] * max(0.0, 1 - FINDING / config.data.dim)


@dataclass(frozen=True)
class Active:
    """Where codes [S, B, L] are positive. Samples are numbered over all S·B, latents over all S·L."""

    code_K: Tensor
    """Place in the flattened codes."""
    latent_K: Tensor
    sample_offsets: Tensor
    """Where each sample's codes begin, and the end, [S·B + 1]."""
    order_KT: Tensor
    """Place in the order of samples of what comes next in the order of latents."""
    sample_KT: Tensor
    latent_offsets: Tensor
    per_cell_S: Tensor

    @classmethod
    def of(cls, codes_SBL: Tensor) -> Active:
        """Find them."""
        S, B, L = codes_SBL.shape
        code_K = flat_nonzero(_positive(codes_SBL))
        sample_offsets = np.searchsorted(code_K, np.arange(0, S * B * L + 1, L))
        sample_K = code_K // L
        latent_K = code_K - (sample_K - sample_K // B) * L
        by_sample = csr_array(
            (np.arange(len(code_K), dtype=np.int64), latent_K, sample_offsets), shape=(S * B, S * L)
        )
        by_latent = by_sample.tocsc()
        return cls(
            code_K=torch.from_numpy(code_K),
            latent_K=torch.from_numpy(latent_K),
            sample_offsets=torch.from_numpy(sample_offsets),
            order_KT=torch.from_numpy(by_latent.data),
            sample_KT=torch.from_numpy(by_latent.indices.astype(np.int64)),
            latent_offsets=torch.from_numpy(by_latent.indptr.astype(np.int64)),
            per_cell_S=torch.from_numpy(np.diff(sample_offsets[::B])),
        )


def flat_nonzero(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`np.flatnonzero` in half its time where few are true: first words of eight, then their bytes."""
    flat = np.ascontiguousarray(mask).reshape(-1)
    if flat.size % 8:
        return np.flatnonzero(flat)
    words = np.flatnonzero(flat.view(np.int64))
    inside = np.flatnonzero(flat.reshape(-1, 8)[words])
    found: NDArray[np.int64] = words[inside // 8] * 8 + inside % 8
    return found


def runs(wanted_N: NDArray[np.bool_]) -> list[slice]:
    """Slices that cover what is wanted, each of two rows at least: a single product has other bits."""
    edges = np.flatnonzero(np.diff(wanted_N, prepend=False, append=False)).reshape(-1, 2).tolist()
    return [slice(a, b) if b - a > 1 else slice(max(0, a - 1), max(2, b)) for a, b in edges]


def _slice(rows_S: NDArray[np.int64]) -> slice | Tensor:
    """Rows as a slice where they are neighbours, which needs no copy."""
    first, last = int(rows_S[0]), int(rows_S[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows_S) else torch.from_numpy(rows_S)


def _positive(codes: Tensor) -> NDArray[np.bool_]:
    return codes.view(SIGNED[codes.dtype]).numpy() > 0


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
