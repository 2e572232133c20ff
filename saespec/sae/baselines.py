"""Baselines: dictionaries that are fitted to data or drawn, with linear codes that are clipped at 0 or not.

    c = Ex + b, or ReLU(Ex + b);   x̂ = cD + o

Components have codes of either sign; random directions and neurons have theirs clipped (Cunningham et al. 2023).
Parameters: `encoder` E [L, D], `bias` b [L], `decoder` D [L, D], `offset` o [D].

Legend: N cells of a stack, B samples, D dimensions, L latents, V vectors to fit. Fits are in float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.spec.baselines import IcaSAE
from saespec.spec.spec import CellConfig

from .memory import aligned

Array = NDArray[np.float64]
Batches = Iterator[Array]
"""The vectors to fit, [B, D] at a time."""

Fit = Callable[[CellConfig, Batches, np.random.Generator], dict[str, Array]]


@dataclass(frozen=True)
class Baseline:
    """A kind of baseline: how it is fitted and what its codes are."""

    fit: Fit
    """Parameters of a cell from its vectors and a generator."""
    clipped: bool
    """Whether negative codes are set to 0."""
    elements: str = "decoder"
    """The parameter that holds the dictionary."""

    def encode(self, params: dict[str, Tensor], x_NBD: Tensor) -> Tensor:
        """Codes of a batch, [N, B, L]."""
        N, B, _ = x_NBD.shape
        codes_NBL = aligned(N, B, params["bias"].shape[1], device=x_NBD.device)
        encoder_NDL = params["encoder"].transpose(1, 2)
        torch.baddbmm(params["bias"].unsqueeze(1), x_NBD, encoder_NDL, out=codes_NBL)
        return codes_NBL.relu_() if self.clipped else codes_NBL

    def decode(self, params: dict[str, Tensor], codes_NBL: Tensor) -> Tensor:
        """Reconstructions, [N, B, D]."""
        N, B, _ = codes_NBL.shape
        x_NBD = aligned(N, B, params["decoder"].shape[2], device=codes_NBL.device)
        return torch.baddbmm(params["offset"].unsqueeze(1), codes_NBL, params["decoder"], out=x_NBD)

    def penalised(self, codes_NBL: Tensor) -> Tensor:
        """Their sizes: those of PCA and ICA have a sign."""
        return codes_NBL.abs()

    def dictionary(self, params: dict[str, Tensor]) -> Tensor:
        """Dictionary elements, [N, L, D], of unit length."""
        return params[self.elements]


def pca(config: CellConfig, batches: Batches, generator: np.random.Generator) -> dict[str, Array]:
    """The components of largest variance, from the covariance of all vectors: exact, and D² numbers in memory."""
    dim = config.data.dim
    count, sum_D, products_DD = 0, np.zeros(dim), np.zeros((dim, dim))
    for x_BD in batches:
        count += len(x_BD)
        sum_D += x_BD.sum(axis=0)
        products_DD += x_BD.T @ x_BD
    mean_D = sum_D / count
    _, vectors_DD = np.linalg.eigh(products_DD / count - np.outer(mean_D, mean_D))
    components_LD = vectors_DD.T[::-1][: config.sae.latents]
    largest_L = np.abs(components_LD).argmax(axis=1)
    components_LD = components_LD * np.sign(components_LD[np.arange(len(components_LD)), largest_L])[:, None]
    return _centred(components_LD, components_LD, mean_D)


def ica(config: CellConfig, batches: Batches, generator: np.random.Generator) -> dict[str, Array]:
    """Independent components by scikit-learn's FastICA (log cosh, parallel), on all vectors in memory.

    Scaled so that dictionary elements have unit length. Where it does not converge the last iterate counts.
    """
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    assert isinstance(config.sae, IcaSAE)
    model = FastICA(
        n_components=config.sae.latents,
        whiten="unit-variance",
        max_iter=config.sae.iterations,
        tol=1e-4,
        random_state=int(generator.integers(2**31)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(np.concatenate(list(batches)))
    lengths_L = np.linalg.norm(model.mixing_, axis=0)
    return _centred(model.components_ * lengths_L[:, None], model.mixing_.T / lengths_L[:, None], model.mean_)


def random_directions(
    config: CellConfig, batches: Batches, generator: np.random.Generator
) -> dict[str, Array]:
    """Directions uniform on the sphere; the decoder minimises the squared error, from sums over all vectors.

    A ridge of 1e-9 of the codes' mean power keeps it defined where latents never fire.
    """
    latents, dim = config.sae.latents, config.data.dim
    directions_LD = generator.standard_normal((latents, dim))
    directions_LD /= np.linalg.norm(directions_LD, axis=1, keepdims=True)
    codes_LL, targets_LD = np.zeros((latents, latents)), np.zeros((latents, dim))
    for x_BD in batches:
        codes_BL = np.maximum(x_BD @ directions_LD.T, 0)
        codes_LL += codes_BL.T @ codes_BL
        targets_LD += codes_BL.T @ x_BD
    ridge = max(1e-9 * np.trace(codes_LL) / latents, np.finfo(np.float64).tiny)
    decoder_LD = np.linalg.solve(codes_LL + ridge * np.eye(latents), targets_LD)
    return _plain(directions_LD, decoder_LD)


def neuron_basis(config: CellConfig, batches: Batches, generator: np.random.Generator) -> dict[str, Array]:
    """The input's own dimensions; nothing is fitted."""
    return _plain(np.eye(config.data.dim), np.eye(config.data.dim))


def _centred(encoder_LD: Array, decoder_LD: Array, mean_D: Array) -> dict[str, Array]:
    bias_L = -(encoder_LD @ mean_D)
    return {"encoder": encoder_LD, "bias": bias_L, "decoder": decoder_LD, "offset": mean_D}


def _plain(encoder_LD: Array, decoder_LD: Array) -> dict[str, Array]:
    latents, dim = encoder_LD.shape
    return {"encoder": encoder_LD, "bias": np.zeros(latents), "decoder": decoder_LD, "offset": np.zeros(dim)}


BASELINES: dict[str, Baseline] = {
    "pca": Baseline(pca, clipped=False),
    "ica": Baseline(ica, clipped=False),
    "random": Baseline(random_directions, clipped=True, elements="encoder"),
    "neuron_basis": Baseline(neuron_basis, clipped=True),
}
"""The code of each kind of baseline. Its configuration is in `saespec/spec/baselines.py`."""
