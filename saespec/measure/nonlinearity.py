"""A nonlinearity and its gradients over a grid of what it takes, by the code that trains.

Legend: M values of m and as many of b; the grid is a dictionary of M latents with a bias each, of one dimension.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from saespec.plan.model import Cell
from saespec.sae.assembly import activation
from saespec.sae.memory import aligned
from saespec.sae.products.plain import Plain
from saespec.spec.measures import Nonlinearity

from .columns import Columns
from .trained import Trained

_OF_ONE_LATENT = ("relu", "prolu")
"""Kinds whose code depends on its own m and b alone."""


def measure(config: Nonlinearity, stacks: Sequence[Trained]) -> Columns:
    """A row for each cell, m and b; none for kinds whose code depends on other latents, samples or parameters."""
    columns = Columns()
    for cell in (cell for trained in stacks for cell in trained.cells):
        if cell.config.sae.kind not in _OF_ONE_LATENT:
            continue
        grid_M = torch.linspace(-config.up_to, config.up_to, config.points)
        for pre in grid_M.tolist():
            code_M, by_pre_M, by_bias_M = gradients(cell, pre, grid_M)
            columns.add(
                "nonlinearity",
                cell=[cell.id] * config.points,
                pre=[round(pre, 6)] * config.points,
                bias=[round(bias, 6) for bias in grid_M.tolist()],
                code=code_M.tolist(),
                by_pre=by_pre_M.tolist(),
                by_bias=by_bias_M.tolist(),
            )
    return columns


def gradients(cell: Cell, pre: float, bias_M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Codes of one m at each b, [M], and what an upstream gradient of 1 becomes by m and by b."""
    cpu, latents = torch.device("cpu"), len(bias_M)
    piece = activation(cell.config, 1, cpu)
    products = Plain(1, aligned(1, latents, 1, device=cpu))
    (view,) = products.views()
    w, g = {"bias": bias_M[None]}, {"bias": torch.zeros(1, latents)}
    products.codes_NBL.fill_(pre)
    if piece.bias_in_product:
        products.codes_NBL.add_(bias_M)
    piece.forward(products.codes_NBL, w)
    grad_1BL = torch.ones(1, 1, latents)
    piece.back(view, grad_1BL, w, g)
    by_pre_M = grad_1BL[0, 0]
    return products.codes_NBL[0, 0], by_pre_M, by_pre_M if piece.bias_in_product else g["bias"][0]
