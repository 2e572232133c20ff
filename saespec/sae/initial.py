"""Initial parameters of a cell.

What is drawn is a function of its shape, of how it is drawn, and of the seed: cells that differ in anything else
start alike, and are compared as pairs.

Legend: D dimensions, L latents, V vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from saespec.data.streams import Streams
from saespec.plan.identity import canonical_json
from saespec.spec.sae import DecoderTransposed, GatedSAE, JumpReluSAE, TrainedSAE
from saespec.spec.spec import CellConfig

from .assembly import trained
from .pieces import Shapes

Array = NDArray[np.float64]

Vectors = Callable[[int], Array]
"""The first so many training inputs, [V, D]."""

MEDIAN_VECTORS = 4096
"""How many of them the decoder's bias is the mean or the median of."""


def shapes(config: CellConfig) -> Shapes:
    """Shape of each trained parameter."""
    L, D = config.sae.latents, config.data.dim
    sae = trained(config)
    found: Shapes = {"encoder": (L, D)}
    if sae.weights == "untied":
        found["decoder"] = (L, D)
    found["bias"] = (L,)
    if sae.decoder_bias != "none":
        found["decoder_bias"] = (D,)
    return found | dict.fromkeys(own_starts(sae), (L,))


def own_starts(sae: TrainedSAE) -> dict[str, float]:
    """Where the parameters that belong to an activation alone start, each of them a number a latent."""
    if isinstance(sae, JumpReluSAE):
        return {"log_threshold": math.log(sae.threshold)}
    return {"r_mag": 0.0, "b_mag": 0.0} if isinstance(sae, GatedSAE) else {}


def initial(config: CellConfig, vectors: Vectors) -> dict[str, Array]:
    """Where a cell's parameters start, float64."""
    sae, seed = trained(config), config.seed
    L, D = sae.latents, config.data.dim
    offset_D = decoder_bias(sae.init.decoder_bias, D, vectors)
    decoder_LD = decoder(sae.init.decoder, (L, D), seed, offset_D, vectors)
    found = {"encoder": decoder_LD}
    if sae.weights == "untied":
        found["decoder"] = decoder_LD
        found["encoder"] = (
            decoder_LD * sae.init.encoder.scale
            if isinstance(sae.init.encoder, DecoderTransposed)
            else uniform(
                f"encoder {sae.init.encoder.kind}", (L, D), seed, _bound(sae.init.encoder.kind, L, D)
            )
        )
    found["bias"] = np.zeros(L) if sae.init.bias == "zero" else uniform("bias", (L,), seed, 1 / math.sqrt(D))
    if sae.decoder_bias != "none":
        found["decoder_bias"] = offset_D
    return found | {name: np.full(L, value) for name, value in own_starts(sae).items()}


def generator(purpose: str, shape: tuple[int, ...], seed: int) -> np.random.Generator:
    """What draws numbers that are made once for a cell, before it is trained or fitted."""
    key = canonical_json({"initial": purpose, "shape": shape, "seed": seed})
    return Streams(key, torch.device("cpu")).host("init")


def uniform(purpose: str, shape: tuple[int, ...], seed: int, bound: float) -> Array:
    """Uniform on ± the bound."""
    return generator(purpose, shape, seed).uniform(-bound, bound, shape)


def _bound(kind: str, latents: int, dim: int) -> float:
    return 1 / math.sqrt(dim) if kind == "uniform" else math.sqrt(6 / (dim + latents))


def decoder(kind: str, shape: tuple[int, int], seed: int, offset_D: Array, vectors: Vectors) -> Array:
    """Dictionary elements of unit length."""
    L, D = shape
    draw = generator(f"decoder {'sphere' if kind == 'data' else kind}", shape, seed)
    if kind == "orthogonal":
        q, r = np.linalg.qr(draw.standard_normal((max(L, D), min(L, D))))
        q *= np.sign(np.diag(r))  # makes the draw uniform (Mezzadri 2007)
        return q if L >= D else q.T
    directions_LD = draw.standard_normal(shape)
    if kind == "data":
        points_LD = vectors(L) - offset_D
        found_L = np.linalg.norm(points_LD, axis=1) > 0  # a sample without any active feature is no direction
        directions_LD[found_L] = points_LD[found_L]
    directions_LD /= np.linalg.norm(directions_LD, axis=1, keepdims=True)
    return directions_LD


def decoder_bias(kind: str, dim: int, vectors: Vectors) -> Array:
    """Zero, or the mean or geometric median of training inputs."""
    if kind == "zero":
        return np.zeros(dim)
    x_VD = vectors(MEDIAN_VECTORS)
    return x_VD.mean(axis=0) if kind == "mean" else geometric_median(x_VD)


def geometric_median(x_VD: Array, iterations: int = 100) -> Array:
    """The point with the least sum of distances to the vectors, by Weiszfeld's iteration."""
    point_D: Array = x_VD.mean(axis=0)
    for _ in range(iterations):
        nearness_V = 1 / np.maximum(np.linalg.norm(x_VD - point_D, axis=1), 1e-12)
        point_D = nearness_V @ x_VD / nearness_V.sum()
    return point_D
