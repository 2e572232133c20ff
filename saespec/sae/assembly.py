"""Which pieces a cell's configuration asks for: a new one is its file, its configuration and a line here.

Training rules are asked for where a step is taken: `train` and `stack`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from saespec.spec import loss as losses
from saespec.spec.baselines import Baseline
from saespec.spec.rules import Bricken
from saespec.spec.sae import TrainedSAE
from saespec.spec.spec import CellConfig

from .activations.batch_topk import BatchTopK
from .activations.gated import Gated
from .activations.jumprelu import JumpRelu
from .activations.prolu import Prolu
from .activations.relu import Relu
from .activations.topk import TopK
from .auxiliary.aux_k import AuxK
from .auxiliary.gate import Gate
from .auxiliary.ghost import Ghost
from .auxiliary.silence import Silence
from .penalties.l0 import L0
from .penalties.l1 import L1
from .penalties.none import NoPenalty
from .penalties.sqrt import Sqrt
from .penalties.tanh import Tanh
from .pieces import Activation, Auxiliary, Norm, Params, Penalty, PerCell, Products, Weights
from .products.bfloat16 import Bfloat16
from .products.mixed import Mixed
from .products.nested import Nested
from .products.plain import Plain
from .weights.decoder_bias import Learned, Shared
from .weights.free import Free
from .weights.shift import Shift
from .weights.tied import Tied
from .weights.unit import Unit, UnitProjected
from .weights.unit_in_forward import UnitInForward

ACTIVATIONS: Mapping[str, Callable[[Any, int, torch.device, PerCell | None], Activation]] = {
    "relu": lambda sae, cells, device, counted: Relu(),
    "prolu": lambda sae, cells, device, counted: Prolu(sae.gradient, sae.hybrid),
    "topk": lambda sae, cells, device, counted: TopK(sae.k),
    "batch_topk": lambda sae, cells, device, counted: BatchTopK(sae.k, cells, device),
    "jumprelu": lambda sae, cells, device, counted: JumpRelu(sae.bandwidth, counted),
    "gated": lambda sae, cells, device, counted: Gated(),
}

PENALTIES: Mapping[str, Callable[[Any, PerCell], Penalty]] = {
    "none": lambda sparsity, scale: NoPenalty(),
    "l1": lambda sparsity, scale: L1(scale, sparsity.weighted_by_norm),
    "sqrt": lambda sparsity, scale: Sqrt(scale, sparsity.weighted_by_norm, sparsity.of),
    "tanh": lambda sparsity, scale: Tanh(scale, sparsity.weighted_by_norm, sparsity.scale),
    "l0": lambda sparsity, scale: L0(),
}

NORMS: Mapping[str, Callable[[str, Params], Norm]] = {
    "none": Free,
    "unit": Unit,
    "unit_in_forward": UnitInForward,
    "unit_projected": UnitProjected,
}


def trained(config: CellConfig) -> TrainedSAE:
    """The section of an autoencoder."""
    assert not isinstance(config.sae, Baseline)
    return config.sae


def dictionary(config: CellConfig) -> str:
    """The parameter that holds the dictionary's elements."""
    return "encoder" if trained(config).weights == "tied" else "decoder"


def norm(config: CellConfig, params: Params) -> Norm:
    """How dictionary elements come to unit length: the first map."""
    return NORMS[trained(config).decoder_norm](dictionary(config), params)


def weights(config: CellConfig, params: Params, activation: Activation) -> tuple[Weights, ...]:
    """The maps after it."""
    sae, inside = trained(config), activation.bias_in_product
    tied = (Tied(params),) if sae.weights == "tied" else ()
    if sae.decoder_bias == "shared":
        return (*tied, Shared(inside, params))
    return (*tied, Learned(inside) if sae.decoder_bias == "learned" else Shift(inside))


def activation(
    config: CellConfig, cells: int, device: torch.device, penalty_scale: PerCell | None = None
) -> Activation:
    """The nonlinearity. Where codes are penalised by their number it is what learns of that."""
    counted = penalty_scale if isinstance(config.loss.sparsity, losses.L0) else None
    return ACTIVATIONS[config.sae.kind](config.sae, cells, device, counted)


def penalty(config: CellConfig, scale: PerCell) -> Penalty:
    """The sparsity penalty. Elements of baselines have unit length: to weigh by it would be to weigh by rounding."""
    sparsity = config.loss.sparsity
    if isinstance(config.sae, Baseline) and getattr(sparsity, "weighted_by_norm", False):
        sparsity = sparsity.model_copy(update={"weighted_by_norm": False})
    return PENALTIES[sparsity.kind](sparsity, scale)


def products(config: CellConfig, params: Params) -> Products:
    """The matrix products."""
    kind = Bfloat16 if config.train.precision == "bfloat16" else Plain
    dense = kind(config.train.batch, params["encoder"])
    if config.loss.prefixes > 1:
        return Nested(dense, config.loss.prefixes)
    on_cpu = params["encoder"].device.type == "cpu"
    return Mixed(dense) if config.train.products == "sparse" and on_cpu else dense


def silence(config: CellConfig, params: Params) -> Silence | None:
    """What counts how long latents are silent, if anybody asks."""
    asked = config.loss.auxiliary.kind != "none" or isinstance(config.train.resample, Bricken)
    return Silence(params["encoder"]) if asked else None


def gate(activation: Activation, products: Products, scale: PerCell) -> Gate | None:
    """The gate's own reconstruction."""
    return Gate(activation, products, products.codes_NBL, scale) if isinstance(activation, Gated) else None


def auxiliary(
    configs: Sequence[CellConfig], silent: Silence | None, error_scale: PerCell
) -> Auxiliary | None:
    """The second decoding of dead latents."""
    chosen, batch = configs[0].loss.auxiliary, configs[0].train.batch
    if isinstance(chosen, losses.NoAuxiliary) or silent is None:
        return None
    full_N, device, dtype = (
        error_scale.value_N.double(),
        error_scale.value_N.device,
        error_scale.value_N11.dtype,
    )
    unscale = PerCell((-1 / full_N).tolist(), device, dtype)  # a scaled error to what is left of the target
    steps = chosen.window_steps(batch)
    if isinstance(chosen, losses.AuxK):
        scale = PerCell((chosen.coefficient * full_N).tolist(), device, dtype)
        return AuxK(chosen.k, steps, silent, unscale, scale)
    return Ghost(steps, silent, unscale, error_scale)
