"""Cells on disk: finished ones and snapshots of training, both safetensors with a checksum.

The store (`.saespec/store`) is addressed by cell id, so nothing in it ever changes meaning:

    cells/<id>.safetensors      a finished cell: parameters and its training curve
    partial/<hash>.safetensors  a stack in training: parameters, moments, curves, the step
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from saespec.errors import DamagedFileError, reason
from saespec.plan.identity import NUMERICS, canonical_json
from saespec.plan.project import stored_cell
from saespec.results.atomic import write_bytes

KEY = "saespec"


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a JSON header, whole or not at all.

    Raises StageError where the folder cannot be written (full disk, read-only).
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {**header, "numerics": NUMERICS}
    header["sha256"] = _digest(tensors, header)
    # One metadata key: safetensors orders several at random, and the same cell must give the same bytes.
    data = save(tensors, {KEY: canonical_json(header)})
    write_bytes(path, data)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that `write` wrote; DamagedFileError if it is not that."""
    remedy = "Delete it and run the same command again: only what was lost is computed again"
    try:
        header = read_header(path)
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise DamagedFileError(path, "the file is missing", "Run the spec again") from None
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise DamagedFileError(path, f"not a readable checkpoint ({reason(error)})", remedy) from error
    if header.pop("sha256", None) != _digest(tensors, header):
        raise DamagedFileError(path, "its contents do not match its checksum", remedy)
    if header.get("numerics") != NUMERICS:
        raise DamagedFileError(
            path, f"it has numerics version {header.get('numerics')}, not {NUMERICS}", remedy
        )
    return tensors, header


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header alone."""
    with safe_open(path, "pt") as file:
        header = json.loads((file.metadata() or {})[KEY])
    assert isinstance(header, dict)
    return header


def _digest(tensors: dict[str, Tensor], header: dict[str, Any]) -> str:
    digest = hashlib.sha256(canonical_json(header).encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        digest.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Store:
    """The content-addressed folder of finished and unfinished cells."""

    folder: Path

    def cell(self, cell_id: str) -> Path:
        """Where a finished cell lies."""
        return stored_cell(self.folder, cell_id)

    def finished(self, cell_id: str) -> bool:
        """Whether the cell lies there, whole. One that is damaged is trained again, and so replaced."""
        path = self.cell(cell_id)
        if not path.exists():
            return False
        try:
            read(path)
        except DamagedFileError:
            return False
        return True

    def partial(self, cell_ids: list[str]) -> Path:
        """Where the snapshot of a stack of these cells lies."""
        name = hashlib.sha256(" ".join(cell_ids).encode()).hexdigest()[:12]
        return self.folder / "partial" / f"{name}.safetensors"

    def partials(self) -> list[tuple[Path, dict[str, Any]]]:
        """All snapshots with their headers, but those that cannot be read: they only save time."""
        found = []
        for path in sorted((self.folder / "partial").glob("*.safetensors")):
            with suppress(DamagedFileError):
                found.append((path, read(path)[1]))
        return found
