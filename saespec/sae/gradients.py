"""A stack's gradients, put together from pieces by the chain rule.

By hand, because autograd would keep and copy what is used once. Tested against autograd.

Legend: N cells of a stack, n of them in a view, B samples, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from saespec.spec.spec import CellConfig

from .assembly import activation, norm, penalty, products, weights
from .loss import error_gradient
from .pieces import Params, PerCell, View


class Gradients:
    """The pieces of a stack's cells, and one step's pass through them."""

    def __init__(self, configs: Sequence[CellConfig], params: Params, grads: Params) -> None:
        config, device = configs[0], params["encoder"].device
        self._params = params
        self.norm = norm(config, params)
        self.activation = activation(config)
        self.weights = weights(config, params, self.activation)
        self.products = products(config, params)
        self._error_scale = PerCell(error_gradient(configs), device, params["encoder"].dtype)
        self._penalty = penalty(configs, device, self.products.dtype)
        self._g = grads
        for one in (self.norm, *self.weights):
            self._g = one.wire(self._g)
        self.state = {"choice": self.products.state}
        """What pieces remember from step to step, cells first; part of a snapshot."""

    def __call__(self, x_NBD: Tensor, target_NBD: Tensor) -> None:
        """Write the gradient of each cell's loss into the gradients given at first."""
        w = self.effective()
        self.activation.forward(self.products.encode(x_NBD, w), w)
        for view in self.products.views():
            self._differentiate(view, w, x_NBD, target_NBD)
        for one in reversed((self.norm, *self.weights)):
            one.back()

    def effective(self) -> Params:
        """The weights that the products take. Elements that have unit length are brought to it."""
        w = self._params
        for one in (self.norm, *self.weights):
            w = one.forward(w)
        return w

    def _differentiate(self, view: View, w: Params, x_NBD: Tensor, target_NBD: Tensor) -> None:
        error_nBD = view.error(w, target_NBD).mul_(view.own(self._error_scale.value_N11))
        grad = view.codes_gradient(w, error_nBD, self._penalty.constant(view, w))
        self._penalty.back(view, grad, w, self._g)
        self.activation.back(view, grad, w, self._g)
        view.weight_gradients(error_nBD, grad, x_NBD, self._g)
