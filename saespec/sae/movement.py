"""How far dictionaries turn while they are trained.

Legend: N cells of a stack, L latents, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Movement:
    """Mean of 1 - cos between a latent's element now and at the last look, by cell."""

    def __init__(self, dictionary_NLD: Tensor) -> None:
        self.before_NLD = dictionary_NLD.clone()

    def since_last(self, dictionary_NLD: Tensor) -> Tensor:
        """The movement of each cell since the last look, [N], float64; from now on this is the last look."""
        pairs = zip(dictionary_NLD.double(), self.before_NLD.double(), strict=True)
        moved = [(1 - torch.cosine_similarity(now, then, dim=1)).mean() for now, then in pairs]
        self.before_NLD.copy_(dictionary_NLD)
        return torch.stack(moved)
