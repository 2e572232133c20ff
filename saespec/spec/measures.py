"""What can be measured on trained cells: configuration, and the columns that each measure writes.

A measure is a class here, or in `language_measures.py`, and a file of the same name in `saespec/measure/`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .columns import Column, ColumnType
from .language_measures import LanguageModel, ModelRecord, TopExamples
from .measured import Measured


class Recovery(Measured):
    """How well the dictionary recovers the ground truth (toy data only)."""

    needs = "truth"
    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (
            Column("mmcs", "float64", "cosine", "Mean over truth features of the best cosine with a latent."),
            Column(
                "mmcs_chance",
                "float64",
                "cosine",
                "The same for random directions, distributed as the true ones are.",
            ),
            Column("mcc", "float64", "cosine", "Mean cosine of a one-to-one assignment of truth to latents."),
            Column("recovered", "int64", "features", "Truth features whose best cosine exceeds 0.9."),
        ),
        "truth": (
            Column("frequency", "float64", "probability", "Share of held-out samples with it active."),
            Column("best_cosine", "float64", "cosine", "Highest cosine with a latent's dictionary element."),
            Column("best_latent", "int64", "index", "The latent with that cosine."),
        ),
    }
    kind: Literal["recovery"] = Field(description="MMCS, MCC and recovered features.")


class Losses(Measured):
    """Losses, sparsity and explained variance on held-out data."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (
            Column("reconstruction_loss", "float64", "squared activation", "As the cell's loss counts it."),
            Column("sparsity_loss", "float64", "penalty", "As the loss counts it, without coefficient."),
            Column(
                "loss", "float64", "squared activation", "Reconstruction loss plus coefficient·sparsity_loss."
            ),
            Column("l0", "float64", "latents per sample", "Mean number of latents that are not zero."),
            Column("fvu", "float64", "fraction", "Squared error over the data's variance around its mean."),
        ),
    }
    kind: Literal["losses"] = Field(description="Reconstruction loss and penalty, L0, FVU.")
    batches: int = Field(40, ge=1, description="Held-out batches to average over.")


class DeadLatents(Measured):
    """Latents that no sample of a window activates."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (
            Column("dead_latents", "int64", "latents", "Latents that are zero on the whole window."),
            Column("mmcs_alive", "float64", "cosine", "MMCS with the truth of the latents that are not."),
        ),
    }
    kind: Literal["dead_latents"] = Field(description="Latents silent for a window of held-out batches.")
    window: int = Field(
        100, ge=1, description="Held-out batches. Too short a window counts rare latents as dead."
    )


class Latents(Measured):
    """A row for each latent."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "latents": (
            Column("density", "float32", "probability", "Share of held-out samples that activate it."),
            Column("mean_active", "float32", "activation", "Mean code over the samples that activate it."),
            Column("bias", "float32", "activation", "Encoder bias."),
            Column("encoder_norm", "float32", "1", "Length of the encoder's row."),
            Column("best_cosine", "float32", "cosine", "Highest cosine with a truth feature (toy data)."),
            Column("best_feature", "int64", "index", "The truth feature with that cosine (toy data)."),
        ),
    }
    kind: Literal["latents"] = Field(description="Density, bias, norms and best match of each latent.")
    batches: int = Field(40, ge=1, description="Held-out batches to count densities on.")


class SparseCoding(Measured):
    """What the best codes over a cell's dictionary would give: its encoder left out (FISTA)."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (
            Column(
                "coding_loss", "float64", "squared activation", "Loss of these codes, as the cell counts it."
            ),
            Column("coding_l0", "float64", "latents per sample", "Mean number of them that are not zero."),
            Column("coding_fvu", "float64", "fraction", "Their fraction of variance unexplained."),
        ),
    }
    kind: Literal["sparse_coding"] = Field(
        description="Loss, L0 and FVU of the codes, none negative, that minimise the reconstruction loss plus an L1 "
        "penalty over the dictionary (FISTA)."
    )
    coefficient: float | None = Field(
        None,
        ge=0,
        description="Coefficient of that penalty, which is counted as the cell's is. null: the cell's own, and no "
        "value for cells that have no L1 penalty.",
    )
    batches: int = Field(4, ge=1, description="Held-out batches to average over.")
    iterations: int = Field(200, ge=1, description="Iterations of FISTA.")


class LargerDictionaries(Measured):
    """Agreement with larger dictionaries trained alike (method 3 of Sharkey et al. 2022)."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (
            Column(
                "mmcs_larger",
                "float64",
                "cosine",
                "Mean MMCS of this dictionary with the larger ones that differ in nothing but size.",
            ),
        ),
        "pairs": (
            Column("other_cell", "string", "id", "The larger dictionary's cell."),
            Column("other_latents", "int64", "latents", "Its size."),
            Column("mmcs", "float64", "cosine", "Mean over this cell's latents of the best cosine there."),
            Column("above_09", "int64", "latents", "Latents of this cell whose best cosine exceeds 0.9."),
        ),
    }
    kind: Literal["larger_dictionaries"] = Field(description="MMCS with larger dictionaries.")
    nearest: int | None = Field(
        None, ge=1, description="Average over so many of the next larger sizes; null: over all larger ones."
    )


class Agreement(Measured):
    """Agreement with the next larger dictionary of cells that differ in nothing but size, one to one."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (
            Column(
                "mcs_assigned",
                "float64",
                "cosine",
                "Mean cosine of latents with their partners in the next larger dictionary, assigned one to one.",
            ),
            Column("agreeing", "int64", "latents", "Latents whose partner's cosine exceeds the threshold."),
            Column("agreeing_share", "float64", "fraction", "Their share of the dictionary."),
            Column(
                "agreeing_nearest",
                "int64",
                "latents",
                "Latents whose highest cosine with the next larger dictionary exceeds the threshold; several may "
                "share one there.",
            ),
            Column("mmcs_next", "float64", "cosine", "MMCS with the next larger dictionary."),
            Column(
                "mmcs_next_two",
                "float64",
                "cosine",
                "Mean of the MMCS with the next two larger dictionaries, or with the one if there is no other.",
            ),
        ),
        "latents": (
            Column(
                "partner_cosine",
                "float32",
                "cosine",
                "Cosine with its partner in the next larger dictionary, assigned one to one.",
            ),
            Column("nearest_cosine", "float32", "cosine", "Highest cosine with a latent of that dictionary."),
        ),
    }
    kind: Literal["agreement"] = Field(description="One-to-one agreement with the next larger dictionary.")
    threshold: float = Field(0.9, ge=0, lt=1, description="Cosine above which two latents agree.")


class CosineHistogram(Measured):
    """Distribution of the best cosines with the next larger dictionary: a row for each cell and bin."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cosine_histogram": (
            Column("other_cell", "string", "id", "The next larger dictionary's cell."),
            Column("bin_low", "float64", "cosine", "Lower edge of the bin."),
            Column("bin_high", "float64", "cosine", "Upper edge of the bin."),
            Column("latents", "int64", "latents", "Latents whose highest cosine there lies in the bin."),
        ),
    }
    kind: Literal["cosine_histogram"] = Field(
        description="Histogram of highest cosines with the next larger dictionary."
    )
    bins: int = Field(20, ge=1, le=1000, description="Bins on [0, 1].")


class AliveLatents(Measured):
    """Latents that fire more than a few times on a sample (Cunningham et al. 2023)."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (
            Column("alive_latents", "int64", "latents", "Latents that fire often enough on the sample."),
            Column("alive_share", "float64", "fraction", "Their share of the dictionary."),
        ),
    }
    kind: Literal["alive_latents"] = Field(description="Latents that fire more than a few times.")
    batches: int = Field(40, ge=1, description="Held-out batches: the sample.")
    more_than: int = Field(10, ge=0, description="A latent is alive if it fires on more samples than this.")


_LATENTS_AND_MEANS: tuple[tuple[str, ColumnType, str], ...] = (
    ("cells", "float64", "Mean over latents: "),
    ("latents", "float32", ""),
)


class NeuronBasis(Measured):
    """Dictionary elements in the basis of the input's dimensions, and moments of their codes."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        table: (
            Column(
                "neuron_entropy", kind, "nat", f"{of}-Σ|f_j| ln|f_j| of the dictionary element at length 1."
            ),
            Column(
                "effective_neurons",
                kind,
                "neurons",
                f"{of}1/Σ(|f_j|/Σ|f|)², the effective number of the input's dimensions in the element.",
            ),
            Column("skew", kind, "1", f"{of}Third standardised moment of its codes on held-out data."),
            Column(
                "kurtosis",
                kind,
                "1",
                f"{of}Fourth standardised moment of its codes on held-out data (3 if normal).",
            ),
        )
        for table, kind, of in _LATENTS_AND_MEANS
    }
    kind: Literal["neuron_basis"] = Field(
        description="Entropy, effective number of neurons, skew and kurtosis of each latent."
    )
    batches: int = Field(40, ge=1, description="Held-out batches for skew and kurtosis.")


class Movement(Measured):
    """How far the dictionary moved between the points of its curve; needs train.movement."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "curves": (
            Column(
                "movement",
                "float64",
                "1",
                "Mean over latents of 1 - cos with the dictionary element at the point before, at first with the "
                "initial one.",
            ),
            Column("movement_sum", "float64", "latents", "The same summed over latents."),
        ),
    }
    kind: Literal["movement"] = Field(description="How far the dictionary moves between curve points.")


class Response(Measured):
    """What an autoencoder makes of a feature alone, by its magnitude."""

    needs = "truth"
    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "response": (
            Column("feature", "int64", "index", "The ground-truth feature, from 0."),
            Column(
                "magnitude", "float64", "activation", "Its coefficient in the input, which has nothing else."
            ),
            Column(
                "reconstructed", "float64", "activation", "The reconstruction along the feature's direction."
            ),
        ),
    }
    kind: Literal["response"] = Field(description="Reconstructed against true magnitude of a feature alone.")
    features: int = Field(1, ge=1, le=10_000, description="How many features, from the first one on.")
    up_to: float = Field(2.0, gt=0, description="The largest magnitude; the smallest is 0.")
    points: int = Field(41, ge=2, le=1000, description="Magnitudes, evenly spaced.")


class Monosemanticity(Measured):
    """How much of what activates a latent is one true feature."""

    needs = "truth"
    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (
            Column(
                "monosemanticity",
                "float64",
                "fraction",
                "Mean over latents of max_i a(f_i) / Σ_i a(f_i), a(f_i) the code for the true feature i alone "
                "(Jermyn et al. 2022, equation 7); latents that none activates are left out.",
            ),
        ),
    }
    kind: Literal["monosemanticity"] = Field(
        description="Share of a latent's activation that is of one feature."
    )


class Directions(Measured):
    """Dictionary elements and true features by their coordinates, for data of few dimensions."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "directions": (
            Column("of", "string", "name", "latent, or feature: a ground-truth one."),
            Column("number", "int64", "index", "Its number, from 0."),
            Column("axis", "int64", "index", "The dimension, from 0."),
            Column("coordinate", "float64", "1", "The coordinate."),
        ),
    }
    kind: Literal["directions"] = Field(description="Coordinates of elements and of true features.")


class Nonlinearity(Measured):
    """The nonlinearity and its gradients over what it takes, by the code that trains."""

    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "nonlinearity": (
            Column("pre", "float64", "activation", "m, what the encoder's weights give."),
            Column("bias", "float64", "activation", "b, the encoder's bias."),
            Column("code", "float64", "activation", "The code."),
            Column("by_pre", "float64", "1", "What training takes for its derivative by m."),
            Column("by_bias", "float64", "1", "What training takes for its derivative by b."),
        ),
    }
    kind: Literal["nonlinearity"] = Field(description="Codes and gradients over a grid of m and b.")
    up_to: float = Field(2.0, gt=0, description="m and b go from minus this to this.")
    points: int = Field(21, ge=2, le=201, description="Values of each, evenly spaced.")


Measure = Annotated[
    Recovery
    | Losses
    | DeadLatents
    | Latents
    | LargerDictionaries
    | SparseCoding
    | Agreement
    | CosineHistogram
    | AliveLatents
    | NeuronBasis
    | Movement
    | Response
    | Monosemanticity
    | Directions
    | Nonlinearity
    | LanguageModel
    | TopExamples
    | ModelRecord,
    Field(discriminator="kind"),
]
