"""Configuration of sparse autoencoder architectures, one class each, and of their loss."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Strict, exactly
from .columns import Stored


class ReluSAE(Strict):
    """c = ReLU(Mx + b), x̂ = Dc with unit-norm dictionary elements (Sharkey et al. 2022)."""

    kind: Annotated[Literal["relu"], Stored("architecture")] = Field(description="Linear, bias, ReLU.")
    latents: Annotated[int, Stored("latents", "latents")] = Field(
        ge=1, le=4_194_304, description="Dictionary size (n)."
    )
    tied: Annotated[Literal[False], exactly(False), Stored("tied")] = Field(
        False, description="The encoder has weights of its own."
    )
    decoder_bias: Annotated[Literal["none"], Stored("decoder_bias")] = Field(
        "none", description="The decoder has no bias."
    )
    decoder_norm: Annotated[Literal["unit"], Stored("decoder_norm")] = Field(
        "unit", description="Dictionary elements are normalised to unit length in the forward pass."
    )
    decoder_init: Annotated[Literal["orthogonal"], Stored("decoder_init")] = Field(
        "orthogonal", description="Initial dictionary: a random (semi-)orthogonal matrix."
    )


class L1(Strict):
    """Penalty on the L1 norm of the codes."""

    kind: Annotated[Literal["l1"], Stored("sparsity")] = Field(description="L1 norm of the codes.")
    coefficient: Annotated[float, Stored("l1_coefficient")] = Field(
        ge=0, description="α: what the (mean or summed) L1 norm is multiplied by."
    )
    per: Annotated[Literal["latents", "sample"], Stored("l1_per")] = Field(
        description="latents: ‖c‖₁ is divided by the dictionary size. sample: it is not."
    )


class Loss(Strict):
    """Reconstruction error plus sparsity penalty, both averaged over the batch."""

    reconstruction: Annotated[Literal["mean", "sum"], Stored("reconstruction")] = Field(
        description="Squared error: mean over the input's dimensions, or their sum."
    )
    sparsity: L1 = Field(description="The sparsity penalty.")
