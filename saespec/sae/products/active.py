"""Where codes are not zero, in the order of samples and in that of latents.

Legend: S cells, B samples, L latents, K codes that are not zero. `_K` in the order of samples, `_KT` in that of
latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

SIGNED = {torch.float64: torch.int64, torch.float32: torch.int32, torch.bfloat16: torch.int16}
"""Integers whose sign is the float's. NumPy compares them ten times faster than torch compares floats."""


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
        code_K = flat_nonzero(positive(codes_SBL))
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


def positive(codes: Tensor) -> NDArray[np.bool_]:
    """Where codes, none of which is negative, are not zero."""
    return bits(codes) > 0


def bits(values: Tensor) -> NDArray[np.signedinteger]:
    """Bits of floats as signed integers, without a copy."""
    found: NDArray[np.signedinteger] = values.view(SIGNED[values.dtype]).numpy()
    return found


def flat_nonzero(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`np.flatnonzero` in half its time where few are true: first words of eight, then their bytes."""
    flat = np.ascontiguousarray(mask).reshape(-1)
    if flat.size % 8:
        return np.flatnonzero(flat)
    words = np.flatnonzero(flat.view(np.int64))
    inside = np.flatnonzero(flat.reshape(-1, 8)[words])
    found: NDArray[np.int64] = words[inside // 8] * 8 + inside % 8
    return found
