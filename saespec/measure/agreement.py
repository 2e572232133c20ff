"""Agreement with the next larger dictionary, one to one and by the plain maximum.

One to one as in the replication on small transformers (June 2023).

Legend: L latents of a dictionary, M of the next larger one, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from saespec.sae.cosine import cosines, mmcs
from saespec.spec.measures import Agreement

from .columns import Columns
from .size_families import with_larger
from .trained import Trained


def measure(config: Agreement, stacks: Sequence[Trained]) -> Columns:
    """Cosines of a cell's latents with those of the next larger dictionary of its family.

    One to one: each latent has a partner of its own, so that their cosines sum to the most (Hungarian
    assignment). Cells with no larger partner get no value.
    """
    columns = Columns()
    for (cell, dictionary_LD), larger in with_larger(stacks):
        if not larger:
            continue
        cosines_LM = cosines(dictionary_LD, larger[0][1])
        best_L, partner_L = cosines_LM.amax(dim=1).double(), partners(cosines_LM)
        means = [best_L.mean().item(), *(mmcs(dictionary_LD, other_LD) for _, other_LD in larger[1:2])]
        # A larger dictionary that diverged agrees with nothing, and disagrees with nothing.
        finite = bool(best_L.isfinite().all())
        agreeing = int((partner_L > config.threshold).sum()) if finite else None
        columns.add(
            "cells",
            cell=[cell.id],
            mcs_assigned=[float(partner_L.mean())],
            agreeing=[agreeing],
            agreeing_share=[agreeing / len(partner_L) if agreeing is not None else None],
            agreeing_nearest=[int((best_L > config.threshold).sum()) if finite else None],
            mmcs_next=[means[0]],
            mmcs_next_two=[sum(means) / len(means)],
        )
        columns.add(
            "latents",
            cell=[cell.id] * len(partner_L),
            latent=range(len(partner_L)),
            partner_cosine=partner_L.tolist(),
            nearest_cosine=best_L.tolist(),
        )
    return columns


def partners(cosines_LM: Tensor) -> NDArray[np.float64]:
    """Cosine of each row with its partner in the best one-to-one assignment, [L]; L ≤ M.

    NaN throughout where a cell diverged.
    """
    values = cosines_LM.double().cpu().numpy()
    if not np.isfinite(values).all():
        return np.full(len(values), np.nan)
    rows, columns = linear_sum_assignment(values, maximize=True)
    assert len(rows) == len(values)
    chosen: NDArray[np.float64] = values[rows, columns]
    return chosen
