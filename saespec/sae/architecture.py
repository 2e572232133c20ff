"""What an architecture is, and the list of them.

An architecture is a module with the functions below: add one by adding its file, its configuration in
`saespec/spec/sae.py` and one line here.

Legend: N cells of a stack, B samples, D dimensions, L latents. All tensors float32.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.spec.spec import CellConfig

from . import relu, tied_relu

Params = dict[str, Tensor]
"""Stacked parameters by name, cells first. Every architecture has `encoder` [N, L, D] and `bias` [N, L]."""


class Gradients(Protocol):
    """The gradients of a stack's losses, by hand."""

    choice: dict[str, Tensor]
    """What it remembers from step to step, cells first; part of a snapshot."""

    def __call__(self, params: Params, grads: Params, x_NBD: Tensor, target_NBD: Tensor) -> None:
        """Write into `grads` the gradient of each cell's loss at parameters whose dictionary has unit length."""
        ...


class Architecture(Protocol):
    """The functions of an architecture's module; parameters of N cells are stacked."""

    DICTIONARY: str
    """Which parameter holds the dictionary's elements."""

    def shapes(self, config: CellConfig) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter of one cell."""
        ...

    def initial(self, config: CellConfig, generator: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Initial parameters of one cell."""
        ...

    def encode(self, params: Params, x_NBD: Tensor) -> Tensor:
        """Codes, [N, B, L]."""
        ...

    def decode(self, params: Params, codes_NBL: Tensor) -> Tensor:
        """Reconstructions, [N, B, D]."""
        ...

    def dictionary(self, params: Params) -> Tensor:
        """Dictionary elements, [N, L, D]."""
        ...

    def gradients(self, configs: list[CellConfig], device: torch.device) -> Gradients:
        """What computes the gradients of these cells, with the buffers that it needs."""
        ...


ARCHITECTURES: dict[str, Architecture] = {
    "relu": relu,
    "tied_relu": tied_relu,
}


def architecture(config: CellConfig) -> Architecture:
    """The architecture of a cell."""
    return ARCHITECTURES[config.sae.kind]
