"""Monosemanticity: how much of what activates a latent is one true feature (Jermyn et al. 2022, equation 7).

Legend: G truth features, L latents, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from saespec.spec.measures import Monosemanticity

from .columns import Columns
from .trained import Trained


def measure(config: Monosemanticity, stacks: Sequence[Trained]) -> Columns:
    """The mean over latents of the largest share that a feature alone has in their codes for all features."""
    columns = Columns()
    for trained in stacks:
        for n, (cell, source) in enumerate(zip(trained.cells, trained.sources, strict=True)):
            if (truth := source.truth) is None:
                continue
            own = {name: value[n : n + 1] for name, value in trained.params.items()}
            codes_GL = trained.coder.encode(own, truth.truth_GD[None])[0]
            columns.add("cells", cell=[cell.id], monosemanticity=[mean_share(codes_GL)])
    return columns


def mean_share(codes_GL: Tensor) -> float:
    """Mean over latents of max / sum of their codes; NaN where none is active."""
    codes_GL = codes_GL.double().clamp(min=0)
    total_L = codes_GL.sum(dim=0)
    share_L = codes_GL.amax(dim=0)[total_L > 0] / total_L[total_L > 0]
    return share_L.mean().item()
