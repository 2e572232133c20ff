"""How the best cosines with the next larger dictionary are distributed: one histogram a cell.

Legend: L latents of a dictionary, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saespec.sae.cosine import cosines
from saespec.spec.measures import CosineHistogram

from .columns import Columns
from .size_families import with_larger
from .trained import Trained


def measure(config: CosineHistogram, stacks: Sequence[Trained]) -> Columns:
    """Latents by their highest cosine with a latent of the next larger dictionary, in equal bins on [0, 1].

    Cosines below 0 count in the first bin, those of a cell that diverged nowhere.
    """
    columns = Columns()
    edges = np.linspace(0, 1, config.bins + 1)
    for (cell, dictionary_LD), larger in with_larger(stacks):
        if not larger:
            continue
        best_L = cosines(dictionary_LD, larger[0][1]).amax(dim=1).double().cpu().numpy()
        counts, _ = np.histogram(np.clip(best_L[np.isfinite(best_L)], 0, 1), edges)
        columns.add(
            "cosine_histogram",
            cell=[cell.id] * config.bins,
            other_cell=[larger[0][0].id] * config.bins,
            bin_low=edges[:-1].tolist(),
            bin_high=edges[1:].tolist(),
            latents=counts.tolist(),
        )
    return columns
