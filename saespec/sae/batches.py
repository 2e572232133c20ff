"""The batches of a stack: each cell's input and target, from as few sources as the cells have.

Legend: N cells, S distinct sources among them, B samples, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.data.source import Source, key, source
from saespec.spec.spec import CellConfig

from .memory import aligned


class Batches:
    """Batch t of every cell as a function of (cell, part, t). Cells with equal data and seed share it."""

    def __init__(self, configs: list[CellConfig], device: torch.device) -> None:
        self._size = configs[0].train.batch
        self._dim = configs[0].data.dim
        keys = [key(config.data, config.seed) for config in configs]
        first = {k: n for n, k in reversed(list(enumerate(keys)))}
        distinct = sorted(first.values())
        self.sources: list[Source] = [source(configs[n].data, configs[n].seed, device) for n in distinct]
        self.source_of_cell = [distinct.index(first[k]) for k in keys]
        self._index_N = torch.tensor(self.source_of_cell, device=device)
        noise = [config.train.input_noise for config in configs]
        self._noise_N11 = torch.tensor(noise, device=device).view(-1, 1, 1) if any(noise) else None

    def batch(self, part: str, t: int) -> tuple[Tensor, Tensor]:
        """Input and target, [N, B, D] each; the input of a denoising cell has noise of its own s.d."""
        target_NBD = self._per_cell([s.batch(part, t, self._size) for s in self.sources])
        if self._noise_N11 is None:
            return target_NBD, target_NBD
        white = [s.streams.normal(f"{part}/input noise", t, self._size, self._dim) for s in self.sources]
        x_NBD = aligned(*target_NBD.shape, device=target_NBD.device)
        torch.mul(self._per_cell(white), self._noise_N11, out=x_NBD)
        return x_NBD.add_(target_NBD), target_NBD

    def _per_cell(self, batches_S: list[Tensor]) -> Tensor:
        if len(batches_S) == 1:
            return batches_S[0].expand(len(self.source_of_cell), -1, -1)
        x_NBD = aligned(len(self.source_of_cell), self._size, self._dim, device=self._index_N.device)
        return torch.index_select(torch.stack(batches_S), 0, self._index_N, out=x_NBD)
