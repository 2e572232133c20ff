"""How much dictionaries move while they are trained (the replication on small transformers, June 2023)."""

from __future__ import annotations

from collections.abc import Sequence

from saespec.sae.train import MOVEMENT
from saespec.spec.measures import Movement

from .columns import Columns
from .trained import Trained


def measure(config: Movement, stacks: Sequence[Trained]) -> Columns:
    """1 - cos of each latent between curve points, mean and sum, as training recorded it.

    Fitted dictionaries do not move: they get no value.
    """
    columns = Columns()
    for trained in stacks:
        for cell, curve in zip(trained.cells, trained.curves, strict=True):
            if MOVEMENT not in curve:
                continue
            columns.add(
                "curves",
                cell=[cell.id] * len(curve["step"]),
                step=[int(step) for step in curve["step"]],
                movement=curve[MOVEMENT],
                movement_sum=[moved * cell.config.sae.latents for moved in curve[MOVEMENT]],
            )
    return columns
