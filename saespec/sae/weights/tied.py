"""`weights: tied`: the encoder is the dictionary (Cunningham et al. 2023).

Legend: N cells of a stack, L latents, D dimensions. All tensors float32.
"""

from __future__ import annotations

from saespec.sae.memory import alike
from saespec.sae.pieces import Params


class Tied:
    """One matrix in both places: its gradients add."""

    def __init__(self, params: Params) -> None:
        self._decoder_grad_NLD = alike(params["encoder"])
        self._grads: Params = {}

    def forward(self, params: Params) -> Params:
        """The encoder as decoder too."""
        return {**params, "decoder": params["encoder"]}

    def wire(self, grads: Params) -> Params:
        """A buffer for what the decoder gets."""
        self._grads = grads
        return {**grads, "decoder": self._decoder_grad_NLD}

    def back(self) -> None:
        """Add the two."""
        self._grads["encoder"].add_(self._decoder_grad_NLD)
