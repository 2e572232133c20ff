"""Configuration of sparse autoencoders, one class for each nonlinearity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from .base import Conflict, Consistent, Strict, kind_shorthand
from .baselines import Baseline
from .columns import Added, Stored


class Drawn(Strict):
    """Weights that are drawn."""

    kind: Annotated[Literal["uniform", "xavier"], Stored("encoder_init")] = Field(
        description="uniform: on ±1/√d, as PyTorch's Linear has it. xavier: on ±√(6/(d+n))."
    )


class DecoderTransposed(Strict):
    """The dictionary's own elements, shortened."""

    kind: Annotated[Literal["decoder_transposed"], Stored("encoder_init")] = Field(
        description="decoder_transposed: the dictionary's elements, times scale."
    )
    scale: Annotated[float, Stored("encoder_init_scale"), Added()] = Field(
        1.0, gt=0, description="What the dictionary's elements are multiplied by to be the encoder's."
    )


class Init(Strict):
    """Where training starts. What is drawn depends on the shapes, the kind of start and the seed alone."""

    encoder: Annotated[
        Annotated[Drawn | DecoderTransposed, Field(discriminator="kind")], BeforeValidator(kind_shorthand)
    ] = Field(default_factory=lambda: Drawn(kind="uniform"), description="The encoder's weights.")
    decoder: Annotated[Literal["orthogonal", "sphere", "data"], Stored("decoder_init")] = Field(
        "orthogonal",
        description=(
            "Dictionary elements. orthogonal: a random (semi-)orthogonal matrix. sphere: random directions. data: "
            "training vectors, less the decoder's bias, at unit length (informed initialisation)."
        ),
    )
    bias: Annotated[Literal["uniform", "zero"], Stored("bias_init"), Added()] = Field(
        "uniform", description="The encoder's biases. uniform: on ±1/√d, as PyTorch's Linear has it."
    )
    decoder_bias: Annotated[
        Literal["zero", "mean", "geometric_median"], Stored("decoder_bias_init"), Added()
    ] = Field(
        "zero", description="The decoder's bias: zero, or of the vectors of the first training batches."
    )


class _Trained(Consistent):
    """What all autoencoders share; the order of fields is that of columns."""

    kind: str
    latents: Annotated[int, Stored("latents", "latents")] = Field(
        ge=1, le=4_194_304, description="Dictionary size (n)."
    )
    weights: Annotated[Literal["untied", "tied"], Stored("weights")] = Field(
        "untied", description="tied: the encoder's weights are the dictionary."
    )
    decoder_bias: Annotated[Literal["none", "learned", "shared"], Stored("decoder_bias")] = Field(
        "none",
        description=(
            "learned: added to reconstructions. shared: the same is subtracted from the input before it is encoded."
        ),
    )
    decoder_norm: Annotated[
        Literal["none", "unit", "unit_in_forward", "unit_projected"], Stored("decoder_norm")
    ] = Field(
        "unit",
        description=(
            "How dictionary elements have unit length. unit: they are rescaled before each forward pass, and their "
            "gradient is taken as it comes. unit_projected: likewise, and the part of the gradient along an element "
            "is removed before the optimiser sees it. unit_in_forward: the forward pass divides them by their "
            "length, which is free to grow. none: they need not have it."
        ),
    )
    init: Init = Field(default_factory=Init, description="Where training starts.")

    def conflicts(self) -> Iterator[Conflict]:
        if self.weights == "tied" and self.init.encoder != Drawn(kind="uniform"):
            yield Conflict(
                "init.encoder", "tied weights have no start of their own for the encoder", "remove it"
            )
        if self.decoder_bias == "none" and self.init.decoder_bias != "zero":
            message = "there is no decoder bias to start"
            yield Conflict("init.decoder_bias", message, "remove it, or set sae.decoder_bias")


class ReluSAE(_Trained):
    """c = ReLU(Wx + b)."""

    kind: Annotated[Literal["relu"], Stored("architecture")] = Field(
        description="relu: what is positive of Wx + b (Sharkey et al. 2022; tied: Cunningham et al. 2023)."
    )


class ProluSAE(_Trained):
    """c = m if m > 0 and m + b > 0, else 0, with m = Wx (Taggart 2024)."""

    kind: Annotated[Literal["prolu"], Stored("architecture")] = Field(
        description="prolu: Wx itself where it and Wx + b are positive; what the bias learns from is synthetic."
    )
    gradient: Annotated[Literal["relu", "ste"], Stored("prolu_gradient")] = Field(
        "relu",
        description=(
            "The synthetic gradient. relu: as of ReLU(m + b). ste: the step function as its own derivative, g·(1 + m) "
            "by m and g·m by b."
        ),
    )
    hybrid: Annotated[bool, Stored("prolu_hybrid")] = Field(
        False, description="Whether ReLU(m + b) takes ProLU's place where a bias is positive."
    )


class _Counted(_Trained):
    """What architectures that fix the number of active latents share."""

    k: Annotated[int, Stored("k", "latents per sample")] = Field(ge=1, description="Active latents a sample.")

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.k > self.latents:
            yield Conflict("k", f"must be at most latents ({self.latents}), not {self.k}")


class TopKSAE(_Counted):
    """The k largest of ReLU(Wx + b) of a sample (Gao et al. 2024)."""

    kind: Annotated[Literal["topk"], Stored("architecture")] = Field(
        description="topk: the k largest positive values of Wx + b of a sample; of equal ones the first."
    )


class BatchTopKSAE(_Counted):
    """The k·B largest of ReLU(Wx + b) of a batch of B (Bussmann et al. 2024)."""

    kind: Annotated[Literal["batch_topk"], Stored("architecture")] = Field(
        description="batch_topk: the largest positive values of Wx + b of a batch, k a sample on average; after "
        "training those above a threshold."
    )


class JumpReluSAE(_Trained):
    """c = z where z = Wx + b exceeds a learned threshold, else 0 (Rajamanoharan et al. 2024)."""

    kind: Annotated[Literal["jumprelu"], Stored("architecture")] = Field(
        description="jumprelu: Wx + b where it exceeds the latent's threshold, which learns by a rectangle kernel."
    )
    threshold: Annotated[float, Stored("threshold_init", "activation")] = Field(
        0.001, gt=0, description="Where thresholds start."
    )
    bandwidth: Annotated[float, Stored("bandwidth", "activation")] = Field(
        0.001, gt=0, description="Width of the kernel: what is within half of it of a threshold moves it."
    )


class GatedSAE(_Trained):
    """What a gate lets through of a magnitude (Rajamanoharan et al. 2024)."""

    kind: Annotated[Literal["gated"], Stored("architecture")] = Field(
        description="gated: ReLU(e^r·Wx + b) where the gate Wx + c is positive. The penalty is of the gate's positive "
        "part, which also reconstructs, by a decoder that does not learn from it."
    )


TrainedSAE: TypeAlias = ReluSAE | ProluSAE | TopKSAE | BatchTopKSAE | JumpReluSAE | GatedSAE
"""Any autoencoder."""

SAE = Annotated[TrainedSAE | Baseline, Field(discriminator="kind")]
"""Any dictionary: trained, or fitted."""
