"""Dead latents: those that no sample of a window activates (method 1 of Sharkey et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from saespec.sae.cosine import mmcs
from saespec.spec.measures import DeadLatents

from .columns import Columns
from .trained import Trained


def measure(config: DeadLatents, stacks: Sequence[Trained]) -> Columns:
    """Latents of each cell that are zero on every sample of `window` held-out batches, and MMCS of the others."""
    columns = Columns()
    for trained in stacks:
        alive_NL = torch.zeros(trained.dictionary_NLD.shape[:2], dtype=torch.bool, device=trained.device)
        for codes_NBL, _ in trained.codes(config.window):
            alive_NL |= (codes_NBL != 0).any(dim=1)
        columns.add(
            "cells",
            cell=[cell.id for cell in trained.cells],
            dead_latents=(~alive_NL).sum(dim=1).tolist(),
            mmcs_alive=[
                mmcs(source.truth.truth_GD, dictionary_LD[alive_L])
                if source.truth is not None and alive_L.any()
                else None
                for source, dictionary_LD, alive_L in zip(
                    trained.sources, trained.dictionary_NLD, alive_NL, strict=True
                )
            ],
        )
    return columns
