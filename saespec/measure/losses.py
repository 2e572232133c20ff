"""Losses, sparsity and explained variance on held-out data."""

from __future__ import annotations

from collections.abc import Sequence

from saespec.sae.loss import l1_scale, reconstruction_scale
from saespec.spec.measures import Losses

from .rows import Rows
from .trained import Trained


def measure(config: Losses, stacks: Sequence[Trained]) -> Rows:
    """Reconstruction and L1 loss as the cell's loss counts them, L0, and fraction of variance unexplained.

    FVU = Σ‖x − x̂‖² / Σ‖x − mean x‖² (Cunningham et al. 2023). Inputs are made as in training, input noise
    included.
    """
    rows = Rows()
    for trained in stacks:
        activity = trained.activity(config.batches)
        for n, cell in enumerate(trained.cells):
            squared_error = float(activity.squared_error_N[n])
            reconstruction = squared_error / activity.samples * reconstruction_scale(cell.config)
            l1 = float(activity.l1_N[n]) / activity.samples * l1_scale(cell.config)
            rows.add(
                "cells",
                cell=[cell.id],
                reconstruction_loss=[reconstruction],
                l1_loss=[l1],
                loss=[reconstruction + cell.config.loss.sparsity.coefficient * l1],
                l0=[float(activity.fired_NL[n].sum()) / activity.samples],
                fvu=[squared_error / variance if (variance := float(activity.variance_N[n])) else None],
            )
    return rows
