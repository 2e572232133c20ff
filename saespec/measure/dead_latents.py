"""Dead latents: those that no sample of a window activates (method 1 of Sharkey et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from saespec.spec.measures import DeadLatents

from .rows import Rows
from .trained import Trained


def measure(config: DeadLatents, stacks: Sequence[Trained]) -> Rows:
    """Latents of each cell that are zero on every sample of `window` held-out batches."""
    rows = Rows()
    for trained in stacks:
        alive_NL = torch.zeros(trained.dictionary_NLD.shape[:2], dtype=torch.bool, device=trained.device)
        for codes_NBL, _ in trained.codes(config.window):
            alive_NL |= (codes_NBL.abs_() > 0).any(dim=1)
        dead_N = (~alive_NL).sum(dim=1).tolist()
        rows.add("cells", cell=[cell.id for cell in trained.cells], dead_latents=dead_N)
    return rows
