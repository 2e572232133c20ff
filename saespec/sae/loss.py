"""The loss of a cell, and what its terms' gradients are multiplied by.

Legend: B samples, D dimensions, L latents.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from saespec.spec.spec import CellConfig

from .pieces import Penalty


def error_gradient(configs: Sequence[CellConfig]) -> list[float]:
    """What an error is multiplied by to be the loss's gradient by the reconstruction, for each cell."""
    return [2 * c.loss.reconstruction_scale(c.data.dim) / c.train.batch for c in configs]


def code_gradient(configs: Sequence[CellConfig]) -> list[float]:
    """What the penalty's derivative by a code is multiplied by, for each cell."""
    return [c.loss.coefficient * c.loss.sparsity_scale(c.sae.latents) / c.train.batch for c in configs]


def parts(config: CellConfig, squared_error: Tensor, penalty: Tensor, samples: int) -> Tensor:
    """Loss, its reconstruction part and its penalty without coefficient, [3], float64, from sums over samples."""
    reconstruction = squared_error / samples * config.loss.reconstruction_scale(config.data.dim)
    sparsity = penalty / samples * config.loss.sparsity_scale(config.sae.latents)
    return torch.stack([reconstruction + config.loss.coefficient * sparsity, reconstruction, sparsity])


def on_batch(
    config: CellConfig,
    penalty: Penalty,
    codes_BL: Tensor,
    penalised_BL: Tensor,
    decoder_LD: Tensor,
    error_BD: Tensor,
) -> Tensor:
    """Loss, its two parts, and L0 of one cell on a batch, [4], float64. L0 is NaN where the loss is not finite."""
    squared_error = error_BD.double().square().sum()
    found_3 = parts(config, squared_error, penalty.value(penalised_BL, decoder_LD), len(error_BD))
    l0 = (codes_BL != 0).sum().double() / len(error_BD)
    return torch.cat([found_3, torch.where(found_3[0].isfinite(), l0, torch.nan).view(1)])
