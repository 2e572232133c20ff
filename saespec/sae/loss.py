"""The conventions of the loss, in numbers."""

from __future__ import annotations

from saespec.spec.spec import CellConfig


def reconstruction_scale(config: CellConfig) -> float:
    """What the squared error, summed over dimensions, is multiplied by: 1/D for `mean`, 1 for `sum`."""
    return 1 / config.data.dim if config.loss.reconstruction == "mean" else 1.0


def l1_scale(config: CellConfig) -> float:
    """What ‖c‖₁ is multiplied by, apart from its coefficient: 1/L for `per: latents`, 1 for `per: sample`."""
    return 1 / config.sae.latents if config.loss.sparsity.per == "latents" else 1.0
