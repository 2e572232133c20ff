"""What an autoencoder makes of a feature alone, by its magnitude: scale consistency (Taggart 2024).

Legend: N cells, B magnitudes, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from saespec.spec.measures import Response

from .columns import Columns
from .trained import Trained


def measure(config: Response, stacks: Sequence[Trained]) -> Columns:
    """A row for each cell, feature and magnitude: the reconstruction of magnitude · direction, along the direction."""
    columns = Columns()
    for trained in stacks:
        magnitude_B = torch.linspace(0, config.up_to, config.points, dtype=torch.float64)
        known = [source.truth.truth_GD for source in trained.sources if source.truth is not None]
        for feature in range(min([config.features, *(len(truth_GD) for truth_GD in known)])):
            direction_ND = torch.stack([truth_GD[feature] for truth_GD in known])
            x_NBD = magnitude_B.to(direction_ND)[None, :, None] * direction_ND[:, None, :]
            made_NBD = trained.coder.decode(trained.params, trained.coder.encode(trained.params, x_NBD))
            along_NB = torch.einsum("nbd,nd->nb", made_NBD.double(), direction_ND.double())
            for n, cell in enumerate(trained.cells):
                columns.add(
                    "response",
                    cell=[cell.id] * config.points,
                    feature=[feature] * config.points,
                    magnitude=magnitude_B.tolist(),
                    reconstructed=along_NB[n].tolist(),
                )
    return columns
