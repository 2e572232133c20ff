"""What an autoencoder is made of. Each piece is a file; `assembly` says which ones a cell's configuration asks for.

    raw parameters → Weights, one after the other → effective weights:
        encoder [N, L, D], shift [N, L], decoder [N, L, D], offset [N, D], and what the activation calls its own
    codes = activation(encoder x + shift),   x̂ = codes · decoder + offset
    loss = mean over the batch of s_r ‖x̂ − x‖² + penalty(codes)

Every piece knows its own derivative in closed form; `gradients` puts them together by the chain rule. Tested
against autograd in float64, where a gradient is not synthetic by definition.

Legend: N cells of a stack, n of them in one view, B samples, D dimensions, L latents. Codes and their gradients are
tensors in the layout of a view: [n, B, L], or [K] where only K active codes are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol, TypeAlias

import torch
from torch import Tensor

Params: TypeAlias = dict[str, Tensor]
"""Stacked parameters, or gradients by them, by name; cells first, float32."""

Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""The shape of each parameter of one cell."""


class PerCell:
    """A number of each cell, [N] in float32, and the same as [N, 1, 1] in the type of what it multiplies."""

    def __init__(self, values: Sequence[float], device: torch.device, dtype: torch.dtype) -> None:
        exact = dtype if dtype == torch.float64 else torch.float32
        self.value_N = torch.tensor(values, dtype=torch.float64).to(device, exact)
        self.value_N11 = self.value_N.view(-1, 1, 1).to(dtype)
        self._full_N = self.value_N.clone()

    def share(self, factor: float) -> None:
        """Take this share of the numbers given at first."""
        torch.mul(self._full_N, factor, out=self.value_N)
        self.value_N11.copy_(self.value_N.view(-1, 1, 1))


class Weights(Protocol):
    """A map from trained parameters towards the ones that the products take."""

    def forward(self, params: Params) -> Params:
        """The parameters on its other side; those that it does not change are the same tensors."""
        ...

    def wire(self, grads: Params) -> Params:
        """Where gradients on its other side are to be written, given where those on this side are. Called once."""
        ...

    def back(self) -> None:
        """Turn the gradients on its other side into those on this side."""
        ...


class Norm(Weights, Protocol):
    """The first map: how dictionary elements come to the length that they have in the forward pass."""

    def observe(self, params: Params) -> Params:
        """As `forward`, and nothing that training goes on with is changed."""
        ...


class View(Protocol):
    """The codes of some cells in one layout, with the products that take them."""

    codes: Tensor
    active_only: bool
    """Whether codes are all different from zero, one after the other, [K]; else they are [n, B, L]."""

    def own(self, value: Tensor) -> Tensor:
        """The rows of the view's cells of a tensor whose first axis is N."""
        ...

    def cells(self, number: PerCell) -> Tensor:
        """A number of each cell, broadcast to the layout of codes."""
        ...

    def latents(self, value_NL: Tensor) -> Tensor:
        """A number of each latent, broadcast to the layout of codes."""
        ...

    def sums(self, values: Tensor, out_NL: Tensor) -> None:
        """Write the sums over samples of what is in the layout of codes."""
        ...

    def sample_sums(self, values: Tensor) -> Tensor:
        """The sums over latents of what is in the layout of codes, broadcast to it."""
        ...

    def error(self, w: Params, target_NBD: Tensor, scale: PerCell) -> Tensor:
        """Reconstructions minus targets, times a number of each cell, [n, B, D], float32."""
        ...

    def codes_gradient(self, w: Params, error_nBD: Tensor, constant: Tensor | None) -> Tensor:
        """The error times the decoder's transpose, plus a constant, in the layout of codes."""
        ...

    def decoder_gradient(self, error_nBD: Tensor, g: Params) -> None:
        """Write the gradient by the decoder."""
        ...

    def encoder_gradient(self, grad: Tensor, x_NBD: Tensor, g: Params) -> None:
        """Write the gradients by encoder and shift, given the one by what the encoder gives."""
        ...

    def offset_gradient(self, error_nBD: Tensor, g: Params) -> None:
        """Write the gradient by the reconstruction's offset, if there is one."""
        ...


class Products(Protocol):
    """The matrix products of a step, and the buffers that they write to: the only place that knows a precision."""

    dtype: torch.dtype
    """Of codes and their gradients."""
    codes_NBL: Tensor
    """Where `encode` writes; codes, once the activation was there."""
    state: Params
    """What it remembers from step to step, cells first; part of a snapshot."""

    def encode(self, x_NBD: Tensor, w: Params) -> Tensor:
        """encoder · x + shift, [N, B, L]: what the activation takes, and turns into codes in place."""
        ...

    def beside(self, codes_NBL: Tensor) -> View:
        """A dense view of other codes of the same latents, with buffers of its own: for a second decoding."""
        ...

    def views(self) -> Iterable[View]:
        """All cells' codes, those that go the same way together. Asked once a step."""
        ...


class Activation(Protocol):
    """The nonlinearity."""

    bias_in_product: ClassVar[bool]
    """Whether the encoder's bias is added to the product; else the activation has its own use for it."""
    state: Params
    """What it remembers from step to step, cells first; part of a snapshot, and of a finished cell."""

    def forward(self, pre_NBL: Tensor, w: Params) -> None:
        """Turn what the encoder gives into codes, in place, as in training."""
        ...

    def codes(self, pre_NBL: Tensor, w: Params) -> None:
        """The same as after training, given the parameters and what was learned besides them."""
        ...

    def learned(self) -> Params:
        """What a finished cell keeps besides its parameters, cells first."""
        ...

    def penalised(self, codes_NBL: Tensor) -> Tensor:
        """What the penalty is taken of, given the codes of the last pass: these, as a rule."""
        ...

    def back(self, view: View, grad: Tensor, w: Params, g: Params) -> None:
        """Turn the gradient by codes into the one by what the encoder gives, in place; add those by its own."""
        ...


class Penalty(Protocol):
    """What makes codes sparse."""

    def value(self, codes: Tensor, decoder_LD: Tensor) -> Tensor:
        """Its sum over samples, without coefficient, float64: [] for codes [B, L], [N] for [N, B, L]."""
        ...

    def constant(self, view: View, w: Params) -> Tensor | None:
        """The gradient by codes that are not zero where it does not depend on them: it rides in the product."""
        ...

    def back(self, view: View, grad: Tensor, w: Params) -> None:
        """Add the gradient by codes of what `constant` leaves out."""
        ...

    def weights_back(self, view: View, w: Params, g: Params) -> None:
        """Add the gradient by the decoder, which is written by then."""
        ...


class Auxiliary(Protocol):
    """A second decoding, of latents that the first one leaves out."""

    def keep(self, pre_NBL: Tensor) -> None:
        """Look at what the encoder gives, before it is turned into codes."""
        ...

    def back(self, error_NBD: Tensor, grad_NBL: Tensor, w: Params) -> None:
        """Add the gradient by what the encoder gives, given that of the rest, and the scaled error."""
        ...

    def weights_back(self, g: Params) -> None:
        """Add the gradient by the decoder, which is written by then."""
        ...
