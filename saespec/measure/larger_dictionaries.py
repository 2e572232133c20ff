"""Agreement between dictionaries of different size (method 3 of Sharkey et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence

from saespec.sae.cosine import cosines
from saespec.spec.measures import LargerDictionaries

from .columns import Columns
from .recovery import THRESHOLD
from .size_families import with_larger
from .trained import Trained


def measure(config: LargerDictionaries, stacks: Sequence[Trained]) -> Columns:
    """MMCS of each dictionary with the larger ones of cells that differ in nothing but their size.

    The smaller dictionary takes the place of the truth. Cells with no larger partner get no value.
    """
    columns = Columns()
    for (cell, dictionary_LD), larger in with_larger(stacks):
        means = []
        for other, other_LD in larger[: config.nearest]:
            best_L = cosines(dictionary_LD, other_LD).amax(dim=1)
            means.append(best_L.double().mean().item())
            columns.add(
                "pairs",
                cell=[cell.id],
                other_cell=[other.id],
                other_latents=[other.config.sae.latents],
                mmcs=[means[-1]],
                above_09=[int((best_L > THRESHOLD).sum())],
            )
        if means:
            columns.add("cells", cell=[cell.id], mmcs_larger=[sum(means) / len(means)])
    return columns
