"""What the encoder's product is shifted by where the decoder's bias is not subtracted from the input: its own bias.

Legend: N cells of a stack, L latents.
"""

from __future__ import annotations

from saespec.sae.pieces import Params


class Shift:
    """The encoder's bias, or nothing where the activation has its own use for it."""

    def __init__(self, bias_in_product: bool) -> None:
        self._names = {"shift": "bias"} if bias_in_product else {}

    def forward(self, params: Params) -> Params:
        """The same parameters, the bias under the name of what it is used as."""
        return {**params, **{used: params[name] for used, name in self._names.items()}}

    def wire(self, grads: Params) -> Params:
        """The same gradients, likewise."""
        return self.forward(grads)

    def back(self) -> None:
        """Nothing: they are the same tensors."""
