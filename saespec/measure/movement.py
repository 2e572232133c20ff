"""How much dictionaries move while they are trained (the replication on small transformers, June 2023)."""

from __future__ import annotations

from collections.abc import Sequence

from saespec.sae.train import CURVE
from saespec.spec.measures import Movement

from .rows import Rows
from .trained import Trained


def measure(config: Movement, stacks: Sequence[Trained]) -> Rows:
    """1 - cos of each latent between curve points, mean and sum, as training recorded it.

    Fitted dictionaries do not move: they get no value.
    """
    rows = Rows()
    for trained in stacks:
        for cell, curve_RC in zip(trained.cells, trained.curves, strict=True):
            if curve_RC.shape[1] == len(CURVE):
                continue
            steps_R, moved_R = curve_RC[:, 0], curve_RC[:, len(CURVE)]
            rows.add(
                "curves",
                cell=[cell.id] * len(curve_RC),
                step=[int(step) for step in steps_R],
                movement=moved_R.tolist(),
                movement_sum=(moved_R * cell.config.sae.latents).tolist(),
            )
    return rows
