"""The ReLU autoencoder with a unit-norm dictionary (Sharkey, Braun & Millidge 2022).

    c = ReLU(M x + b),   x̂ = Σ_k c_k d_k,   ‖d_k‖ = 1
    loss = mean_batch( s_r ‖x̂ − x‖² + s_c ‖c‖₁ )

s_r is 1/D or 1 (`reconstruction: mean | sum`), s_c is α/L or α (`per: latents | sample`). The dictionary is
rescaled to unit length before each forward pass and its gradient not projected, as in the public replication of the
toy study; or the forward pass normalises it (`decoder_norm: unit_in_forward`). `norm.py` has both.

The gradient of that loss is in `relu_float32.py`; with products of bfloat16 in `relu_bfloat16.py`, and with
products that leave out zeros in `relu_sparse.py`.

Legend: N cells of a stack, B samples, D dimensions, L latents. All tensors float32.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.spec.spec import CellConfig

from . import relu_bfloat16, relu_float32, relu_sparse
from .memory import aligned

Params = dict[str, Tensor]

Gradients = relu_float32.Gradients | relu_bfloat16.Gradients | relu_sparse.Gradients


DICTIONARY = "decoder"


def shapes(config: CellConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter of one cell."""
    L, D = config.sae.latents, config.data.dim
    return {"encoder": (L, D), "decoder": (L, D), "bias": (L,)}


def initial(config: CellConfig, generator: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Initial parameters of one cell: orthogonal dictionary, encoder as PyTorch's `Linear` has it."""
    L, D = config.sae.latents, config.data.dim
    tall = generator.standard_normal((max(L, D), min(L, D)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))  # makes the draw uniform (Mezzadri 2007)
    bound = 1 / math.sqrt(D)
    return {
        "encoder": generator.uniform(-bound, bound, (L, D)),
        "decoder": q if L >= D else q.T,
        "bias": generator.uniform(-bound, bound, L),
    }


def encode(params: Params, x_NBD: Tensor) -> Tensor:
    """Codes of a batch, [N, B, L]."""
    N, B, _ = x_NBD.shape
    codes_NBL = aligned(N, B, params["bias"].shape[1], device=x_NBD.device)
    bias_N1L = params["bias"].unsqueeze(1)
    return torch.baddbmm(bias_N1L, x_NBD, params["encoder"].transpose(1, 2), out=codes_NBL).relu_()


def decode(params: Params, codes_NBL: Tensor) -> Tensor:
    """Reconstructions, [N, B, D]."""
    N, B, _ = codes_NBL.shape
    x_NBD = aligned(N, B, params["decoder"].shape[2], device=codes_NBL.device)
    return torch.bmm(codes_NBL, params["decoder"], out=x_NBD)


def dictionary(params: Params) -> Tensor:
    """Dictionary elements, [N, L, D]."""
    return params["decoder"]


def gradients(configs: list[CellConfig], device: torch.device) -> Gradients:
    """What computes the gradients of these cells, which share precision and kind of products."""
    train = configs[0].train
    dense: relu_float32.Gradients | relu_bfloat16.Gradients
    if train.precision == "bfloat16":
        dense = relu_bfloat16.Gradients(configs, device)
    else:
        dense = relu_float32.Gradients(configs, device)
    if train.products == "sparse" and device.type == "cpu":
        return relu_sparse.Gradients(configs, device, dense)
    return dense
