"""Trained cells of one shape, stacked, with the data they are measured on.

Legend: N cells, S distinct sources of data among them, B samples, D dimensions, L latents, G truth features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saespec.data.parts import HELD_OUT
from saespec.data.source import Source
from saespec.errors import DamagedFileError
from saespec.plan.model import Cell
from saespec.sae import checkpoint
from saespec.sae.assembly import penalty
from saespec.sae.batches import Batches, Sources
from saespec.sae.coder import coder
from saespec.sae.memory import stacked
from saespec.sae.pieces import PerCell
from saespec.sae.stack import split


@dataclass(frozen=True)
class Activity:
    """Sums over held-out batches, float64 on the CPU."""

    samples: int
    squared_error_N: Tensor
    penalty_N: Tensor
    """Of the codes, summed over samples, without coefficient."""
    variance_N: Tensor
    """Squared distance of the targets from their mean, summed over samples."""
    fired_NL: Tensor
    """Samples on which a latent is not zero."""
    codes_NL: Tensor


class Trained:
    """Parameters of finished cells of one shape. `cells` gives the order of every N axis."""

    def __init__(self, cells: tuple[Cell, ...], paths: Sequence[Path], sources: Sources) -> None:
        self.cells = cells
        self.device = sources.device
        read = [_load(cell, path) for cell, path in zip(cells, paths, strict=True)]
        loaded = [tensors for tensors, _ in read]
        self.trained_on = {header["device"] for _, header in read}
        """Kinds of device that the cells were trained on."""
        self.diverged = [header.get("diverged") for _, header in read]
        """For each cell None, or the step at which it diverged (`at`) and what was not finite first (`why`)."""
        self.curves = [
            dict(zip(header["curve"], tensors.pop("curve").T.tolist(), strict=True))
            for tensors, header in read
        ]
        """Columns of each cell's training curve, by name."""
        self.coder = coder(cells[0].config)
        self._penalty = penalty(cells[0].config, PerCell([1.0], self.device, torch.float32))
        self.params = {name: stacked([t[name] for t in loaded], self.device) for name in loaded[0]}
        self.batches = Batches([cell.config for cell in cells], sources)
        self._activity: dict[int, Activity] = {}

    @property
    def sources(self) -> list[Source]:
        """The source of each cell."""
        return [self.batches.sources[s] for s in self.batches.source_of_cell]

    @cached_property
    def dictionary_NLD(self) -> Tensor:
        """Dictionary elements; of unit length but for `decoder_norm: none`."""
        return self.coder.dictionary(self.params)

    def codes(self, batches: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Codes [N, B, L] and targets [N, B, D] of so many held-out batches."""
        for t in range(batches):
            x_NBD, target_NBD = self.batches.batch(HELD_OUT, t)
            yield self.coder.encode(self.params, x_NBD), target_NBD

    def activity(self, batches: int) -> Activity:
        """Losses, firing counts and variance over so many held-out batches."""
        if batches not in self._activity:
            self._activity[batches] = self._sum_activity(batches)
        return self._activity[batches]

    def _sum_activity(self, batches: int) -> Activity:
        N, L, D = self.dictionary_NLD.shape
        squared_error_N, penalty_N, power_N = (torch.zeros(N, dtype=torch.float64) for _ in range(3))
        fired_NL, codes_NL = (torch.zeros(N, L, dtype=torch.float64) for _ in range(2))
        mean_ND = torch.zeros(N, D, dtype=torch.float64)
        for codes_NBL, target_NBD in self.codes(batches):
            error_NBD = self.coder.decode(self.params, codes_NBL) - target_NBD
            squared_error_N += _sum(error_NBD.square(), (1, 2))
            codes_NL += _sum(codes_NBL, (1,))
            fired_NL += _sum(codes_NBL != 0, (1,))
            penalty_N += self._penalty.value(self.coder.penalised(codes_NBL), self.dictionary_NLD).cpu()
            power_N += _sum(target_NBD.square(), (1, 2))
            mean_ND += _sum(target_NBD, (1,))
        samples = batches * self.cells[0].config.train.batch
        variance_N = power_N - mean_ND.square().sum(dim=1) / samples
        return Activity(samples, squared_error_N, penalty_N, variance_N, fired_NL, codes_NL)


def _sum(values: Tensor, dims: tuple[int, ...]) -> Tensor:
    return values.sum(dim=dims, dtype=torch.float64).cpu()


def _load(cell: Cell, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A cell's checkpoint. A damaged one is removed, so that the stage that laid it out does so again."""
    try:
        tensors, header = checkpoint.read(path)
        if header["cell"] != cell.id:
            what = f"it holds cell {header['cell']}, not {cell.id}"
            raise DamagedFileError(path, what, "Run the spec again")
    except DamagedFileError:
        path.unlink(missing_ok=True)
        raise
    return tensors, header


def load(groups: Iterable[tuple[tuple[Cell, ...], Path]], device: torch.device) -> list[Trained]:
    """The cells of each group from its folder, in stacks that the device can hold."""
    sources = Sources(device)
    return [
        Trained(members, [folder / f"{cell.id}.safetensors" for cell in members], sources)
        for cells, folder in groups
        for members in split(cells, device)
    ]
