"""The batches of a stack: each cell's input and target, from as few sources as the cells have.

Legend: N cells, S distinct sources among them, B samples, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from saespec.data.source import Source, key, source
from saespec.spec.spec import CellConfig

from .memory import aligned

T = TypeVar("T")


class Sources:
    """The sources on a device: one for each data section and seed, whichever stack asks for it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._shared: dict[str, Shared] = {}

    def of(self, config: CellConfig) -> Shared:
        """The source that a cell's batches come from."""
        name = key(config.data, config.seed)
        if name not in self._shared:
            self._shared[name] = Shared(source(config.data, config.seed, self.device))
        return self._shared[name]


class Shared:
    """A source that keeps the last batch of each part: stacks that train beside each other ask for it in turn."""

    def __init__(self, own: Source) -> None:
        self.source = own
        self._last: dict[str, tuple[tuple[int, int], Any]] = {}

    def batch(self, part: str, t: int, size: int) -> Tensor:
        """Batch t of a part, [size, D]. It is shared: nobody may write into it."""
        return self._once(part, (t, size), lambda: self.source.batch(part, t, size))

    def noise(self, part: str, t: int, size: int, dim: int) -> Tensor:
        """Standard normal noise for the inputs of batch t, [size, dim]. Shared as well."""
        name = f"{part}/input noise"
        return self._once(name, (t, size), lambda: self.source.streams.normal(name, t, size, dim))

    def disturbance(self, part: str, t: int, size: int) -> Tensor | None:
        """What only the inputs of batch t have, [size, D]. Shared as well."""
        return self._once(f"{part}/disturbance", (t, size), lambda: self.source.disturbance(part, t, size))

    def _once(self, name: str, which: tuple[int, int], draw: Callable[[], T]) -> T:
        if name not in self._last or self._last[name][0] != which:
            self._last[name] = which, draw()
        found: T = self._last[name][1]
        return found


class Batches:
    """Batch t of every cell as a function of (cell, part, t). Cells with equal data and seed share it."""

    def __init__(self, configs: list[CellConfig], sources: Sources) -> None:
        self._size = configs[0].train.batch
        self._dim = configs[0].data.dim
        each = [sources.of(config) for config in configs]
        self._shared = list(dict.fromkeys(each))
        self.sources: list[Source] = [shared.source for shared in self._shared]
        self.source_of_cell = [self._shared.index(shared) for shared in each]
        self._index_N = torch.tensor(self.source_of_cell, device=sources.device)
        noise = [config.train.input_noise for config in configs]
        self._noise_N11 = torch.tensor(noise, device=sources.device).view(-1, 1, 1) if any(noise) else None

    def batch(self, part: str, t: int) -> tuple[Tensor, Tensor]:
        """Input and target, [N, B, D] each; the input of a denoising cell has noise of its own s.d."""
        target_NBD = self._per_cell([s.batch(part, t, self._size) for s in self._shared])
        seen_NBD = self._disturbed(part, t, target_NBD)
        if self._noise_N11 is None:
            return seen_NBD, target_NBD
        white = [s.noise(part, t, self._size, self._dim) for s in self._shared]
        x_NBD = aligned(*target_NBD.shape, device=target_NBD.device)
        torch.mul(self._per_cell(white), self._noise_N11, out=x_NBD)
        return x_NBD.add_(seen_NBD), target_NBD

    def _disturbed(self, part: str, t: int, target_NBD: Tensor) -> Tensor:
        """Targets with what the data say that only inputs have."""
        found = [s.disturbance(part, t, self._size) for s in self._shared]
        if all(one is None for one in found):
            return target_NBD
        none_BD = torch.zeros(self._size, self._dim, device=target_NBD.device)
        x_NBD = aligned(*target_NBD.shape, device=target_NBD.device)
        return torch.add(
            target_NBD, self._per_cell([none_BD if one is None else one for one in found]), out=x_NBD
        )

    def _per_cell(self, batches_S: list[Tensor]) -> Tensor:
        if len(batches_S) == 1:
            return batches_S[0].expand(len(self.source_of_cell), -1, -1)
        x_NBD = aligned(len(self.source_of_cell), self._size, self._dim, device=self._index_N.device)
        return torch.index_select(torch.stack(batches_S), 0, self._index_N, out=x_NBD)
