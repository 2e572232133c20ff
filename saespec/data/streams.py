"""Random numbers that are a function of what they are for, never of what was drawn before.

Legend: every draw is addressed by (key, stream, t). `key` identifies data and seed, `stream` the
purpose ("truth", "activity", "input noise", …), `t` the batch. There is no running generator, so
resuming, sharding and stacking cannot change the numbers.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor


class Streams:
    """Uniform and normal draws on a device, addressed by stream and index.

    The CPU draws with NumPy's counter-based Philox generator, CUDA with torch's: the numbers differ between
    the two kinds of device, never within one. On the CPU NumPy fills torch's memory, which starts on a cache
    line (see `saespec.sae.memory` for why that matters).
    """

    def __init__(self, key: str, device: torch.device) -> None:
        self.key = key
        self.device = device
        self._philox_keys: dict[str, int] = {}

    def uniform(self, stream: str, t: int, *shape: int) -> Tensor:
        """Uniform on [0, 1), float32, of the given shape."""
        if self.device.type == "cpu":
            values = torch.empty(shape)
            self._numpy(stream, t).random(out=values.numpy(), dtype=np.float32)
            return values
        return torch.rand(shape, generator=self._torch(stream, t), device=self.device)

    def uniform_where(self, stream: str, t: int, mask: Tensor) -> Tensor:
        """Uniform on [0, 1) where the mask is true, zero elsewhere, float32, of the mask's shape."""
        if self.device.type == "cpu":
            values, chosen = torch.empty(mask.shape), mask.numpy()
            values.numpy().fill(0)
            values.numpy()[chosen] = self._numpy(stream, t).random(np.count_nonzero(chosen), dtype=np.float32)
            return values
        return mask * torch.rand(mask.shape, generator=self._torch(stream, t), device=self.device)

    def normal(self, stream: str, t: int, *shape: int) -> Tensor:
        """Standard normal, float32, of the given shape."""
        if self.device.type == "cpu":
            values = torch.empty(shape)
            self._numpy(stream, t).standard_normal(out=values.numpy(), dtype=np.float32)
            return values
        return torch.randn(shape, generator=self._torch(stream, t), device=self.device)

    def host(self, stream: str) -> np.random.Generator:
        """A generator for what is made once, in float64, and alike on every device."""
        return self._numpy(stream, 0)

    def _numpy(self, stream: str, t: int) -> np.random.Generator:
        if stream not in self._philox_keys:
            digest = hashlib.sha256(f"{self.key}/{stream}".encode()).digest()
            self._philox_keys[stream] = int.from_bytes(digest[:16], "little")
        # The counter's highest word holds t: 2^192 draws lie between two batches.
        return np.random.Generator(np.random.Philox(key=self._philox_keys[stream], counter=[0, 0, 0, t]))

    def _torch(self, stream: str, t: int) -> torch.Generator:
        digest = hashlib.sha256(f"{self.key}/{stream}/{t}".encode()).digest()
        generator = torch.Generator(device=self.device)
        return generator.manual_seed(int.from_bytes(digest[:8], "little") >> 1)
