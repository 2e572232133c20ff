"""Cosines between dictionaries.

Legend: N cells, G rows of one dictionary, L rows of the other, D dimensions.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize


def cosines(a_GD: Tensor, b_LD: Tensor) -> Tensor:
    """All pairwise cosines, [G, L] (or [N, G, L] for stacked arguments)."""
    return normalize(a_GD, dim=-1) @ normalize(b_LD, dim=-1).transpose(-1, -2)


def mmcs(truth_GD: Tensor, dictionary_LD: Tensor) -> float:
    """Mean max cosine similarity: for each row of the first the best cosine in the second, averaged.

    (1/G) Σ_g max_k cos(F_g, D_k), Sharkey et al. 2022. Not symmetric: rows of the second that match nothing
    are ignored. For two learned dictionaries the smaller one comes first.
    """
    return mean_max(truth_GD, dictionary_LD).item()


def mean_max(truth_GD: Tensor, dictionary_LD: Tensor) -> Tensor:
    """`mmcs` as a float64 number that stays on its device."""
    return cosines(truth_GD, dictionary_LD).max(dim=-1).values.double().mean()
