"""How long each latent has been silent.

Legend: N cells of a stack, B samples, L latents.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.pieces import Params


class Silence:
    """Steps since each latent was last active."""

    def __init__(self, encoder_NLD: Tensor) -> None:
        shape, device = encoder_NLD.shape[:2], encoder_NLD.device
        self.state: Params = {"silent": torch.zeros(shape, device=device)}
        """Steps, [N, L]; part of a snapshot."""

    def hear(self, codes_NBL: Tensor) -> None:
        """Count one more step, with these codes."""
        self.state["silent"].add_(1).mul_(codes_NBL.amax(dim=1) <= 0)

    def dead(self, steps: int) -> Tensor:
        """Latents that were silent for at least so many steps, [N, L]."""
        return self.state["silent"] >= steps
