"""Alive latents: those that fire more than a few times on a sample (Cunningham et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

from saespec.spec.measures import AliveLatents

from .columns import Columns
from .trained import Trained


def measure(config: AliveLatents, stacks: Sequence[Trained]) -> Columns:
    """Latents of each cell that are not zero on more than `more_than` samples of the held-out batches."""
    columns = Columns()
    for trained in stacks:
        fired_NL = trained.activity(config.batches).fired_NL
        alive_N = (fired_NL > config.more_than).sum(dim=1).tolist()
        columns.add(
            "cells",
            cell=[cell.id for cell in trained.cells],
            alive_latents=alive_N,
            alive_share=[alive / fired_NL.shape[1] for alive in alive_N],
        )
    return columns
