"""The conventions of the loss, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from saespec.spec.spec import CellConfig


def reconstruction_scale(config: CellConfig) -> float:
    """What the squared error, summed over dimensions, is multiplied by: 1/D for `mean`, 1 for `sum`."""
    return 1 / config.data.dim if config.loss.reconstruction == "mean" else 1.0


def l1_scale(config: CellConfig) -> float:
    """What ‖c‖₁ is multiplied by, apart from its coefficient: 1/L for `per: latents`, 1 for `per: sample`."""
    return 1 / config.sae.latents if config.loss.sparsity.per == "latents" else 1.0


def error_gradient(configs: Sequence[CellConfig]) -> list[float]:
    """What an error is multiplied by to be the loss's gradient by the reconstruction, for each cell."""
    return [2 * reconstruction_scale(c) / c.train.batch for c in configs]


def code_gradient(configs: Sequence[CellConfig]) -> list[float]:
    """What the penalty's derivative by a code is multiplied by, for each cell."""
    return [c.loss.sparsity.coefficient * l1_scale(c) / c.train.batch for c in configs]
