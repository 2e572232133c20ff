"""Stacks over several devices: the same bits, one failure stops all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cells import cell, stop_after

from saespec.errors import Interrupted, StageError
from saespec.plan.model import Cell
from saespec.sae import stack
from saespec.sae.checkpoint import Store
from saespec.sae.spread import spread
from saespec.sae.train import Finished, Progress, train

CPU = torch.device("cpu")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stacks of two cells."""
    monkeypatch.setattr(stack, "BYTES_CPU", 1)


def trained(cells: list[Cell], folder: Path, devices: list[torch.device]) -> dict[str, bytes]:
    train(cells, Store(folder), devices)
    return {c.id: Store(folder).cell(c.id).read_bytes() for c in cells}


@pytest.mark.usefixtures("narrow")
def test_two_devices_give_the_bits_of_one(tmp_path: Path) -> None:
    cells = [cell(l1=0.05 * (i + 1), seed=i % 2, steps=20) for i in range(7)]
    assert trained(cells, tmp_path / "two", [CPU, CPU]) == trained(cells, tmp_path / "one", [CPU])


@pytest.mark.usefixtures("narrow")
def test_every_stack_is_trained_once_and_reported(tmp_path: Path) -> None:
    cells = [cell(l1=0.05 * (i + 1), steps=5) for i in range(6)]
    said: list[Progress] = []
    done: list[Finished] = []
    train(cells, Store(tmp_path), [CPU, CPU, CPU], said.append, done.append)
    assert sorted(c.id for took in done for c in took.cells) == sorted(c.id for c in cells)
    assert [p.step for p in said] == [5, 5, 5]


@pytest.mark.usefixtures("narrow")
def test_an_interrupt_on_two_devices_continues_bit_for_bit(tmp_path: Path) -> None:
    cells = [cell(l1=0.05 * (i + 1), steps=60) for i in range(4)]
    with pytest.raises(Interrupted):
        train(cells, Store(tmp_path / "two"), [CPU, CPU], stop=stop_after(30))
    assert Store(tmp_path / "two").partials()
    assert trained(cells, tmp_path / "two", [CPU, CPU]) == trained(cells, tmp_path / "one", [CPU])
    assert Store(tmp_path / "two").partials() == []


def test_a_failure_stops_the_others_and_is_what_is_raised() -> None:
    together, stopped = threading.Barrier(2), threading.Event()

    def work(piece: int, device: torch.device, stop: Callable[[], bool]) -> None:
        together.wait(10)
        if piece == 0:
            raise StageError("no space")
        while not stop():
            stopped.wait(0.001)
        stopped.set()
        raise Interrupted

    with pytest.raises(StageError, match="no space"):
        spread([0, 1, 2], [CPU, CPU], work, lambda: False)
    assert stopped.is_set()
