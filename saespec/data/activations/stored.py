"""A transformer's activations as a source of batches, read from the store.

Legend: B samples, D dimensions, V vectors, C contexts, T tokens of a context.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from saespec.data.parts import HELD_OUT, TRAIN
from saespec.data.streams import Streams
from saespec.data.text.tokens import Tokens
from saespec.errors import CallError
from saespec.plan.inputs import extraction_folder, site_key
from saespec.spec.transformer import TransformerData

from . import contexts
from . import store as on_disk
from .shuffled import Shuffled


class Activations:
    """Batches of a site's vectors, normalised; both parts are shuffled anew each epoch.

    A batch is a function of (configuration, seed, part, t), a held-out one not of the seed. Raises DamagedFileError
    if the store lacks them.
    """

    truth = None

    def __init__(self, config: TransformerData, streams: Streams, store: Path) -> None:
        self.config = config
        self.streams = streams
        self._extraction = extraction_folder(store, config)
        self._site = on_disk.Site(self._extraction / site_key(config.site))
        # Cells are compared by held-out batches, so that these are the same at every seed.
        order = {TRAIN: streams, HELD_OUT: Streams(HELD_OUT, streams.device)}
        self._shuffled = {part: Shuffled(self._site, own, part) for part, own in order.items()}
        self._contexts: Tokens | None = None
        manifest = self._site.manifest
        check_dim(config.dim, manifest.dim, manifest.site)
        self.mean_D = manifest.mean_D.to(streams.device)
        """Mean vector of the train part, as the model has it, float32."""
        self._factor = {
            "none": 1.0,
            "vector": 1.0,
            "rms": 1 / math.sqrt(manifest.mean_square or 1.0),
            "mean_norm": 1 / (manifest.mean_norm or 1.0),
        }[config.normalise]

    def disturbance(self, part: str, t: int, size: int) -> None:
        """Nothing."""

    def batch(self, part: str, t: int, size: int) -> Tensor:
        """Batch t of a part: normalised activations, [size, D], float32."""
        vectors_BD = self._shuffled[part].read(t * size, size)
        # Starts on a cache line, wherever the vectors did.
        x_BD = torch.empty(vectors_BD.shape, device=self.streams.device)
        return self.normalise(x_BD.copy_(vectors_BD))

    def held_out_text(self, start: int, stop: int) -> Tensor:
        """Vectors `start` to `stop` of the held-out part in the order of its text: normalised, [V, D], float32."""
        vectors_VD = self._site.rows(HELD_OUT, start, min(stop, self._site.manifest.rows(HELD_OUT)))
        return self.normalise(vectors_VD.to(self.streams.device, torch.float32))

    def normalise(self, x_VD: Tensor) -> Tensor:
        """Activations as the model has them → as autoencoders see them, float32."""
        if self.config.normalise == "vector":
            return x_VD / _rms(x_VD)
        return x_VD * self._factor if self._factor != 1 else x_VD

    def denormalise(self, x_VD: Tensor, original_VD: Tensor) -> Tensor:
        """Reconstructions of normalised activations → in the model's units; `original_VD` are what it had there."""
        if self.config.normalise == "vector":
            return x_VD * _rms(original_VD)
        return x_VD / self._factor if self._factor != 1 else x_VD

    def held_out_contexts(self) -> Tokens:
        """The contexts of the held-out part: its vectors are their kept tokens, in order."""
        if self._contexts is None:
            self._contexts = contexts.read(self._extraction, HELD_OUT)
        return self._contexts


def check_dim(wanted: int, found: int, site: str) -> None:
    """Raise CallError if a site has other dimensions than the spec says."""
    if wanted != found:
        raise CallError(
            f"data.dim is {wanted}, but activations at {site} have {found} dimensions: write dim: {found}"
        )


def _rms(x_VD: Tensor) -> Tensor:
    """Root mean square of each vector, […, 1]; 1 for a zero vector."""
    found_V1 = x_VD.square().mean(dim=-1, keepdim=True).sqrt()
    return torch.where(found_V1 > 0, found_V1, 1.0)
