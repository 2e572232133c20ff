"""Where activation vectors come from: the one place that knows every kind of data."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from saespec.plan.identity import canonical_json
from saespec.spec.spec import Data

from .streams import Streams
from .toy import Toy

TRAIN = "train"
HELD_OUT = "held-out"


class Source(Protocol):
    """Activations as a function of (part, t), and the ground truth where it is known."""

    streams: Streams
    truth_GD: Tensor

    def chance_dictionary(self, latents: int) -> Tensor:
        """Random directions, distributed as the true ones are, [latents, D]."""
        ...

    def codes(self, part: str, t: int, size: int) -> Tensor:
        """True coefficients of batch t, [size, G]."""
        ...

    def batch(self, part: str, t: int, size: int) -> Tensor:
        """Batch t of a part: activations [size, D], float32."""
        ...


def key(config: Data, seed: int) -> str:
    """What batches are a function of, apart from part and t."""
    return canonical_json({"data": config.model_dump(mode="json"), "seed": seed})


def source(config: Data, seed: int, device: torch.device) -> Source:
    """The source of a data section and a seed."""
    return Toy(config, Streams(key(config, seed), device))
