"""`decoder_norm: none`: dictionary elements may have any length."""

from __future__ import annotations

from saespec.sae.pieces import Params


class Free:
    """Parameters as they are."""

    def __init__(self, dictionary: str, params: Params) -> None:
        pass

    def forward(self, params: Params) -> Params:
        """The same."""
        return params

    observe = forward

    def wire(self, grads: Params) -> Params:
        """The same."""
        return grads

    def back(self) -> None:
        """Nothing."""
