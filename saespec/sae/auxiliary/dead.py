"""Dead latents, picked out of a stack: what a second decoding takes, and where what they learn goes.

On a CPU a cell's dead latents are picked out, so that a few of them cost little; a cell is one part, whatever its
neighbours. A captured step's shapes are fixed: on a GPU all latents of all cells are one part, in which the living
count as 0. Either way the products have the parameters' type, however others are rounded.

Legend: N cells of a stack, n of them in a part, B samples, D dimensions, L latents, m of them in a part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Neighbouring cells, and which of their latents."""

    rows: slice
    latents: Tensor | None
    """Which, [m]; None where all are, and the living are masked."""
    dead_n1m: Tensor
    """Which of these are dead."""

    def pick(self, value_NBL: Tensor, dtype: torch.dtype) -> Tensor:
        """What belongs to dead latents, [n, B, m]; 0 for the living."""
        own_nBL = value_NBL[self.rows]
        if self.latents is None:
            return torch.where(self.dead_n1m, own_nBL.to(dtype), 0)
        return own_nBL.index_select(2, self.latents).to(dtype)

    def elements(self, decoder_NLD: Tensor) -> Tensor:
        """Dictionary elements, [n, m, D]."""
        own_nLD = decoder_NLD[self.rows]
        return own_nLD if self.latents is None else own_nLD.index_select(1, self.latents)

    def add(self, own: Tensor, out: Tensor, dim: int) -> None:
        """Add what belongs to these latents, m of them in dimension `dim`, to what belongs to all."""
        if self.latents is None:
            out[self.rows].add_(own)
        else:
            out[self.rows].index_add_(dim, self.latents, own.to(out.dtype))


def parts(dead_NL: Tensor) -> Iterator[Part]:
    """The parts of a stack that have dead latents."""
    if dead_NL.device.type != "cpu":
        yield Part(slice(None), None, dead_NL.unsqueeze(1))
        return
    for n in dead_NL.any(dim=1).nonzero().flatten().tolist():
        latents = dead_NL[n].nonzero().flatten()
        yield Part(slice(n, n + 1), latents, torch.ones(1, 1, len(latents), dtype=torch.bool))
