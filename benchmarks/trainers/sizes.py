"""The sizes of the comparison; imports nothing of weight, so that the parent process stays small."""

from __future__ import annotations

from dataclasses import dataclass

BATCH = 256
COEFFICIENTS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
CELLS = len(COEFFICIENTS)
LR = 1e-3
POOL = 256
"""Batches that are held in memory and repeated."""
ACTIVE = 8.0
"""Mean number of active features a sample."""


@dataclass(frozen=True)
class Workload:
    """Sizes of one comparison."""

    dim: int
    features: int
    latents: int
    steps: int
    """Timed steps of all eight SAEs, unless the caller says otherwise."""

    @property
    def flops(self) -> int:
        """FLOPs of one step of one SAE: five products of 2·B·D·L."""
        return 10 * BATCH * self.dim * self.latents


WORKLOADS = {
    "d256-n512": Workload(dim=256, features=512, latents=512, steps=200),
    "d64-n128": Workload(dim=64, features=128, latents=128, steps=1000),
}
