"""Which pieces a cell's configuration asks for: a new one is its file, its configuration and a line here."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from saespec.plan.groups import normalised_in_forward
from saespec.spec.spec import CellConfig

from .activations.relu import Relu
from .loss import code_gradient
from .penalties.l1 import L1
from .pieces import Activation, Params, Penalty, PerCell, Products, Weights
from .products.bfloat16 import Bfloat16
from .products.mixed import Mixed
from .products.plain import Plain
from .weights.shift import Shift
from .weights.tied import Tied
from .weights.unit import Unit
from .weights.unit_in_forward import UnitInForward


def is_tied(config: CellConfig) -> bool:
    """Whether the encoder is the dictionary."""
    return config.sae.kind == "tied_relu"


def dictionary(config: CellConfig) -> str:
    """The parameter that holds the dictionary's elements."""
    return "encoder" if is_tied(config) else "decoder"


def norm(config: CellConfig, params: Params) -> Weights:
    """How dictionary elements come to unit length: the first map."""
    if normalised_in_forward(config):
        return UnitInForward(dictionary(config), params)
    return Unit(dictionary(config))


def weights(config: CellConfig, params: Params, activation: Activation) -> tuple[Weights, ...]:
    """The maps after it."""
    tied = (Tied(params),) if is_tied(config) else ()
    return (*tied, Shift(activation.bias_in_product))


def activation(config: CellConfig) -> Activation:
    """The nonlinearity."""
    return Relu()


def penalty(configs: Sequence[CellConfig], device: torch.device, dtype: torch.dtype) -> Penalty:
    """The sparsity penalty."""
    return L1(PerCell(code_gradient(configs), device, dtype))


def products(config: CellConfig, params: Params) -> Products:
    """The matrix products."""
    kind = Bfloat16 if config.train.precision == "bfloat16" else Plain
    dense = kind(config.train.batch, params["encoder"])
    on_cpu = params["encoder"].device.type == "cpu"
    return Mixed(dense) if config.train.products == "sparse" and on_cpu else dense
