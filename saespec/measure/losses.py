"""Losses, sparsity and explained variance on held-out data."""

from __future__ import annotations

from collections.abc import Sequence

from saespec.sae.loss import parts
from saespec.spec.measures import Losses

from .columns import Columns
from .trained import Trained


def measure(config: Losses, stacks: Sequence[Trained]) -> Columns:
    """Reconstruction loss and penalty as the cell's loss counts them, L0, and fraction of variance unexplained.

    FVU = Σ‖x − x̂‖² / Σ‖x − mean x‖² (Cunningham et al. 2023). Inputs are made as in training, input noise
    included.
    """
    columns = Columns()
    for trained in stacks:
        activity = trained.activity(config.batches)
        for n, cell in enumerate(trained.cells):
            squared_error = activity.squared_error_N[n]
            found_3 = parts(cell.config, squared_error, activity.penalty_N[n], activity.samples).tolist()
            variance = float(activity.variance_N[n])
            columns.add(
                "cells",
                cell=[cell.id],
                loss=[found_3[0]],
                reconstruction_loss=[found_3[1]],
                sparsity_loss=[found_3[2]],
                l0=[
                    float(activity.fired_NL[n].sum()) / activity.samples if squared_error.isfinite() else None
                ],
                fvu=[float(squared_error) / variance if variance else None],
            )
    return columns
