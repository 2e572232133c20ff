"""`auxiliary: {kind: aux_k}`: of each sample the k strongest dead latents reconstruct the error (Gao et al. 2024).

    loss = coefficient · s_r ‖e - ê‖²,   e = x - x̂ as it is, ê = Σ_k z_k d_k over the chosen dead latents

Encoder and decoder both learn of it; the error itself does not.

Legend: n cells in a part, B samples, D dimensions, m latents in a part.
"""

from __future__ import annotations

from torch import Tensor

from saespec.sae.activations.largest import keep_largest
from saespec.sae.pieces import PerCell

from .dead import Part
from .second_decoding import SecondDecoding
from .silence import Silence


class AuxK(SecondDecoding):
    """By the k strongest."""

    def __init__(self, k: int, steps: int, silence: Silence, unscale: PerCell, scale: PerCell) -> None:
        super().__init__(steps, silence, unscale, scale)
        self._k = k

    def codes(self, pre_nBm: Tensor, part: Part) -> Tensor:
        """The k largest positive ones."""
        keep_largest(pre_nBm.view(-1, pre_nBm.shape[2]), self._k)
        return pre_nBm

    def slope(self, codes_nBm: Tensor) -> Tensor:
        """1 where a latent was chosen."""
        return codes_nBm > 0

    def error(self, decoded_nBD: Tensor, target_nBD: Tensor, scale_n11: Tensor) -> Tensor:
        """ê - e."""
        return decoded_nBD.sub_(target_nBD).mul_(scale_n11)
