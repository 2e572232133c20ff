"""`kind: batch_topk`: of a batch of B samples the k·B largest positive values of Wx + b (Bussmann et al. 2024).

Which code of a sample is kept depends on the others of its batch. After training a threshold takes their place, so
that a sample's codes are its own: the mean over training of the smallest code that was kept and is not 0, later steps
counting more.

Legend: N cells of a stack, B samples, L latents.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saespec.sae.pieces import Params

from .largest import keep_largest, smallest_positive
from .relu import Relu

MEMORY = 0.999
"""What the threshold keeps of itself from step to step."""


class BatchTopK(Relu):
    """The gradient reaches what was kept, as with ReLU."""

    def __init__(self, k: int, cells: int, device: torch.device) -> None:
        super().__init__()
        self._k = k
        self._one = torch.ones((), device=device)
        self.state = {name: torch.zeros(cells, device=device) for name in ("smallest", "weight")}

    def forward(self, pre_NBL: Tensor, w: Params) -> None:
        """Codes, in place, as in training; the threshold learns of them."""
        codes_NM = pre_NBL.view(len(pre_NBL), -1)
        for own_M in codes_NM:
            keep_largest(own_M.unsqueeze(0), self._k * pre_NBL.shape[1])
        kept_N = smallest_positive(codes_NM).float()
        new_N = (1 - MEMORY) * kept_N.isfinite()  # a batch without any code says nothing
        self.state["smallest"].lerp_(kept_N.nan_to_num_(posinf=0), new_N)
        self.state["weight"].lerp_(self._one, new_N)

    def codes(self, pre_NBL: Tensor, w: Params) -> None:
        """Codes, in place, as after training."""
        threshold_N = w["threshold"] if "threshold" in w else self.threshold()
        pre_NBL.relu_().mul_(pre_NBL > threshold_N.view(-1, 1, 1))

    def threshold(self) -> Tensor:
        """The smallest positive code that was kept, on average, [N]; 0 before the first step."""
        return self.state["smallest"] / self.state["weight"].clamp(min=1 - MEMORY)

    def learned(self) -> Params:
        """What a finished cell keeps besides its parameters."""
        return {"threshold": self.threshold()}
