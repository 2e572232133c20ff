"""`auxiliary: {kind: aux_k}`: of each sample the k strongest dead latents reconstruct the error (Gao et al. 2024).

    loss = coefficient · s_r ‖e - ê‖²,   e = x - x̂ as it is, ê = Σ_k z_k d_k over the chosen dead latents

Encoder and decoder both learn of it; the error itself does not.

Legend: N cells of a stack, B samples, D dimensions, L latents.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.activations.topk import TopK
from saespec.sae.memory import alike
from saespec.sae.pieces import Params, PerCell, Products

from .silence import Silence


class AuxK:
    """The second decoding, where any latent of the stack is dead."""

    def __init__(
        self,
        k: int,
        steps: int,
        silence: Silence,
        products: Products,
        pre_NBL: Tensor,
        scales: tuple[PerCell, PerCell],
    ) -> None:
        self._steps = steps
        self._silence = silence
        self._chosen = TopK(k)
        self._codes_NBL = alike(pre_NBL)
        self._view = products.beside(self._codes_NBL)
        self._unscale, self._scale = scales
        self._busy = False
        self._error_NBD = torch.empty(0)

    def keep(self, pre_NBL: Tensor) -> None:
        """Take what dead latents would say."""
        dead_NL = self._silence.dead(self._steps)
        self._busy = pre_NBL.device.type != "cpu" or bool(dead_NL.any())  # a GPU's step is one for all
        if self._busy:
            torch.mul(pre_NBL, dead_NL.unsqueeze(1), out=self._codes_NBL)
            self._chosen.forward(self._codes_NBL, {})

    def back(self, error_NBD: Tensor, grad_NBL: Tensor, w: Params) -> None:
        """Add what the chosen latents learn."""
        if not self._busy:
            return
        target_NBD = error_NBD * self._unscale.value_N11
        alone = {"decoder": w["decoder"]}
        self._error_NBD = self._view.error(alone, target_NBD, self._scale)
        own_NBL = self._view.codes_gradient(alone, self._error_NBD, None)
        grad_NBL.add_(own_NBL.mul_(self._codes_NBL > 0))

    def weights_back(self, g: Params) -> None:
        """Add what their elements learn."""
        if self._busy:
            own = {"decoder": torch.zeros_like(g["decoder"])}
            self._view.decoder_gradient(self._error_NBD, own)
            g["decoder"].add_(own["decoder"])
