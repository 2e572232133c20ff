"""Where activation vectors come from: the one place that knows every kind of data."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from saespec.data.activations.stored import Activations
from saespec.plan.identity import canonical_json, described
from saespec.plan.project import store_folder
from saespec.spec.spec import Data
from saespec.spec.toy import ToyData

from .streams import Streams
from .toy import Toy


class Truth(Protocol):
    """What is known of data whose features are known."""

    truth_GD: Tensor
    """Unit directions of the features."""

    def codes(self, part: str, t: int, size: int) -> Tensor:
        """Their coefficients in batch t of a part, [size, G]; 0 where a feature is inactive."""
        ...

    def chance_dictionary(self, latents: int) -> Tensor:
        """A dictionary that knows nothing but how directions are distributed, [latents, D]."""
        ...


class Source(Protocol):
    """Activations as a function of (part, t), and the ground truth where it is known."""

    streams: Streams

    @property
    def truth(self) -> Truth | None:
        """What recovery is measured by; None where nobody knows the features."""
        ...

    def disturbance(self, part: str, t: int, size: int) -> Tensor | None:
        """What the inputs of batch t have, and the targets have not, [size, D]; None if nothing."""
        ...

    def batch(self, part: str, t: int, size: int) -> Tensor:
        """Batch t of a part: activations [size, D], float32."""
        ...


def key(config: Data, seed: int) -> str:
    """What batches are a function of, apart from part and t."""
    return canonical_json({"data": described(config), "seed": seed})


def source(config: Data, seed: int, device: torch.device) -> Source:
    """The source of a data section and a seed. Activations are those of the working directory's project."""
    if isinstance(config, ToyData):
        return Toy(config, seed, device)
    streams = Streams(key(config, seed), device)
    return Activations(config, streams, store_folder(Path.cwd()))
