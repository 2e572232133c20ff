"""What measures need of a dictionary, trained or fitted: codes, reconstructions, elements.

Legend: N cells of a stack, B samples, D dimensions, L latents. All tensors float32.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from saespec.spec.spec import CellConfig

from .architecture import ARCHITECTURES, Params
from .baselines import BASELINES


class Coder(Protocol):
    """The functions that architectures and baselines share; parameters of N cells are stacked."""

    def encode(self, params: Params, x_NBD: Tensor) -> Tensor:
        """Codes, [N, B, L]."""
        ...

    def decode(self, params: Params, codes_NBL: Tensor) -> Tensor:
        """Reconstructions, [N, B, D]."""
        ...

    def dictionary(self, params: Params) -> Tensor:
        """Dictionary elements of unit length, [N, L, D]."""
        ...


def coder(config: CellConfig) -> Coder:
    """What encodes and decodes for a cell."""
    kind = config.sae.kind
    return BASELINES[kind] if kind in BASELINES else ARCHITECTURES[kind]
