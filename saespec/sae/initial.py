"""Initial parameters of a cell.

Legend: D dimensions, L latents.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from saespec.spec.spec import CellConfig

from .assembly import is_tied
from .pieces import Shapes


def shapes(config: CellConfig) -> Shapes:
    """Shape of each trained parameter."""
    L, D = config.sae.latents, config.data.dim
    decoder = {} if is_tied(config) else {"decoder": (L, D)}
    return {"encoder": (L, D), **decoder, "bias": (L,)}


def initial(config: CellConfig, generator: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """An orthogonal dictionary, encoder and biases as PyTorch's `Linear` has them."""
    L, D = config.sae.latents, config.data.dim
    tall = generator.standard_normal((max(L, D), min(L, D)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))  # makes the draw uniform (Mezzadri 2007)
    bound = 1 / math.sqrt(D)
    decoder_LD = q if L >= D else q.T
    encoder_LD = generator.uniform(-bound, bound, (L, D))
    bias_L = generator.uniform(-bound, bound, L)
    if is_tied(config):
        return {"encoder": decoder_LD, "bias": bias_L}
    return {"encoder": encoder_LD, "decoder": decoder_LD, "bias": bias_L}
