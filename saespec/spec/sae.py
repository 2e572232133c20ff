"""Configuration of sparse autoencoder architectures, one class each, and of their loss."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Strict, exactly
from .columns import Stored


class _Relu(Strict):
    """What ReLU autoencoders share; the order of fields is that of columns."""

    kind: str
    latents: Annotated[int, Stored("latents", "latents")] = Field(
        ge=1, le=4_194_304, description="Dictionary size (n)."
    )
    tied: bool
    decoder_bias: Annotated[Literal["none"], Stored("decoder_bias")] = Field(
        "none", description="The decoder has no bias."
    )
    decoder_norm: Annotated[Literal["unit", "unit_in_forward"], Stored("decoder_norm")] = Field(
        "unit",
        description=(
            "How dictionary elements have unit length. unit: they are rescaled before each forward pass, and their "
            "gradient is taken as it comes. unit_in_forward: the forward pass divides them by their length, which is "
            "free to grow."
        ),
    )
    decoder_init: Annotated[Literal["orthogonal"], Stored("decoder_init")] = Field(
        "orthogonal", description="Initial dictionary: a random (semi-)orthogonal matrix."
    )


class ReluSAE(_Relu):
    """c = ReLU(Mx + b), x̂ = Dc with unit-norm dictionary elements (Sharkey et al. 2022)."""

    kind: Annotated[Literal["relu"], Stored("architecture")] = Field(description="Linear, bias, ReLU.")
    tied: Annotated[Literal[False], exactly(False), Stored("tied")] = Field(
        False, description="The encoder has weights of its own."
    )


class TiedReluSAE(_Relu):
    """c = ReLU(Mx + b), x̂ = Mᵀc with unit-norm rows of M (Cunningham et al. 2023)."""

    kind: Annotated[Literal["tied_relu"], Stored("architecture")] = Field(
        description="Linear, bias, ReLU; the encoder's weights are the dictionary."
    )
    tied: Annotated[Literal[True], exactly(True), Stored("tied")] = Field(
        True, description="The encoder's weights are the dictionary."
    )


class _Fitted(Strict):
    """A dictionary that is fitted, not trained, on the first steps × batch vectors of the training data.

    The cell's loss is what its losses are counted by; the optimiser has no say, and its curve is one point.
    """

    unread: ClassVar[tuple[str, ...]] = ("train.optimizer", "train.curve_points", "train.movement")

    latents: Annotated[int, Stored("latents", "latents")] = Field(
        ge=1, le=4_194_304, description="Dictionary size (n)."
    )


class PcaSAE(_Fitted):
    """Principal components: c = V(x − μ), x̂ = Vᵀc + μ, codes of either sign."""

    kind: Annotated[Literal["pca"], Stored("architecture")] = Field(
        description="Principal components with the largest variance; codes have a sign."
    )


class IcaSAE(_Fitted):
    """Independent components (FastICA, Hyvärinen 1999): c = W(x − μ), x̂ = Ac + μ, codes of either sign."""

    kind: Annotated[Literal["ica"], Stored("architecture")] = Field(
        description="Independent components (FastICA); codes have a sign."
    )
    iterations: Annotated[int, Stored("ica_iterations", "iterations")] = Field(
        200, ge=1, description="Most iterations of FastICA; it stops before at a tolerance of 1e-4."
    )


class RandomSAE(_Fitted):
    """Random directions: c = ReLU(Rx), x̂ = the linear function of c that fits best."""

    kind: Annotated[Literal["random"], Stored("architecture")] = Field(
        description="Random directions, negative codes clipped to 0; the decoder by least squares."
    )


class NeuronBasisSAE(_Fitted):
    """The input's own dimensions: x̂ = c = ReLU(x)."""

    kind: Annotated[Literal["neuron_basis"], Stored("architecture")] = Field(
        description="The input's own dimensions, negative codes clipped to 0."
    )


Baseline = PcaSAE | IcaSAE | RandomSAE | NeuronBasisSAE
SAE = Annotated[ReluSAE | TiedReluSAE | Baseline, Field(discriminator="kind")]


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
