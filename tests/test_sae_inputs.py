"""Inputs out of the ordinary: rows a hundred times larger than the rest, and values that are not finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from test_sae_kinds import KINDS, stack
from torch import Tensor

from saespec.data.parts import TRAIN
from saespec.plan.model import Cell
from saespec.sae.batches import Batches, Sources
from saespec.sae.checkpoint import Store, read
from saespec.sae.train import Run, train_round

CPU = torch.device("cpu")
Change = Callable[[Cell, int, Tensor], None]
"""What happens to the input of a cell at a step, [B, D], in place."""


class Changed(Batches):
    """A stack's batches, but for what befalls the training inputs."""

    def __init__(self, cells: Sequence[Cell], change: Change) -> None:
        super().__init__([cell.config for cell in cells], Sources(CPU))
        self._cells, self._change = cells, change

    def batch(self, part: str, t: int) -> tuple[Tensor, Tensor]:
        x_NBD = super().batch(part, t)[0].clone()
        if part == TRAIN:
            for n, cell in enumerate(self._cells):
                self._change(cell, t, x_NBD[n])
        return x_NBD, x_NBD


def trained(cells: list[Cell], folder: Path, change: Change) -> dict[str, Path]:
    store = Store(folder)
    run = Run(tuple(cells), Sources(CPU))
    run.batches = Changed(run.stack.rows, change)
    train_round([run], store, lambda progress: None, lambda: False)
    return {cell.id: store.cell(cell.id) for cell in cells}


def sinks(cell: Cell, t: int, x_BD: Tensor) -> None:
    x_BD[t % 5 :: 11] *= 100


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_a_hundred_times_larger_do_no_harm(kind: str, precision: str, tmp_path: Path) -> None:
    """As a transformer's first token has them. Neighbours see the same bits, and nothing overflows."""
    cells = stack(kind, 5, precision=precision)
    together = trained(cells, tmp_path / "together", sinks)
    for own in (cells[0], cells[3]):
        alone = trained([own], tmp_path / own.id, sinks)[own.id]
        assert alone.read_bytes() == together[own.id].read_bytes()
    for path in together.values():
        tensors, header = read(path)
        assert "diverged" not in header
        assert all(value.isfinite().all() for value in tensors.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", KINDS)
def test_an_input_that_is_not_finite_ends_its_cell_alone(kind: str, value: float, tmp_path: Path) -> None:
    cells = stack(kind, 4)
    hit = cells[1].id

    def poison(cell: Cell, t: int, x_BD: Tensor) -> None:
        if cell.id == hit and t == 20:
            x_BD[3, 2] = value

    def harmless(cell: Cell, t: int, x_BD: Tensor) -> None: ...

    poisoned = trained(cells, tmp_path / "poisoned", poison)
    others = [cell for cell in cells if cell.id != hit]
    undisturbed = trained(others, tmp_path / "undisturbed", harmless)
    for cell in others:
        assert poisoned[cell.id].read_bytes() == undisturbed[cell.id].read_bytes()
    assert read(poisoned[hit])[1]["diverged"] == {"at": 21, "why": "input"}
