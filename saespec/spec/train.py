"""Configuration of training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Strict
from .columns import Added, ByRow, Stored
from .rules import NoResampling, Resampling, Schedule


class Adam(Strict):
    """Adam (Kingma & Ba 2015), bias-corrected, no weight decay."""

    kind: Annotated[Literal["adam"], Stored("optimizer")] = Field("adam", description="Adam.")
    lr: Annotated[float, Stored("lr"), ByRow()] = Field(gt=0, description="Learning rate.")
    beta1: Annotated[float, Stored("beta1"), ByRow()] = Field(
        0.9, ge=0, lt=1, description="Decay of the mean."
    )
    beta2: Annotated[float, Stored("beta2"), ByRow()] = Field(
        0.999, ge=0, lt=1, description="Decay of the mean square."
    )
    eps: Annotated[float, Stored("adam_eps"), ByRow()] = Field(
        1e-8, gt=0, description="Added to the denominator."
    )


class Train(Strict):
    """How long and with what a cell is trained."""

    steps: Annotated[int, Stored("steps", "steps")] = Field(ge=1, description="Optimiser steps.")
    batch: Annotated[int, Stored("batch", "samples")] = Field(
        ge=1, le=4_194_304, description="Samples in a step."
    )
    optimizer: Adam = Field(description="The optimiser.")
    schedule: Annotated[Schedule, Added()] = Field(
        default_factory=Schedule, description="How the learning rate changes over the steps."
    )
    clip: Annotated[float | None, Stored("clip"), Added()] = Field(
        None,
        gt=0,
        description="The length that a cell's gradient, over all its weights, is shortened to if longer.",
    )
    resample: Annotated[Resampling, Added()] = Field(
        default_factory=lambda: NoResampling(kind="none"),
        description="Whether and how dead latents begin anew.",
    )
    input_noise: Annotated[float, Stored("input_noise", "activation units"), ByRow()] = Field(
        0.0, ge=0, description="S.d. per dimension of noise on the input alone (a denoising autoencoder)."
    )
    curve_points: Annotated[int, Stored("curve_points", "rows")] = Field(
        25, ge=1, le=10_000, description="Rows a cell adds to the `curves` table, evenly spaced in steps."
    )
    precision: Annotated[Literal["float32", "bfloat16"], Stored("precision"), Added()] = Field(
        "float32",
        description=(
            "What matrix products take. bfloat16: operands and results are rounded to it; weights, optimiser and "
            "measures stay float32."
        ),
    )
    products: Annotated[Literal["dense", "sparse"], Stored("products"), Added()] = Field(
        "dense",
        description=(
            "sparse: once few of a cell's latents are active, a CPU multiplies only those (in float32, but for the "
            "encoder); sums are then taken in another order."
        ),
    )
    movement: Annotated[bool, Stored("records_movement"), Added()] = Field(
        False,
        description="Whether curves record how far the dictionary moved since the point before, for the measure "
        "movement.",
    )
