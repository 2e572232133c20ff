"""The sizes of the comparison; imports nothing of weight, so that the parent process stays small."""

from __future__ import annotations

from dataclasses import dataclass

LR = 1e-3
ACTIVE = 8.0
"""Mean number of active features a sample."""
POOL_BYTES = 64 * 2**20
"""Memory for batches that are made before the clock starts, and repeated."""


@dataclass(frozen=True)
class Workload:
    """Sizes of one comparison."""

    dim: int
    features: int
    latents: int
    steps: int
    """Steps of every SAE, unless the caller says otherwise."""
    cells: int = 8
    batch: int = 256
    pool: int = 256
    """Batches held in memory, if they fit into `POOL_BYTES`."""

    @property
    def flops(self) -> int:
        """FLOPs of one step of one SAE, counted dense: five products of 2·B·D·L."""
        return 10 * self.batch * self.dim * self.latents

    @property
    def bytes(self) -> int:
        """Bytes that Adam reads and writes for one step of one SAE.

        It reads parameters, gradients and two moments, and writes all but the gradients: float32, once each.
        """
        return 7 * 4 * (2 * self.dim * self.latents + self.latents)

    @property
    def coefficients(self) -> tuple[float, ...]:
        """L1 coefficients, one an SAE: evenly spaced in their logarithm."""
        last = max(1, self.cells - 1)
        return tuple(round(0.01 * 128 ** (n / last), 10) for n in range(self.cells))

    @property
    def pool_batches(self) -> int:
        """Batches that are held in memory."""
        return max(2, min(self.pool, POOL_BYTES // (4 * self.batch * self.dim)))


WORKLOADS = {
    "d256-n512": Workload(dim=256, features=512, latents=512, steps=1000),
    "d64-n128": Workload(dim=64, features=128, latents=128, steps=2000),
}

FEW_ACTIVE = {
    "d256-n8192": Workload(dim=256, features=512, latents=8192, steps=4, pool=32),
}
"""Sizes at which few of many latents are active; for architectures that fix their number."""
