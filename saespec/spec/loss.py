"""Configuration of the loss: reconstruction, what makes codes sparse, what keeps latents alive."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from .base import Strict, kind_shorthand
from .columns import Added, ByRow, Stored
from .rules import Window


class NoPenalty(Strict):
    """Nothing but the architecture makes codes sparse."""

    kind: Annotated[Literal["none"], Stored("sparsity")] = Field(description="none: no penalty.")


class _Penalty(Strict):
    """What penalties share."""

    coefficient: Annotated[float, Stored("sparsity_coefficient"), ByRow()] = Field(
        ge=0, description="What the penalty is multiplied by."
    )
    per: Annotated[Literal["latents", "sample"], Stored("sparsity_per"), ByRow()] = Field(
        description="latents: the penalty is divided by the dictionary size. sample: it is not."
    )
    warmup: Annotated[float, Stored("sparsity_warmup", "fraction of steps"), Added()] = Field(
        0.0, ge=0, le=1, description="Share of the steps over which the coefficient rises from 0, linearly."
    )


class PenaltyOfCodes(_Penalty):
    """What penalties of the codes' sizes share."""

    weighted_by_norm: Annotated[bool, Stored("sparsity_weighted"), Added()] = Field(
        False, description="Whether each code counts times the length of its dictionary element."
    )


class L1(PenaltyOfCodes):
    """Penalty on the L1 norm of the codes."""

    kind: Annotated[Literal["l1"], Stored("sparsity")] = Field(description="l1: the sum of the codes.")


class Sqrt(PenaltyOfCodes):
    """Penalty on square roots (Taggart 2024)."""

    kind: Annotated[Literal["sqrt"], Stored("sparsity")] = Field(
        description="sqrt: the square root of codes, or of their sum."
    )
    of: Annotated[Literal["codes", "sum"], Stored("sqrt_of"), Added()] = Field(
        "codes", description="codes: Σ √(c + 1e-6), the document's code. sum: √(Σ c + 1e-6), its words."
    )


class Tanh(PenaltyOfCodes):
    """Penalty that saturates (Jermyn et al. 2024)."""

    kind: Annotated[Literal["tanh"], Stored("sparsity")] = Field(description="tanh: Σ tanh(scale · c).")
    scale: Annotated[float, Stored("tanh_scale"), Added()] = Field(
        1.0, gt=0, description="What codes are multiplied by before tanh."
    )


class L0(_Penalty):
    """Penalty on the number of active latents, by a straight-through estimate (Rajamanoharan et al. 2024)."""

    kind: Annotated[Literal["l0"], Stored("sparsity")] = Field(
        description="l0: the number of codes that are not zero; its gradient reaches JumpReLU's thresholds alone."
    )


class NoAuxiliary(Strict):
    """Nothing."""

    kind: Annotated[Literal["none"], Stored("auxiliary"), Added()] = Field(description="none.")


class _Auxiliary(Window):
    """What auxiliary losses share."""

    window: Annotated[int, Stored("auxiliary_window"), Added()] = Field(
        1000, ge=1, description="How long a latent is silent before it counts as dead."
    )
    window_in: Annotated[Literal["steps", "samples"], Stored("auxiliary_window_in"), Added()] = Field(
        "steps", description="What the window is counted in."
    )


class AuxK(_Auxiliary):
    """Dead latents reconstruct what the others leave (Gao et al. 2024)."""

    kind: Annotated[Literal["aux_k"], Stored("auxiliary"), Added()] = Field(
        description="aux_k: the k strongest of the dead latents reconstruct the error."
    )
    k: Annotated[int, Stored("auxiliary_k", "latents"), Added()] = Field(
        ge=1, description="Dead latents that reconstruct a sample's error."
    )
    coefficient: Annotated[float, Stored("auxiliary_coefficient"), Added()] = Field(
        0.03125, gt=0, description="What their loss is multiplied by."
    )


class Ghost(_Auxiliary):
    """Ghost gradients (Jermyn & Templeton 2024)."""

    kind: Annotated[Literal["ghost"], Stored("auxiliary"), Added()] = Field(
        description="ghost: dead latents, through an exponential, reconstruct the error at half its length."
    )


class Loss(Strict):
    """Reconstruction error plus sparsity penalty, both averaged over the batch."""

    reconstruction: Annotated[Literal["mean", "sum"], Stored("reconstruction"), ByRow()] = Field(
        description="Squared error: mean over the input's dimensions, or their sum."
    )
    prefixes: Annotated[int, Stored("prefixes", "dictionaries"), Added()] = Field(
        1,
        ge=1,
        description=(
            "Nested dictionaries that each reconstruct alone (Matryoshka): the first 1/2^i of the latents, for i below "
            "this number; the reconstruction loss is the mean of theirs."
        ),
    )
    sparsity: Annotated[
        Annotated[NoPenalty | L1 | Sqrt | Tanh | L0, Field(discriminator="kind")],
        BeforeValidator(kind_shorthand),
    ] = Field(description="The sparsity penalty.")
    auxiliary: Annotated[
        Annotated[NoAuxiliary | AuxK | Ghost, Field(discriminator="kind")],
        BeforeValidator(kind_shorthand),
        Added(),
    ] = Field(default_factory=lambda: NoAuxiliary(kind="none"), description="What keeps latents alive.")

    def reconstruction_scale(self, dim: int) -> float:
        """What the squared error, summed over dimensions, is multiplied by: 1/d for `mean`, 1 for `sum`."""
        return 1 / dim if self.reconstruction == "mean" else 1.0

    def sparsity_scale(self, latents: int) -> float:
        """What the penalty is multiplied by apart from its coefficient: 1/n for `per: latents`, 1 for `sample`."""
        return 1 / latents if isinstance(self.sparsity, _Penalty) and self.sparsity.per == "latents" else 1.0

    @property
    def coefficient(self) -> float:
        """The penalty's coefficient; 0 without one."""
        return self.sparsity.coefficient if isinstance(self.sparsity, _Penalty) else 0.0
