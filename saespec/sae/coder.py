"""What measures need of a dictionary, trained or fitted: codes, reconstructions, elements.

Legend: N cells of a stack, B samples, D dimensions, L latents. All tensors float32.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from saespec.spec.spec import CellConfig

from .assembly import activation, dictionary, weights
from .baselines import BASELINES
from .memory import aligned
from .pieces import Activation, Params


class Coder(Protocol):
    """What autoencoders and baselines share; parameters of N cells are stacked."""

    def encode(self, params: Params, x_NBD: Tensor) -> Tensor:
        """Codes, [N, B, L]."""
        ...

    def decode(self, params: Params, codes_NBL: Tensor) -> Tensor:
        """Reconstructions, [N, B, D]."""
        ...

    def penalised(self, codes_NBL: Tensor) -> Tensor:
        """What a penalty is taken of, given the codes of the last batch that was encoded: none is negative."""
        ...

    def dictionary(self, params: Params) -> Tensor:
        """Dictionary elements, [N, L, D]."""
        ...


class Autoencoder:
    """A trained autoencoder: parameters are those of its checkpoint."""

    def __init__(self, config: CellConfig) -> None:
        self._config = config
        self._activation = activation(config, 1, torch.device("cpu"))

    def encode(self, params: Params, x_NBD: Tensor) -> Tensor:
        """Codes of a batch."""
        return encode(self._effective(params), self._activation, x_NBD)

    def decode(self, params: Params, codes_NBL: Tensor) -> Tensor:
        """Reconstructions."""
        return decode(self._effective(params), codes_NBL)

    def penalised(self, codes_NBL: Tensor) -> Tensor:
        """What a penalty is taken of."""
        return self._activation.penalised(codes_NBL)

    def dictionary(self, params: Params) -> Tensor:
        """Dictionary elements."""
        return params[dictionary(self._config)]

    def _effective(self, params: Params) -> Params:
        w = params
        for one in weights(self._config, params, self._activation):
            w = one.forward(w)
        return w


def coder(config: CellConfig) -> Coder:
    """What encodes and decodes for a cell."""
    kind = config.sae.kind
    return BASELINES[kind] if kind in BASELINES else Autoencoder(config)


def encode(w: Params, nonlinearity: Activation, x_NBD: Tensor) -> Tensor:
    """Codes of a batch, [N, B, L], from effective weights, as after training."""
    N, B, _ = x_NBD.shape
    encoder_NDL = w["encoder"].transpose(1, 2)
    codes_NBL = aligned(N, B, encoder_NDL.shape[2], device=x_NBD.device, dtype=encoder_NDL.dtype)
    if "shift" in w:
        torch.baddbmm(w["shift"].unsqueeze(1), x_NBD, encoder_NDL, out=codes_NBL)
    else:
        torch.bmm(x_NBD, encoder_NDL, out=codes_NBL)
    nonlinearity.codes(codes_NBL, w)
    return codes_NBL


def decode(w: Params, codes_NBL: Tensor) -> Tensor:
    """Reconstructions, [N, B, D], from effective weights."""
    N, B, _ = codes_NBL.shape
    x_NBD = aligned(N, B, w["decoder"].shape[2], device=codes_NBL.device, dtype=codes_NBL.dtype)
    torch.bmm(codes_NBL, w["decoder"], out=x_NBD)
    return x_NBD.add_(w["offset"].unsqueeze(1)) if "offset" in w else x_NBD
