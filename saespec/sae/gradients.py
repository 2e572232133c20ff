"""A stack's gradients, put together from pieces by the chain rule.

By hand, because autograd would keep and copy what is used once. Tested against autograd.

Legend: N cells of a stack, n of them in a view, B samples, D dimensions, L latents.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from saespec.spec.spec import CellConfig

from . import assembly
from .loss import code_gradient, error_gradient
from .pieces import Params, PerCell, View


class Gradients:
    """The pieces of a stack's cells, and one step's pass through them."""

    def __init__(self, configs: Sequence[CellConfig], params: Params, grads: Params) -> None:
        config, device = configs[0], params["encoder"].device
        self._params = params
        self.products = assembly.products(config, params)
        self._error_scale = PerCell(error_gradient(configs), device, params["encoder"].dtype)
        self.penalty_scale = PerCell(code_gradient(configs), device, self.products.dtype)
        self.penalty = assembly.penalty(config, self.penalty_scale)
        self.activation = assembly.activation(config, len(configs), device, self.penalty_scale)
        self.observer = assembly.activation(config, len(configs), device)
        """The same nonlinearity, for looking on: it leaves nothing behind in that of training."""
        self.norm = assembly.norm(config, params)
        self.weights = assembly.weights(config, params, self.activation)
        self.shares_bias = assembly.trained(config).decoder_bias == "shared"
        self.silence = assembly.silence(config, params)
        self._gate = assembly.gate(self.activation, self.products, self._error_scale)
        self._auxiliary = assembly.auxiliary(configs, self.silence, self._error_scale)
        self._g = grads
        for one in (self.norm, *self.weights):
            self._g = one.wire(self._g)
        self.state = {"choice": self.products.state, "activation": self.activation.state}
        """What pieces remember from step to step, cells first; part of a snapshot."""
        if self.silence:
            self.state["silence"] = self.silence.state

    @property
    def codes_NBL(self) -> Tensor:
        """The codes of the last step."""
        return self.products.codes_NBL

    def __call__(self, x_NBD: Tensor, target_NBD: Tensor) -> None:
        """Write the gradient of each cell's loss into the gradients given at first."""
        w = self.norm.forward(self._params)
        for one in self.weights:
            w = one.forward(w)
        codes_NBL = self.products.encode(x_NBD, w)
        if self._auxiliary:
            self._auxiliary.keep(codes_NBL)
        self.activation.forward(codes_NBL, w)
        for view in self.products.views():
            self._differentiate(view, w, x_NBD, target_NBD)
        if self.silence:
            self.silence.hear(codes_NBL)
        for one in reversed((self.norm, *self.weights)):
            one.back()

    def observed(self) -> Params:
        """The weights that the products of the next step will take; nothing that training goes on with changes."""
        w = self.norm.observe(self._params)
        for one in self.weights:
            w = one.forward(w)
        return w

    def _differentiate(self, view: View, w: Params, x_NBD: Tensor, target_NBD: Tensor) -> None:
        g, penalised = self._g, self._gate.view if self._gate else view
        # To the codes.
        error_nBD = view.error(w, target_NBD, self._error_scale)
        if self._gate:
            self._gate.back(w, target_NBD, self.penalty)
            grad = view.codes_gradient(w, error_nBD, None)
        else:
            grad = view.codes_gradient(w, error_nBD, self.penalty.constant(view, w))
            self.penalty.back(view, grad, w)
        # To what the encoder gives.
        self.activation.back(view, grad, w, g)
        if self._auxiliary:
            self._auxiliary.back(error_nBD, grad, w)
        # To the weights.
        view.decoder_gradient(error_nBD, g)
        view.offset_gradient(error_nBD, g)
        view.encoder_gradient(grad, x_NBD, g)
        self.penalty.weights_back(penalised, w, g)
        if self._auxiliary:
            self._auxiliary.weights_back(g)
