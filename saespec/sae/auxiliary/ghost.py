"""`auxiliary: {kind: ghost}`: dead latents, through an exponential, reconstruct half of the error.

As Jermyn & Templeton 2024 describe it:

    ĝ = Σ e^z_k d_k over dead latents,   a = ‖e‖ / (2 ‖ĝ‖) for each sample
    loss = r · s_r ‖e - a ĝ‖²,   r such that it is as large as the reconstruction loss

e, a and r are taken as numbers: nothing learns through them.

Legend: n cells in a part, B samples, D dimensions, m latents in a part.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .dead import Part
from .second_decoding import SecondDecoding

TINY = 1e-12
"""Keeps quotients finite where there is no error or no dead latent."""


class Ghost(SecondDecoding):
    """By all of them."""

    def codes(self, pre_nBm: Tensor, part: Part) -> Tensor:
        """e^z; 0 for the living."""
        return pre_nBm.exp_().mul_(part.dead_n1m)

    def slope(self, codes_nBm: Tensor) -> Tensor:
        """e^z."""
        return codes_nBm

    def error(self, decoded_nBD: Tensor, target_nBD: Tensor, scale_n11: Tensor) -> Tensor:
        """r a (a ĝ - e)."""
        lengths_nB1 = torch.linalg.vector_norm(decoded_nBD, dim=2, keepdim=True)
        half_nB1 = torch.linalg.vector_norm(target_nBD, dim=2, keepdim=True) / (2 * lengths_nB1 + TINY)
        off_nBD = decoded_nBD.mul_(half_nB1).sub_(target_nBD)
        ratio_n11 = _squares(target_nBD) / (_squares(off_nBD) + TINY)
        return off_nBD.mul_(half_nB1).mul_(ratio_n11).mul_(scale_n11)


def _squares(value_nBD: Tensor) -> Tensor:
    return value_nBD.square().sum(dim=2).sum(dim=1).view(-1, 1, 1)
