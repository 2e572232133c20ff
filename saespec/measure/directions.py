"""Dictionary elements and true features by their coordinates, to be drawn as arrows.

Legend: L latents or G features, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from saespec.plan.model import Cell
from saespec.spec.measures import Directions

from .columns import Columns
from .trained import Trained


def measure(config: Directions, stacks: Sequence[Trained]) -> Columns:
    """A row for each coordinate of each element, and of each true feature where they are known."""
    columns = Columns()
    for trained in stacks:
        for cell, source, dictionary_LD in zip(
            trained.cells, trained.sources, trained.dictionary_NLD, strict=True
        ):
            _add(columns, cell, "latent", dictionary_LD)
            if source.truth is not None:
                _add(columns, cell, "feature", source.truth.truth_GD)
    return columns


def _add(columns: Columns, cell: Cell, of: str, rows_LD: Tensor) -> None:
    number, dim = rows_LD.shape
    columns.add(
        "directions",
        cell=[cell.id] * (number * dim),
        of=[of] * (number * dim),
        number=[i for i in range(number) for _ in range(dim)],
        axis=[j for _ in range(number) for j in range(dim)],
        coordinate=rows_LD.double().flatten().tolist(),
    )
