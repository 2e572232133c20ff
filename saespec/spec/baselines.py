"""Configuration of baselines: dictionaries that are fitted or drawn, one class each."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Strict
from .columns import Stored


class _Fitted(Strict):
    """A dictionary that is fitted, not trained, on the first steps × batch vectors of the training data.

    The cell's loss is what its losses are counted by; the optimiser has no say, and its curve is one point.
    """

    unread: ClassVar[tuple[str, ...]] = (
        *("train.optimizer", "train.schedule", "train.clip", "train.resample"),
        *("train.curve_points", "train.movement"),
        *("loss.prefixes", "loss.auxiliary", "loss.sparsity.warmup", "loss.sparsity.weighted_by_norm"),
    )

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
