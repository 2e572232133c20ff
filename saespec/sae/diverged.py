"""Which cells of a stack stopped being finite, and why. Their neighbours go on, and so do they, to no avail.

Legend: N cells of a stack, P numbers of a parameter.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .pieces import Params

LOOK = 16
"""Steps between two looks."""

INPUT, LOSS = "input", "loss"
"""What was not finite first."""


class Diverged:
    """The step by which each cell's parameters were seen not to be finite."""

    def __init__(self, theta: Params) -> None:
        self._theta = theta
        first = next(iter(theta.values()))
        self.state: Params = {"at": torch.zeros(len(first), dtype=torch.int64, device=first.device)}
        """0 for cells that are finite; part of a snapshot."""

    def look(self, step: int) -> None:
        """Note the cells that are not finite and were at the last look."""
        sums_N = [own_NP.sum(dim=1) for own_NP in self._theta.values()]
        finite_N = torch.stack(sums_N).isfinite().all(dim=0)
        self.state["at"].masked_fill_(~finite_N & (self.state["at"] == 0), step)

    def found(self, batch: Callable[[int], tuple[Tensor, Tensor]]) -> list[dict[str, int | str] | None]:
        """For each cell None, or the step at which it diverged and why, given inputs and targets of batch t."""
        return [self._one(n, at, batch) if at else None for n, at in enumerate(self.state["at"].tolist())]

    def _one(self, n: int, at: int, batch: Callable[[int], tuple[Tensor, Tensor]]) -> dict[str, int | str]:
        for t in range(max(0, at - LOOK), at):
            if not all(part_NBD[n].isfinite().all() for part_NBD in batch(t)):
                return {"at": t + 1, "why": INPUT}
        return {"at": at, "why": LOSS}
