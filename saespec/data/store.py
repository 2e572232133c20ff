"""The activation store: vectors of a hook site in shards on disk, and how batches are read from them.

Below `activations/<extraction>/` of the store:

    <part>/ids.i32, mask.u8, kept.u8     the contexts whose activations these are, [C, T] each, raw
    <part>/contexts.json                 their shape and the number of kept tokens; written last
    <site>/<part>-00000.bin              a shard: vectors of the kept tokens in order, [rows, D], raw
    <site>/<part>-00000.json             its rows, SHA-256 and sums; without it, the shard is not finished
    <site>/manifest.json                 all of that and what it was made from; written last

A vector is a kept token: the i-th vector of a part belongs to the i-th true entry of `kept`, row by row.

Legend: V vectors, D dimensions, C contexts, T tokens of a context.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.errors import DamagedFileError, StageError
from saespec.results.atomic import write_bytes

from .source import HELD_OUT, TRAIN
from .streams import Streams
from .tokens import Tokens

PARTS = (TRAIN, HELD_OUT)
SHARD_BYTES = 2**26
"""Bytes of a shard, about."""

WINDOW_ROWS = 2**16
WINDOW_BYTES = 2**28
"""Vectors that shuffled reading holds in memory: so many, or what takes so many bytes."""

BLOCKS = 64
"""Contiguous runs of vectors in a window: each is read from another place."""

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
REMEDY = "Run `saespec run` with the spec again: it is extracted anew"


@dataclass(frozen=True)
class Shard:
    """A finished shard: its size, digest, and sums over its vectors in float64."""

    rows: int
    sha256: str
    sum_D: list[float]
    square: float
    """Sum of squares of all elements."""
    norm: float
    """Sum of the vectors' lengths."""


@dataclass(frozen=True)
class Manifest:
    """What a site's folder holds."""

    site: str
    dtype: str
    dim: int
    model: str
    """Digest of the trained model, or the commit of a checkpoint; empty for a local folder."""
    corpus_sha256: str
    shards: dict[str, list[Shard]]
    """Part → its shards, in order."""

    def rows(self, part: str) -> int:
        """Vectors of a part."""
        return sum(shard.rows for shard in self.shards[part])

    @property
    def mean_D(self) -> Tensor:
        """Mean vector of the train part, float32."""
        total = torch.tensor([shard.sum_D for shard in self.shards[TRAIN]], dtype=torch.float64).sum(dim=0)
        return (total / self.rows(TRAIN)).float()

    @property
    def mean_square(self) -> float:
        """Mean square of an element of the train part."""
        return sum(shard.square for shard in self.shards[TRAIN]) / (self.rows(TRAIN) * self.dim)

    @property
    def mean_norm(self) -> float:
        """Mean length of a vector of the train part."""
        return sum(shard.norm for shard in self.shards[TRAIN]) / self.rows(TRAIN)


def shard_rows(dim: int, dtype: str) -> int:
    """Vectors of every shard but the last."""
    return max(1, SHARD_BYTES // (dim * DTYPES[dtype].itemsize))


def shard_path(folder: Path, part: str, number: int) -> Path:
    """Where a shard of a site's folder lies; its record beside it ends in `.json`."""
    return folder / f"{part}-{number:05}.bin"


def write_shard(path: Path, vectors_VD: Tensor) -> None:
    """Write a shard, then its record. Raises StageError where the disk is full or read-only."""
    data = _raw(vectors_VD)
    write_bytes(path, data)
    wide = vectors_VD.double()
    record = Shard(
        rows=len(vectors_VD),
        sha256=hashlib.sha256(data).hexdigest(),
        sum_D=wide.sum(dim=0).tolist(),
        square=float(wide.square().sum()),
        norm=float(wide.norm(dim=1).sum()),
    )
    write_bytes(path.with_suffix(".json"), json.dumps(asdict(record)).encode())


def read_shard_record(path: Path) -> Shard | None:
    """The record of a finished shard; None if it is not finished."""
    try:
        record = Shard(**json.loads(path.with_suffix(".json").read_text()))
        return record if path.stat().st_size else None
    except (OSError, ValueError, TypeError):
        return None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a site's manifest: from then on it counts as extracted."""
    write_bytes(folder / "manifest.json", (json.dumps(asdict(manifest), indent=1) + "\n").encode())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a site's folder. Raises DamagedFileError if it is missing or not one."""
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["shards"] = {part: [Shard(**s) for s in shards] for part, shards in content["shards"].items()}
        return Manifest(**content)
    except FileNotFoundError:
        raise DamagedFileError(path, "these activations are not in the store", REMEDY) from None
    except (OSError, ValueError, TypeError, KeyError):
        raise DamagedFileError(path, "is not a manifest of activations", f"Delete it. {REMEDY}") from None


class Site:
    """The vectors of one site, read through memory maps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._maps: dict[tuple[str, int], NDArray[Any]] = {}

    def rows(self, part: str, start: int, stop: int) -> Tensor:
        """Vectors `start` to `stop` of a part, [V, D], in the store's dtype; a copy.

        Raises DamagedFileError, naming the shard, where one is missing or not what was written.
        """
        pieces = []
        size = shard_rows(self.manifest.dim, self.manifest.dtype)
        while start < stop:
            number = start // size
            end = min(stop, (number + 1) * size)
            shard = self._shard(part, number)
            pieces.append(np.array(shard[start - number * size : end - number * size]))
            start = end
        raw = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return torch.from_numpy(raw).view(DTYPES[self.manifest.dtype])

    def _shard(self, part: str, number: int) -> NDArray[Any]:
        if (part, number) not in self._maps:
            path = shard_path(self.folder, part, number)
            record = self.manifest.shards[part][number]
            kind = np.float32 if self.manifest.dtype == "float32" else np.uint16
            try:
                shard: NDArray[Any] = np.memmap(path, dtype=kind, mode="r")
            except (OSError, ValueError) as error:
                raise DamagedFileError(path, f"a shard cannot be read ({error})", _remake(path)) from None
            if hashlib.sha256(shard).hexdigest() != record.sha256:  # type: ignore[arg-type]
                raise DamagedFileError(path, "a shard is not what was written", _remake(path))
            self._maps[part, number] = shard.reshape(record.rows, self.manifest.dim)
        return self._maps[part, number]


def _remake(path: Path) -> str:
    return (
        f"Delete it and {path.with_name('manifest.json')}, and run the spec again: only it is extracted anew"
    )


class Shuffled:
    """The train part in a random order that is a function of (streams, epoch), with bounded memory.

    Blocks of contiguous vectors are put in a random order, each window of blocks is read and shuffled within.
    Every vector comes once an epoch. Going on from window to window is fast; any place can be asked for.
    """

    def __init__(self, site: Site, streams: Streams) -> None:
        self._site, self._streams = site, streams
        manifest = site.manifest
        self.rows = manifest.rows(TRAIN)
        window = min(WINDOW_ROWS, WINDOW_BYTES // (manifest.dim * DTYPES[manifest.dtype].itemsize))
        self._block = max(1, window // BLOCKS)
        self._epoch: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None
        self._window: tuple[int, int, Tensor] | None = None

    def read(self, start: int, size: int) -> Tensor:
        """`size` vectors from place `start` on of the endless sequence of epochs, [size, D], the store's dtype."""
        pieces = []
        while size:
            epoch, place = divmod(start, self.rows)
            ends = self._order(epoch)[1]
            number = int(np.searchsorted(ends, place, side="right"))
            window_VD = self._read_window(epoch, number)
            offset = place - (int(ends[number - 1]) if number else 0)
            piece = window_VD[offset : offset + size]
            pieces.append(piece)
            start, size = start + len(piece), size - len(piece)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _order(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Blocks in the order of an epoch, and where each window ends."""
        if self._epoch is None or self._epoch[0] != epoch:
            blocks = self._streams.host(f"order/{epoch}").permutation(-(-self.rows // self._block))
            sizes = np.minimum(self._block, self.rows - blocks * self._block)
            ends = np.append(sizes.cumsum()[BLOCKS - 1 :: BLOCKS], self.rows)
            self._epoch = epoch, blocks, np.unique(ends)
        return self._epoch[1:]

    def _read_window(self, epoch: int, number: int) -> Tensor:
        if self._window is None or self._window[:2] != (epoch, number):
            self._window = None  # frees the memory before the next is read
            blocks = self._order(epoch)[0][number * BLOCKS : (number + 1) * BLOCKS] * self._block
            parts = [self._site.rows(TRAIN, int(b), min(int(b) + self._block, self.rows)) for b in blocks]
            rows_VD = torch.cat(parts)
            shuffled = self._streams.host(f"order/{epoch}/{number}").permutation(len(rows_VD))
            self._window = epoch, number, rows_VD[torch.from_numpy(shuffled)]
        return self._window[2]


def write_contexts(folder: Path, part: str, blocks: Iterable[Tokens], limit: int) -> int:
    """Write the contexts of a part, so many kept tokens of them, and return how many there were.

    What comes after the last wanted token is no longer kept. Raises StageError where the disk is full.
    """
    target = folder / part
    target.mkdir(parents=True, exist_ok=True)
    rows, shape = 0, (0, 0)
    try:
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context((target / f"{name}.tmp").open("wb")) for name, _ in _CONTEXTS]
            for block in blocks:
                kept_CT = block.kept_CT.copy()
                kept_CT &= kept_CT.cumsum().reshape(kept_CT.shape) <= limit - rows
                rows += int(kept_CT.sum())
                shape = shape[0] + len(kept_CT), kept_CT.shape[1]
                for file, values in zip(files, (block.ids_CT, block.mask_CT, kept_CT), strict=True):
                    file.write(np.ascontiguousarray(values).tobytes())
        for name, _ in _CONTEXTS:
            os.replace(target / f"{name}.tmp", target / name)
    except OSError as error:
        raise StageError(f"cannot write {target}: {error.strerror}") from error
    write_bytes(target / "contexts.json", json.dumps({"shape": shape, "rows": rows}).encode())
    return rows


def read_contexts(folder: Path, part: str) -> Tokens:
    """The contexts of a part, memory-mapped. Raises DamagedFileError if they are not there."""
    path = folder / part / "contexts.json"
    try:
        shape = tuple(json.loads(path.read_text(encoding="utf-8"))["shape"])
        # Copy on write: nobody writes, and torch warns of arrays that cannot be written.
        ids, mask, kept = (
            np.memmap(path.with_name(name), dtype=kind, mode="c", shape=shape).view(np.ndarray)
            for name, kind in _CONTEXTS
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise DamagedFileError(
            path, "the tokens of an extraction are not there, or not whole", REMEDY
        ) from None
    return Tokens(ids, mask, kept)


_CONTEXTS: tuple[tuple[str, type], ...] = (
    ("ids.i32", np.int32),
    ("mask.u8", np.bool_),
    ("kept.u8", np.bool_),
)


def _raw(vectors_VD: Tensor) -> bytes:
    whole = vectors_VD.contiguous()
    return whole.view(torch.uint8).numpy().tobytes() if len(whole) else b""


__all__ = [
    "DTYPES",
    "PARTS",
    "Manifest",
    "Shard",
    "Shuffled",
    "Site",
    "read_contexts",
    "read_manifest",
    "read_shard_record",
    "shard_path",
    "shard_rows",
    "write_contexts",
    "write_manifest",
    "write_shard",
]
