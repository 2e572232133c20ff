"""The conventions of the loss, in numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.spec.spec import CellConfig


def reconstruction_scale(config: CellConfig) -> float:
    """What the squared error, summed over dimensions, is multiplied by: 1/D for `mean`, 1 for `sum`."""
    return 1 / config.data.dim if config.loss.reconstruction == "mean" else 1.0


def l1_scale(config: CellConfig) -> float:
    """What ‖c‖₁ is multiplied by, apart from its coefficient: 1/L for `per: latents`, 1 for `per: sample`."""
    return 1 / config.sae.latents if config.loss.sparsity.per == "latents" else 1.0


def error_gradient(configs: list[CellConfig], device: torch.device) -> Tensor:
    """What an error is multiplied by to be the loss's gradient by the reconstruction, [N, 1, 1], float32."""
    return _column([2 * reconstruction_scale(c) / c.train.batch for c in configs], device)


def code_gradient(configs: list[CellConfig], device: torch.device) -> Tensor:
    """The penalty's gradient by a code that is not zero, [N, 1, 1], float32."""
    return _column([c.loss.sparsity.coefficient * l1_scale(c) / c.train.batch for c in configs], device)


def _column(values: list[float], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).float().view(-1, 1, 1).to(device)
