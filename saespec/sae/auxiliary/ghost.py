"""`auxiliary: {kind: ghost}`: dead latents, through an exponential, reconstruct half of the error.

As Jermyn & Templeton 2024 describe it:

    ĝ = Σ e^z_k d_k over dead latents,   a = ‖e‖ / (2 ‖ĝ‖) for each sample
    loss = r · s_r ‖e - a ĝ‖²,   r such that it is as large as the reconstruction loss

e, a and r are taken as numbers: nothing learns through them.

Legend: N cells of a stack, B samples, D dimensions, L latents.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.memory import alike
from saespec.sae.pieces import Params, PerCell, Products

from .silence import Silence

TINY = 1e-12
"""Keeps quotients finite where there is no error or no dead latent."""


class Ghost:
    """The second decoding, where any latent of the stack is dead."""

    def __init__(
        self,
        steps: int,
        silence: Silence,
        products: Products,
        pre_NBL: Tensor,
        scales: tuple[PerCell, PerCell],
    ) -> None:
        self._steps = steps
        self._silence = silence
        self._codes_NBL = alike(pre_NBL)
        self._view = products.beside(self._codes_NBL)
        self._unscale, self._scale = scales
        self._one = PerCell([1.0] * len(pre_NBL), pre_NBL.device, self._scale.value_N11.dtype)
        self._busy = False
        self._error_NBD = torch.empty(0)

    def keep(self, pre_NBL: Tensor) -> None:
        """Take what dead latents would say."""
        dead_NL = self._silence.dead(self._steps)
        self._busy = pre_NBL.device.type != "cpu" or bool(dead_NL.any())
        if self._busy:
            dead_N1L = dead_NL.unsqueeze(1)
            # The others' exponentials might be infinite, and infinity times 0 is no number.
            torch.exp(torch.where(dead_N1L, pre_NBL, 0), out=self._codes_NBL).mul_(dead_N1L)

    def back(self, error_NBD: Tensor, grad_NBL: Tensor, w: Params) -> None:
        """Add what dead latents learn."""
        if not self._busy:
            return
        alone = {"decoder": w["decoder"]}
        target_NBD = error_NBD * self._unscale.value_N11
        ghost_NBD = self._view.error(alone, torch.zeros_like(target_NBD), self._one).clone()
        lengths_NB1 = torch.linalg.vector_norm(ghost_NBD, dim=2, keepdim=True)
        half_NB1 = torch.linalg.vector_norm(target_NBD, dim=2, keepdim=True) / (2 * lengths_NB1 + TINY)
        off_NBD = half_NB1 * ghost_NBD - target_NBD
        ratio_N11 = _squares(target_NBD) / (_squares(off_NBD) + TINY)
        self._error_NBD = off_NBD.mul_(half_NB1).mul_(ratio_N11).mul_(self._scale.value_N11)
        own_NBL = self._view.codes_gradient(alone, self._error_NBD, None)
        grad_NBL.add_(own_NBL.mul_(self._codes_NBL))

    def weights_back(self, g: Params) -> None:
        """Add what their elements learn."""
        if self._busy:
            own = {"decoder": torch.zeros_like(g["decoder"])}
            self._view.decoder_gradient(self._error_NBD, own)
            g["decoder"].add_(own["decoder"])


def _squares(value_NBD: Tensor) -> Tensor:
    return value_NBD.square().sum(dim=2).sum(dim=1).view(-1, 1, 1)
