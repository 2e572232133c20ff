"""The activation store: vectors of a hook site in shards on disk.

Below `activations/<extraction>/` of the store:

    <part>/…                             the contexts whose activations these are: see contexts.py
    <site>/<part>-00000.bin              a shard: vectors of the kept tokens in order, [rows, D], raw
    <site>/<part>-00000.json             its rows, SHA-256 and sums; without it, the shard is not finished
    <site>/manifest.json                 all of that and what it was made from; written last

What turns out to be damaged is withdrawn from the store, so that the run that comes upon it makes it again.

Legend: V vectors, D dimensions, K runs of consecutive vectors.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.data.parts import HELD_OUT, TRAIN
from saespec.errors import DamagedFileError, StageError, reason
from saespec.results.atomic import write_bytes

from .withdraw import withdraw

PARTS = (TRAIN, HELD_OUT)
SHARD_BYTES = 2**26
"""Bytes of a shard, about."""

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SEAL = "sha256_of_this"
"""Key of a record's own digest; records of older versions have none."""

REMEDY = "Run `saespec run` with the spec again: what is missing is extracted anew"

SERIAL = 2**15
"""Elements up to which torch uses one thread: sums of so many do not depend on how many threads there are."""


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
    """Digest of the trained model, the commit of a checkpoint, or a digest of a local folder's weights."""
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
    """Write a shard, then its record; safe to call from several threads for several shards.

    Raises StageError where the disk is full or read-only, or a value is not finite.
    """
    raw: Any = vectors_VD.contiguous().view(torch.uint8).numpy()
    sum_D = torch.zeros(vectors_VD.shape[1], dtype=torch.float64)
    square = norm = 0.0
    rows = max(1, SERIAL // vectors_VD.shape[1])
    for start in range(0, len(vectors_VD), rows):
        wide_VD = vectors_VD[start : start + rows].float()
        norm_V = torch.linalg.vector_norm(wide_VD, dim=1).double()
        sum_D += wide_VD.sum(dim=0, dtype=torch.float64)
        square += float(norm_V.square().sum())
        norm += float(norm_V.sum())
    if not math.isfinite(square):
        hint = " (float16 ends at 65,504: take dtype: bfloat16)" if vectors_VD.dtype == torch.float16 else ""
        raise StageError(f"activations at {path.parent.name} are not finite in {vectors_VD.dtype}{hint}")
    record = Shard(len(vectors_VD), hashlib.sha256(raw).hexdigest(), sum_D.tolist(), square, norm)
    path.with_suffix(".json").unlink(missing_ok=True)
    write_bytes(path, memoryview(raw).cast("B"))
    write_bytes(path.with_suffix(".json"), _sealed(asdict(record)))


def _sealed(record: dict[str, Any], indent: int | None = None) -> bytes:
    """A record as JSON with its own digest."""
    return (json.dumps({**record, SEAL: _digest(record)}, indent=indent) + "\n").encode()


def _unsealed(path: Path) -> dict[str, Any]:
    """Read such a record. Raises ValueError if it is not what was written, OSError if it cannot be read."""
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.pop(SEAL, _digest(record)) != _digest(record):
        raise ValueError("not what was written")
    return record


def _digest(record: dict[str, Any]) -> str:
    kept = {key: value for key, value in record.items() if key != SEAL}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def read_shard_record(path: Path) -> Shard | None:
    """The record of a finished shard; None if it is not finished."""
    try:
        record = Shard(**_unsealed(path.with_suffix(".json")))
        return record if path.exists() else None
    except (OSError, ValueError, TypeError):
        return None


def shard_is_whole(path: Path) -> bool:
    """Whether a shard is finished and what was written; it is read for that, once a process."""
    record = read_shard_record(path)
    return record is not None and file_sha256(path) == record.sha256


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a site's manifest: from then on it counts as extracted."""
    write_bytes(folder / "manifest.json", _sealed(asdict(manifest), indent=1))


def link(own: Path, folder: Path) -> None:
    """Make the folder of a site that has the same vectors as a finished one: the same files under another name.

    Raises StageError where the disk is full or read-only, DamagedFileError for a site that is not finished.
    """
    manifest = read_manifest(own)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part, shards in manifest.shards.items():
            for number in range(len(shards)):
                for path in (
                    shard_path(own, part, number),
                    shard_path(own, part, number).with_suffix(".json"),
                ):
                    (folder / path.name).unlink(missing_ok=True)
                    try:
                        os.link(path, folder / path.name)
                    except OSError:
                        shutil.copy2(path, folder / path.name)
    except OSError as error:
        raise StageError(f"cannot write {folder}: {reason(error)}") from error
    write_manifest(folder, replace(manifest, site=folder.name))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a site's folder. Raises DamagedFileError if it is missing or not one."""
    path = folder / "manifest.json"
    try:
        return _parsed(path)
    except FileNotFoundError:
        raise DamagedFileError(path, "these activations are not in the store", REMEDY) from None
    except (OSError, ValueError, TypeError, KeyError):
        withdraw(folder.parent, [path], lambda: not _is_manifest(path))
        raise DamagedFileError(path, "is not a manifest of activations", REMEDY) from None


def _parsed(path: Path) -> Manifest:
    content = _unsealed(path)
    content["shards"] = {part: [Shard(**s) for s in content["shards"][part]] for part in PARTS}
    return Manifest(**content)


def _is_manifest(path: Path) -> bool:
    try:
        return bool(_parsed(path))
    except (OSError, ValueError, TypeError, KeyError):
        return False


class Site:
    """The vectors of one site, read through memory maps that live as long as one call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.kind = np.float32 if self.manifest.dtype == "float32" else np.uint16

    def rows(self, part: str, start: int, stop: int) -> Tensor:
        """Vectors `start` to `stop` of a part, [V, D], in the store's dtype; a copy.

        Raises DamagedFileError, naming the shard, where one is missing or not what was written.
        """
        out_VD = np.empty((stop - start, self.manifest.dim), self.kind)
        self.gather(part, np.array([start]), stop - start, np.arange(stop - start), out_VD)
        return torch.from_numpy(out_VD).view(DTYPES[self.manifest.dtype])

    def gather(
        self,
        part: str,
        start_K: NDArray[np.int64],
        size: int,
        to_V: NDArray[np.int64],
        out_VD: NDArray[Any],
    ) -> None:
        """Put runs of `size` vectors that start at `start_K` into rows `to_V` of an array, run after run.

        A run ends early where the part does. Each shard is mapped once, in the order of the text. Raises as `rows`.
        """
        per_shard = shard_rows(self.manifest.dim, self.manifest.dtype)
        end_K = np.minimum(start_K + size, self.manifest.rows(part))
        place_K = np.concatenate([[0], np.cumsum(end_K - start_K)])
        mapped, shard_VD = -1, out_VD
        for k in np.argsort(start_K, kind="stable").tolist():
            start, end, place = int(start_K[k]), int(end_K[k]), int(place_K[k])
            while start < end:  # a run may go on in the next shard
                number = start // per_shard
                if number != mapped:
                    mapped, shard_VD = number, self._shard(part, number)
                first = number * per_shard
                stop = min(end, first + per_shard)
                out_VD[to_V[place : place + stop - start]] = shard_VD[start - first : stop - first]
                start, place = stop, place + stop - start

    def _shard(self, part: str, number: int) -> NDArray[Any]:
        path = shard_path(self.folder, part, number)
        record = self.manifest.shards[part][number]
        try:
            if file_sha256(path) != record.sha256:
                raise self._withdrawn(path, record, "a shard is not what was written")
            mapped: NDArray[Any] = np.memmap(path, dtype=self.kind, mode="r")
        except (OSError, ValueError) as error:
            raise self._withdrawn(path, record, f"a shard cannot be read ({reason(error)})") from None
        return mapped.view(np.ndarray).reshape(record.rows, self.manifest.dim)

    def _withdrawn(self, path: Path, record: Shard, what: str) -> DamagedFileError:
        def damaged() -> bool:
            try:
                return file_sha256(path) != record.sha256
            except OSError:
                return True

        withdraw(
            self.folder.parent, (self.folder / "manifest.json", path.with_suffix(".json"), path), damaged
        )
        return DamagedFileError(path, what, REMEDY)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. A process reads a file once, unless it changes."""
    stat = path.stat()
    return _file_sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2**16)
def _file_sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = [
    "DTYPES",
    "PARTS",
    "Manifest",
    "Shard",
    "Site",
    "file_sha256",
    "read_manifest",
    "read_shard_record",
    "shard_path",
    "shard_rows",
    "write_manifest",
    "write_shard",
]
