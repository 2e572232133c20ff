"""Configuration of what training does beside the optimiser's steps: schedules, resampling, windows of dead latents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from .base import Strict, kind_shorthand
from .columns import Added, Stored


class Window(Strict):
    """How long a latent must be silent to count as dead."""

    window: int
    window_in: Literal["steps", "samples"]

    def window_steps(self, batch: int) -> int:
        """The window in steps."""
        return self.window if self.window_in == "steps" else -(-self.window // batch)


class SteadyRate(Strict):
    """The learning rate stays."""

    kind: Annotated[Literal["none"], Stored("lr_decay"), Added()] = Field(description="none.")


class FallingRate(Strict):
    """The learning rate falls towards the end."""

    kind: Annotated[Literal["linear", "cosine"], Stored("lr_decay"), Added()] = Field(
        description="linear, or cosine: half a wave."
    )
    last: Annotated[float, Stored("lr_decay_last", "fraction of steps"), Added()] = Field(
        0.2, gt=0, le=1, description="Share of the steps over which it falls, the last ones."
    )
    to: Annotated[float, Stored("lr_decay_to", "fraction"), Added()] = Field(
        0.0, ge=0, lt=1, description="What it falls to, as a share of the learning rate."
    )


class Schedule(Strict):
    """How the learning rate changes over the steps."""

    warmup: Annotated[float, Stored("lr_warmup", "fraction of steps"), Added()] = Field(
        0.0, ge=0, le=1, description="Share of the steps over which it rises from 0, linearly."
    )
    decay: Annotated[
        Annotated[SteadyRate | FallingRate, Field(discriminator="kind")], BeforeValidator(kind_shorthand)
    ] = Field(default_factory=lambda: SteadyRate(kind="none"), description="How it falls at the end.")


class NoResampling(Strict):
    """Dead latents stay dead."""

    kind: Annotated[Literal["none"], Stored("resample"), Added()] = Field(description="none.")


class _Resampling(Window):
    """Dead latents begin anew, each in the direction of an input that is reconstructed badly."""

    every: Annotated[int, Stored("resample_every", "steps"), Added()] = Field(
        ge=1, description="Steps between two looks for dead latents."
    )
    until: Annotated[int, Stored("resample_until", "steps"), Added()] = Field(
        ge=1, description="The last step at which latents may begin anew."
    )
    window: Annotated[int, Stored("resample_window"), Added()] = Field(
        1000, ge=1, description="How long a latent is silent before it counts as dead."
    )
    window_in: Annotated[Literal["steps", "samples"], Stored("resample_window_in"), Added()] = Field(
        "steps", description="What the window is counted in."
    )
    batches: Annotated[int, Stored("resample_batches", "batches"), Added()] = Field(
        16, ge=1, description="Batches among whose inputs the new directions are drawn."
    )


class Bricken(_Resampling):
    """As Bricken et al. 2023 describe it."""

    kind: Annotated[Literal["bricken"], Stored("resample"), Added()] = Field(
        description="bricken: latents that were silent for the window; inputs are drawn in proportion to loss squared."
    )


class Taggart(_Resampling):
    """As Taggart's code differs."""

    kind: Annotated[Literal["taggart"], Stored("resample"), Added()] = Field(
        description="taggart: latents that fired on less than `frequency` of the window's samples; inputs are drawn in "
        "proportion to loss, and the learning rate rises anew."
    )
    frequency: Annotated[float, Stored("resample_frequency", "fraction of samples"), Added()] = Field(
        3e-6, gt=0, lt=1, description="Share of samples below which a latent counts as dead."
    )
    warmup: Annotated[int, Stored("resample_warmup", "steps"), Added()] = Field(
        2000, ge=0, description="Steps over which the learning rate rises from 0 after latents began anew."
    )


Resampling = Annotated[
    Annotated[NoResampling | Bricken | Taggart, Field(discriminator="kind")], BeforeValidator(kind_shorthand)
]
