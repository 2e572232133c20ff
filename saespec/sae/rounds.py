"""Which stacks train beside each other: those of a round go through the same steps and draw each batch once.

A free choice, as stacks are: no number depends on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from saespec.plan.cost import BYTES_CPU, cell_bytes, cell_flops
from saespec.plan.groups import group_name
from saespec.plan.model import Cell

from .stack import split, with_idle


@dataclass(frozen=True)
class Piece:
    """The cells of one stack, and the snapshot that they continue from."""

    cells: tuple[Cell, ...]
    resume: Path | None

    @property
    def flops(self) -> float:
        """FLOPs of training it from the first step on."""
        return sum(cell_flops(cell.config) for cell in self.cells)


Round = tuple[Piece, ...]


def rounds(cells: Sequence[Cell], snapshots: dict[str, Path], devices: Sequence[torch.device]) -> list[Round]:
    """Cells of any groups in stacks, and these in rounds: at least one a device if there are as many stacks.

    `snapshots` says where the state of a cell lies. The stacks of a round fit into the device's memory together.
    """
    alike: dict[tuple[str, Path | None], list[Cell]] = defaultdict(list)
    for cell in cells:
        alike[group_name(cell.config), snapshots.get(cell.id)].append(cell)
    pieces = [
        Piece(members, resume)
        for (_, resume), inside in alike.items()
        for members in split(tuple(inside), devices[0])
    ]
    share: list[list[Piece]] = [[] for _ in devices]
    for piece in sorted(pieces, key=lambda piece: piece.flops, reverse=True):
        min(share, key=lambda own: sum(other.flops for other in own)).append(piece)
    most = room(devices[0])
    return [fitting for own in share for fitting in _fitting(own, most, devices[0])]


def room(device: torch.device) -> int:
    """Bytes that a round may take: half of what a GPU has free, for graphs keep buffers of their own."""
    return BYTES_CPU if device.type == "cpu" else torch.cuda.mem_get_info(device)[0] // 2


def _fitting(pieces: Sequence[Piece], most: int, device: torch.device) -> list[Round]:
    found: list[Round] = []
    left = 0
    for piece in pieces:
        needed = len(with_idle(piece.cells, device)) * cell_bytes(piece.cells[0].config)
        if not found or needed > left:
            found.append(())
            left = most
        found[-1] += (piece,)
        left -= needed
    return found
