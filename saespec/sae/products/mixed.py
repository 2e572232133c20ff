"""`products: sparse`: sparse products for the cells that have few active codes, dense ones for the others.

Which way a cell goes is decided every `EVERY` steps by the cell's own codes, so that its numbers do not depend on
its neighbours. CPU only: on a GPU the dense products are the faster ones.

Legend: N cells of a stack, B samples, D dimensions, L latents.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.sae.pieces import Params, View

from .active import positive
from .bfloat16 import Bfloat16
from .plain import Plain
from .sparse import SparseView

EVERY = 50
"""Steps between two looks at how many codes are active."""
SHARE = {torch.float32: 0.2, torch.bfloat16: 0.1}
"""Share of active codes under which sparse products of wide vectors are the faster ones."""
FINDING = 64
"""Finding an active code costs about as much as multiplying it with so many numbers."""


class Mixed:
    """Dense products and what decides between them and sparse ones."""

    def __init__(self, dense: Plain | Bfloat16) -> None:
        self._dense = dense
        self.dtype = dense.dtype
        self.codes_NBL = dense.codes_NBL
        self._below = sparse_below(dense.dtype, dense.error_NBD.shape[2])
        N = len(dense.codes_NBL)
        self.state: Params = {"sparse": torch.zeros(N), "steps": torch.zeros(N)}
        """Which cells are sparse (1) and the steps that they have made."""

    def encode(self, x_NBD: Tensor, w: Params) -> Tensor:
        """encoder · x + shift."""
        return self._dense.encode(x_NBD, w)

    def beside(self, codes_NBL: Tensor) -> View:
        """A view of other codes of the same latents, dense."""
        return self._dense.beside(codes_NBL)

    def views(self) -> Iterator[View]:
        """Runs of dense cells, then all sparse ones."""
        sparse_N = self.state["sparse"].numpy() > 0
        for rows in runs(~sparse_N):
            yield self._dense.view(rows)
        if sparse_N.any():
            yield SparseView(self._dense.codes_NBL, np.flatnonzero(sparse_N))
        self.state["steps"] += 1
        if self.state["steps"][0] % EVERY == 0:
            for n, codes_BL in enumerate(positive(self._dense.codes_NBL)):
                self.state["sparse"][n] = float(np.count_nonzero(codes_BL) < self._below * codes_BL.size)


def sparse_below(dtype: torch.dtype, dim: int) -> float:
    """The share of active codes under which a cell goes the sparse way; 0 for narrow vectors.

    Measured on Zen 4, by processor time of one thread: at d=256 the crossing is near 15 % (bfloat16: 8 %), at
    d=64 the dense products are the faster ones at any share.
    """
    return SHARE[dtype] * max(0.0, 1 - FINDING / dim)


def runs(wanted_N: NDArray[np.bool_]) -> list[slice]:
    """Slices that cover what is wanted, each of two rows at least: a single product has other bits."""
    edges = np.flatnonzero(np.diff(wanted_N, prepend=False, append=False)).reshape(-1, 2).tolist()
    return [slice(a, b) if b - a > 1 else slice(max(0, a - 1), max(2, b)) for a, b in edges]
