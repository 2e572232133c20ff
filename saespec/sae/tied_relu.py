"""The ReLU autoencoder whose encoder is its dictionary (Cunningham et al. 2023).

    c = ReLU(M x + b),   x̂ = Mᵀ c,   ‖M_k‖ = 1

With the loss of `relu.py`, whose functions it uses with M in both places: M's gradients add.

Legend: N cells of a stack, B samples, D dimensions, L latents. All tensors float32.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.spec.spec import CellConfig

from . import relu
from .memory import aligned

Params = dict[str, Tensor]


DICTIONARY = "encoder"


def shapes(config: CellConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter of one cell."""
    L, D = config.sae.latents, config.data.dim
    return {"encoder": (L, D), "bias": (L,)}


def initial(config: CellConfig, generator: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Initial parameters of one cell: an orthogonal dictionary, biases as PyTorch's `Linear` has them."""
    untied = relu.initial(config, generator)
    return {"encoder": untied["decoder"], "bias": untied["bias"]}


def encode(params: Params, x_NBD: Tensor) -> Tensor:
    """Codes of a batch, [N, B, L]."""
    return relu.encode(_twice(params), x_NBD)


def decode(params: Params, codes_NBL: Tensor) -> Tensor:
    """Reconstructions, [N, B, D]."""
    return relu.decode(_twice(params), codes_NBL)


def dictionary(params: Params) -> Tensor:
    """Dictionary elements, [N, L, D]."""
    return params["encoder"]


class Gradients:
    """The gradients of the untied autoencoder at equal weights, those of encoder and decoder added."""

    def __init__(self, configs: list[CellConfig], device: torch.device) -> None:
        self.untied = relu.gradients(configs, device)
        self.choice = self.untied.choice
        self.decoder_grad_NLD = aligned(
            len(configs), configs[0].sae.latents, configs[0].data.dim, device=device
        )

    def __call__(self, params: Params, grads: Params, x_NBD: Tensor, target_NBD: Tensor) -> None:
        """Write into `grads` the gradient of each cell's loss at a dictionary of unit length."""
        self.untied(_twice(params), {**grads, "decoder": self.decoder_grad_NLD}, x_NBD, target_NBD)
        grads["encoder"].add_(self.decoder_grad_NLD)


gradients = Gradients


def _twice(params: Params) -> Params:
    return {**params, "decoder": params["encoder"]}
