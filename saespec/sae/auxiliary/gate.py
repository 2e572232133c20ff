"""The gate's own reconstruction (`kind: gated`): of the target, by a decoder that does not learn from it.

Legend: N cells of a stack, B samples, D dimensions, L latents.
"""

from __future__ import annotations

from torch import Tensor

from saespec.sae.activations.gated import Gated
from saespec.sae.pieces import Params, Penalty, PerCell, Products, View


class Gate:
    """The gate's positive part decoded, and penalised."""

    def __init__(self, activation: Gated, products: Products, pre_NBL: Tensor, scale: PerCell) -> None:
        activation.allocate(pre_NBL)
        self.view: View = products.beside(activation.gate_NBL)
        self._activation = activation
        self._scale = scale

    def back(self, w: Params, target_NBD: Tensor, penalty: Penalty) -> None:
        """Tell the activation what its gate learns."""
        error_NBD = self.view.error(w, target_NBD, self._scale)
        grad_NBL = self.view.codes_gradient(w, error_NBD, penalty.constant(self.view, w))
        penalty.back(self.view, grad_NBL, w)
        self._activation.gate_gradient = grad_NBL
