"""Configuration of toy data: sparse sums of known directions (Sharkey et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from .base import Conflict, Consistent, Strict, kind_shorthand
from .columns import Added, Stored
from .numbers import number_text


class NoCorrelation(Strict):
    """Features are active independently of each other."""

    kind: Annotated[Literal["none"], Stored("correlation")] = Field(description="Independent features.")


class RandomCorrelation(Consistent):
    """Activity correlated through a fixed random covariance and the normal CDF."""

    kind: Annotated[Literal["random"], Stored("correlation")] = Field(
        description="Probabilities are the normal CDF of a sample of a fixed random multivariate normal."
    )
    covariance: Annotated[Literal["uniform", "gram"], Stored("covariance")] = Field(
        "uniform",
        description=(
            "uniform: a symmetrised matrix of U(0,1) entries shifted to be positive definite "
            "(pairwise correlations of about 0.05). gram: A Aᵀ with a Gaussian A of `rank` columns. Either is scaled "
            "to unit variance, unless `variance: raw`."
        ),
    )
    variance: Annotated[Literal["unit", "raw"], Stored("correlation_variance"), Added()] = Field(
        "unit",
        description=(
            "unit: the matrix is scaled to a diagonal of ones. raw: it is taken as it comes, as two public generators "
            "do; the normal CDF then saturates, and a feature is active in most samples of a draw or in none."
        ),
    )
    rank: Annotated[int | None, Stored("covariance_rank")] = Field(
        None, ge=1, description="Columns of A when covariance is gram (default: the number of features)."
    )
    strength: Annotated[float, Stored("correlation_strength")] = Field(
        1.0, ge=0, le=1, description="Off-diagonal correlations are multiplied by this; 0 leaves none."
    )
    draw: Annotated[Literal["batch", "sample"], Stored("correlation_draw")] = Field(
        "batch", description="One draw of the multivariate normal for each batch, or for each sample."
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.rank is not None and self.covariance != "gram":
            yield Conflict("rank", "is used only with covariance: gram", "remove it, or set covariance: gram")


class Groups(Consistent):
    """Equally large groups of consecutive features, exactly one of each active (Anders et al. 2024)."""

    kind: Annotated[Literal["groups"], Stored("correlation")] = Field(
        description="In each sample exactly one feature of each group is active."
    )
    groups: Annotated[int, Stored("groups", "groups"), Added()] = Field(
        2, ge=1, le=1000, description="How many groups: the first features are one, the next another."
    )
    boost: Annotated[float, Stored("boost", "probability"), Added()] = Field(
        0.0, ge=0, lt=1, description="Share of samples in which the first feature of every group is active."
    )
    single: Annotated[float, Stored("single", "probability"), Added()] = Field(
        0.0, ge=0, le=1, description="Share of samples in which one feature alone is active, any of all."
    )


class NoDecay(Strict):
    """All features are equally frequent, apart from correlation."""

    rule: Annotated[Literal["none"], Stored("decay_rule")] = Field(description="Equal frequencies.")


class Decay(Strict):
    """Later features are rarer."""

    rule: Annotated[Literal["multiply", "power"], Stored("decay_rule")] = Field(
        description="multiply: p_i·rate^i. power: p_i^(rate·i). The document can be read either way."
    )
    rate: Annotated[float, Stored("decay_rate")] = Field(0.99, gt=0, le=1, description="λ of the decay rule.")


class UniformCoefficients(Consistent):
    """Coefficients of active features are uniform."""

    low: Annotated[float, Stored("coefficient_low")] = Field(0.0, ge=0, description="Smallest coefficient.")
    high: Annotated[float, Stored("coefficient_high")] = Field(1.0, gt=0, description="Largest coefficient.")
    shared: Annotated[float, Stored("coefficient_shared", "probability"), Added()] = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of samples in which all active features have the same coefficient.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.low >= self.high:
            yield Conflict(
                "low", f"must be smaller than high ({number_text(self.high)}), not {number_text(self.low)}"
            )


class ToyData(Consistent):
    """x = F (b ⊙ u): known unit directions F, Bernoulli activity b, uniform coefficients u."""

    offers: ClassVar[str] = "truth"

    kind: Annotated[Literal["toy"], Stored("data")] = Field(description="Toy data with known ground truth.")
    dim: Annotated[int, Stored("dim", "dimensions")] = Field(
        ge=1, le=65_536, description="Dimensions of an activation vector (h)."
    )
    features: Annotated[int, Stored("features", "features")] = Field(
        ge=1, le=1_048_576, description="Ground-truth features (G)."
    )
    active: Annotated[float, Stored("active", "features per sample")] = Field(
        gt=0, description="Mean number of active features in a sample."
    )
    directions: Annotated[Literal["sphere", "positive", "simplex"], Stored("directions")] = Field(
        "sphere",
        description="Feature directions. sphere: uniform on it. positive: on its positive orthant. simplex: each of "
        "the groups of the correlation as far apart as can be (two are opposite), in dimensions of its own.",
    )
    correlation: Annotated[
        Annotated[NoCorrelation | RandomCorrelation | Groups, Field(discriminator="kind")],
        BeforeValidator(kind_shorthand),
    ] = Field(
        default_factory=lambda: NoCorrelation(kind="none"),
        description="How the activity of features hangs together.",
    )
    decay: Annotated[
        Annotated[NoDecay | Decay, Field(discriminator="rule")],
        BeforeValidator(lambda v: kind_shorthand(v, "rule")),
    ] = Field(
        default_factory=lambda: NoDecay(rule="none"), description="How frequencies fall with the index."
    )
    coefficients: UniformCoefficients = Field(
        default_factory=UniformCoefficients, description="Distribution of an active feature's coefficient."
    )
    empty_rows: Annotated[Literal["keep", "fill"], Stored("empty_rows")] = Field(
        "keep",
        description="Samples with no active feature: keep them, or give one random feature coefficient 1.",
    )
    jitter: Annotated[float, Stored("jitter")] = Field(
        0.0,
        ge=0,
        description="Expected length of the random vector added to a unit direction anew in each sample.",
    )
    background_noise: Annotated[float, Stored("background_noise", "activation units")] = Field(
        0.0, ge=0, description="S.d. per dimension of noise that is part of the data (input and target)."
    )

    off_noise: Annotated[float, Stored("off_noise", "activation units"), Added()] = Field(
        0.0,
        ge=0,
        description="Inactive features have a coefficient of U(0, off_noise) in the input, and none in the target: "
        "what a threshold must keep out (Taggart 2024).",
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.active > self.features:
            yield Conflict(
                "active", f"must be at most features ({self.features}), not {number_text(self.active)}"
            )

        if not isinstance(self.correlation, Groups):
            if self.directions == "simplex":
                yield Conflict(
                    "directions", "simplex is of groups of features", "set data.correlation.kind: groups"
                )
            return
        number, single = self.correlation.groups, self.correlation.single
        if self.features % number:
            yield Conflict(
                "features", f"must be a multiple of correlation.groups ({number}), not {self.features}"
            )
        elif self.directions == "simplex" and (least := self.features - number) > self.dim:
            yield Conflict(
                "dim", f"must be at least {least} for these groups, each a simplex of its own", "or sphere"
            )
        if abs(self.active - (expected := number * (1 - single) + single)) > 1e-9:
            yield Conflict(
                "active", f"must be {number_text(expected)}, what correlation.kind: groups makes of it"
            )
        if not isinstance(self.decay, NoDecay):
            yield Conflict("decay", "the features of a group are equally frequent", "remove it")
        if self.empty_rows == "fill":
            yield Conflict("empty_rows", "no sample is empty", "remove it")

    @property
    def truth_features(self) -> int:
        """How many features are known."""
        return self.features
