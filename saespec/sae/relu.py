"""The ReLU autoencoder with a unit-norm dictionary (Sharkey, Braun & Millidge 2022).

    c = ReLU(M x + b),   x̂ = Σ_k c_k d_k,   ‖d_k‖ = 1
    loss = mean_batch( s_r ‖x̂ − x‖² + s_c ‖c‖₁ )

s_r is 1/D or 1 (`reconstruction: mean | sum`), s_c is α/L or α (`per: latents | sample`). The dictionary is
rescaled to unit length before each forward pass; the gradient is not projected, as in the public replication.

Legend: N cells of a stack, B samples, D dimensions, L latents. All tensors float32.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.spec.spec import CellConfig

from .loss import l1_scale, reconstruction_scale
from .memory import aligned

Params = dict[str, Tensor]


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


def prepare(params: Params) -> None:
    """Rescale every dictionary element to unit length, in place."""
    decoder_NLD = params["decoder"]
    decoder_NLD.mul_(torch.linalg.vector_norm(decoder_NLD, dim=2, keepdim=True).reciprocal_())


def encode(params: Params, x_NBD: Tensor, out: Tensor | None = None) -> Tensor:
    """Codes of a batch, [N, B, L]."""
    N, B, _ = x_NBD.shape
    codes_NBL = aligned(N, B, params["bias"].shape[1], device=x_NBD.device) if out is None else out
    bias_N1L = params["bias"].unsqueeze(1)
    return torch.baddbmm(bias_N1L, x_NBD, params["encoder"].transpose(1, 2), out=codes_NBL).relu_()


def decode(params: Params, codes_NBL: Tensor) -> Tensor:
    """Reconstructions, [N, B, D]."""
    N, B, _ = codes_NBL.shape
    x_NBD = aligned(N, B, params["decoder"].shape[2], device=codes_NBL.device)
    return torch.bmm(codes_NBL, params["decoder"], out=x_NBD)


def dictionary(params: Params) -> Tensor:
    """Dictionary elements, [N, L, D], of unit length once prepared."""
    return params["decoder"]


class Workspace:
    """Scales of the gradient, [N, 1, 1], and the buffers of a step, allocated once."""

    def __init__(self, configs: list[CellConfig], device: torch.device) -> None:
        N, B = len(configs), configs[0].train.batch
        L, D = configs[0].sae.latents, configs[0].data.dim

        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64).float().view(N, 1, 1).to(device)

        self.error_gradient_N11 = column([2 * reconstruction_scale(c) / B for c in configs])
        self.code_gradient_N11 = column([c.loss.sparsity.coefficient * l1_scale(c) / B for c in configs])
        self.codes_NBL = aligned(N, B, L, device=device)
        self.codes_grad_NBL = aligned(N, B, L, device=device)
        self.error_NBD = aligned(N, B, D, device=device)


workspace = Workspace


def gradients(params: Params, grads: Params, x_NBD: Tensor, target_NBD: Tensor, work: Workspace) -> None:
    """Write the gradients of the loss into `grads`: two products forward, three back, nothing else of size.

    By hand, because autograd would keep and copy what is used once. Tested against autograd.
    """
    codes_NBL, codes_grad_NBL, error_NBD = work.codes_NBL, work.codes_grad_NBL, work.error_NBD
    encode(params, x_NBD, out=codes_NBL)
    torch.baddbmm(target_NBD, codes_NBL, params["decoder"], beta=-1, out=error_NBD)
    error_NBD.mul_(work.error_gradient_N11)
    torch.baddbmm(work.code_gradient_N11, error_NBD, params["decoder"].transpose(1, 2), out=codes_grad_NBL)
    torch.ops.aten.threshold_backward.grad_input(codes_grad_NBL, codes_NBL, 0, grad_input=codes_grad_NBL)
    torch.bmm(codes_NBL.transpose(1, 2), error_NBD, out=grads["decoder"])
    torch.bmm(codes_grad_NBL.transpose(1, 2), x_NBD, out=grads["encoder"])
    torch.sum(codes_grad_NBL, dim=1, out=grads["bias"])
