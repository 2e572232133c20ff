"""Stacks of any shape beside each other: one batch for all, and no number that depends on it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from cells import cell, stop_after

from saespec.data.toy import Toy
from saespec.errors import Interrupted
from saespec.plan.model import Cell
from saespec.sae import checkpoint
from saespec.sae import rounds as choice
from saespec.sae import train as trainer
from saespec.sae.checkpoint import Store
from saespec.sae.rounds import rounds
from saespec.sae.train import Finished, Progress, train

CPU = torch.device("cpu")


def several() -> list[Cell]:
    """Cells of five groups on three sources: sizes, steps, kinds, curves and noise differ."""
    return [
        cell(latents=8, steps=30, seed=0),
        cell(latents=8, steps=30, seed=1),
        cell(latents=24, steps=30, seed=0, movement=True),
        cell(latents=24, steps=12, seed=0, input_noise=0.1),
        cell(latents=24, steps=12, seed=1, weights="tied"),
        cell(latents=40, steps=30, seed=0, active=3.0, curve_points=3),
    ]


def files(cells: Sequence[Cell], folder: Path) -> dict[str, bytes]:
    return {own.id: Store(folder).cell(own.id).read_bytes() for own in cells}


def alone(cells: Sequence[Cell], folder: Path) -> dict[str, bytes]:
    for own in cells:
        train([own], Store(folder), [CPU])
    return files(cells, folder)


def test_cells_of_many_groups_have_the_bytes_that_they_have_alone(tmp_path: Path) -> None:
    cells = several()
    train(cells, Store(tmp_path / "together"), [CPU])
    assert files(cells, tmp_path / "together") == alone(cells, tmp_path / "alone")


@pytest.mark.parametrize(("devices", "memory"), [(1, 1), (2, 2**29), (3, 2**29)])
def test_nor_do_devices_and_rounds_matter(
    devices: int, memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "BYTES_CPU", memory)
    cells = several()
    assert len(rounds(cells, {}, [CPU] * devices)) == (5 if memory == 1 else devices)
    train(cells, Store(tmp_path / "spread"), [CPU] * devices)
    assert files(cells, tmp_path / "spread") == alone(cells, tmp_path / "alone")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cells_of_many_groups_have_the_bytes_that_they_have_alone_on_cuda(tmp_path: Path) -> None:
    cells, cuda = several(), torch.device("cuda", 0)
    torch.use_deterministic_algorithms(True)
    try:
        train(cells, Store(tmp_path / "together"), [cuda])
        for own in cells:
            train([own], Store(tmp_path / "alone"), [cuda])
    finally:
        torch.use_deterministic_algorithms(False)
    assert files(cells, tmp_path / "together") == files(cells, tmp_path / "alone")


@pytest.mark.parametrize("calls", [1, 11, 12, 13, 29])
def test_a_round_that_is_interrupted_continues_bit_for_bit(calls: int, tmp_path: Path) -> None:
    cells, store = several(), Store(tmp_path / "interrupted")
    with pytest.raises(Interrupted):
        train(cells, store, [CPU], stop=stop_after(calls))
    train(cells, store, [CPU])
    assert store.partials() == []
    assert files(cells, store.folder) == alone(cells, tmp_path / "alone")


def test_stacks_that_are_behind_catch_up(tmp_path: Path) -> None:
    cells, store = several(), Store(tmp_path / "behind")
    with pytest.raises(Interrupted):
        train(cells[:3], store, [CPU], stop=stop_after(20))
    seen: list[Progress] = []
    took: list[Finished] = []
    train(cells, store, [CPU], seen.append, took.append)
    assert files(cells, store.folder) == alone(cells, tmp_path / "alone")
    (only,) = took
    assert dict(zip((c.id for c in only.cells), only.steps, strict=True)) == {
        c.id: c.config.train.steps - (21 if c in cells[:3] else 0) for c in cells
    }
    assert (seen[-1].cells, seen[-1].step, seen[-1].steps) == (6, 30, 30)
    assert sum(told.advanced for told in seen) == sum(own.config.train.steps for own in cells)


def test_each_batch_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: Counter[tuple[int, str, int]] = Counter()
    draw = Toy.batch

    def counted(self: Toy, part: str, t: int, size: int) -> torch.Tensor:
        drawn[id(self), part, t] += 1
        return draw(self, part, t, size)

    monkeypatch.setattr(Toy, "batch", counted)
    train(several(), Store(tmp_path), [CPU])
    assert len({source for source, _, _ in drawn}) == 3
    assert sum(part == "train" for _, part, _ in drawn) == 3 * 30
    assert set(drawn.values()) == {1}


def test_large_stacks_make_several_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [cell(latents=8 * (i + 1)) for i in range(6)]
    (together,) = rounds(cells, {}, [CPU])
    assert [piece.cells for piece in together] == [(own,) for own in reversed(cells)]
    # A stack of one cell has an idle copy beside it.
    monkeypatch.setattr(choice, "BYTES_CPU", 3 * choice.cell_bytes(cells[-1].config))
    apart = rounds(cells, {}, [CPU])
    assert len(apart) > 1
    assert sorted(c.id for pieces in apart for p in pieces for c in p.cells) == sorted(c.id for c in cells)
    monkeypatch.setattr(choice, "BYTES_CPU", 1)
    assert [len(pieces) for pieces in rounds(cells, {}, [CPU])] == [1] * 6


def test_work_is_dealt_evenly_to_devices() -> None:
    cells = [cell(latents=latents) for latents in (64, 32, 16, 8, 4, 4)]
    dealt = rounds(cells, {}, [CPU, CPU])
    assert [[c.config.sae.latents for p in pieces for c in p.cells] for pieces in dealt] == [
        [64],
        [32, 16, 8, 4, 4],
    ]
    assert rounds(cells[:1], {}, [CPU, CPU]) == rounds(cells[:1], {}, [CPU])


def test_snapshots_are_rare_where_writing_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take a twentieth of the time: after one of 0.2 s none comes for 4 s."""
    monkeypatch.setattr(trainer, "SNAPSHOT_SECONDS", 0.02)
    write = checkpoint.write

    def snapshots(seconds: float, folder: Path) -> int:
        taken = 0

        def slow(path: Path, *content: Any) -> None:
            nonlocal taken
            taken += 1
            time.sleep(seconds)
            write(path, *content)

        monkeypatch.setattr(checkpoint, "write", slow)
        end = time.monotonic() + 1.5
        with pytest.raises(Interrupted):
            train([cell(steps=1_000_000)], Store(folder), [CPU], stop=lambda: time.monotonic() > end)
        return taken - 1  # without the one of being stopped

    assert snapshots(0.2, tmp_path / "slow") == 1
    assert snapshots(0.0, tmp_path / "fast") > 3
