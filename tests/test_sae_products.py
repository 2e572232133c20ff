"""Sparse products against dense ones, and promises 1 and 4 for cells that take either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cells import cell, stop_after

from saespec.errors import Interrupted
from saespec.plan.model import Cell
from saespec.sae.checkpoint import Store
from saespec.sae.products import mixed as products
from saespec.sae.products.active import flat_nonzero
from saespec.sae.products.mixed import runs, sparse_below
from saespec.sae.stack import Stack, sort_key
from saespec.sae.train import train

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "EVERY", 4)
    monkeypatch.setattr(products, "sparse_below", lambda dtype, dim: 0.4)


def mixed(**changes: object) -> list[Cell]:
    """Cells of one shape, some with few active codes and some with many."""
    cells = [
        cell(l1=l1, seed=i % 3, lr=(1e-2, 3e-3)[i % 2], input_noise=(0.0, 0.1)[i % 5 == 4], products="sparse",
             steps=40, **changes)  # type: ignore[arg-type]
        for i, l1 in enumerate((0.01, 3.0, 0.02, 1.0, 0.5, 0.05, 2.0, 0.1))
    ]  # fmt: skip
    return sorted(cells, key=sort_key)


def stepped(cells: list[Cell], steps: int) -> Stack:
    stack = Stack(tuple(cells), CPU)
    stack.initialise()
    shape = (len(stack.rows), cells[0].config.train.batch, cells[0].config.data.dim)
    for t in range(steps):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(t)).relu()
        stack.step(x, x)
    return stack


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("shared", [False, True])
def test_gradients_are_those_of_dense_products(precision: str, shared: bool) -> None:
    cells = mixed(precision=precision)
    stack = stepped(cells, 12)
    sparse = stack.state["choice"]["sparse"]
    assert 0 < sparse.sum() < len(sparse)
    dense = Stack(tuple(cell(l1=c.config.loss.sparsity.coefficient, precision=precision) for c in cells), CPU)
    x = torch.randn(len(cells), 32, 16, generator=torch.Generator().manual_seed(99)).relu()
    x = x[:1].expand(len(cells), -1, -1) if shared else x
    for name, value in stack.params.items():
        dense.params[name].copy_(value)
    stack.gradients(x, x)
    dense.gradients(x, x)
    tolerance = 1e-6 if precision == "float32" else 2e-2
    for name, expected in dense.grads.items():
        for n, own in enumerate(expected):
            off = torch.linalg.vector_norm(stack.grads[name][n] - own)
            assert off <= tolerance * torch.linalg.vector_norm(own), (name, n)


def test_a_stack_without_any_active_code_has_the_gradient_zero() -> None:
    stack = stepped(mixed()[:2], 4)
    stack.state["choice"]["sparse"].fill_(1)
    stack.params["bias"].fill_(-100.0)
    x = torch.ones(2, 32, 16)
    stack.gradients(x, x)
    assert all(not grad.any() for grad in stack.grads.values())


def trained(cells: list[Cell], folder: Path) -> dict[str, bytes]:
    train(cells, Store(folder), [CPU])
    return {c.id: Store(folder).cell(c.id).read_bytes() for c in cells}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(16, 24, 32), (19, 7, 50), (64, 128, 64)])
def test_a_cell_alone_or_among_others_has_the_same_bytes(
    shape: tuple[int, int, int], precision: str, tmp_path: Path
) -> None:
    dim, latents, batch = shape
    cells = mixed(dim=dim, latents=latents, batch=batch, precision=precision)
    together = trained(cells, tmp_path / "together")
    for own in cells:
        assert trained([own], tmp_path / own.id)[own.id] == together[own.id]
    assert trained([cells[i] for i in (5, 0, 6)], tmp_path / "some").items() <= together.items()


@pytest.mark.parametrize("calls", [5, 18, 33])
def test_an_interrupted_run_continues_bit_for_bit(calls: int, tmp_path: Path) -> None:
    cells = mixed()
    undisturbed = trained(cells, tmp_path / "undisturbed")
    with pytest.raises(Interrupted):
        train(cells, Store(tmp_path / "again"), [CPU], stop=stop_after(calls))
    assert trained(cells, tmp_path / "again") == undisturbed


@pytest.mark.parametrize("size", [64, 63, 8, 1])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_flat_nonzero_is_numpys(size: int, density: float) -> None:
    mask = np.random.default_rng(size).random((3, size)) < density
    assert flat_nonzero(mask).tolist() == np.flatnonzero(mask).tolist()


def test_runs_cover_what_is_wanted_by_two_rows_at_least() -> None:
    assert runs(np.array([1, 1, 0, 0, 1, 1, 1], bool)) == [slice(0, 2), slice(4, 7)]
    assert runs(np.array([1, 0, 0, 1, 0], bool)) == [slice(0, 2), slice(2, 4)]
    assert runs(np.array([0, 0, 1], bool)) == [slice(1, 3)]
    assert runs(np.array([0, 0], bool)) == []


def test_narrow_vectors_are_never_multiplied_sparsely() -> None:
    assert sparse_below(torch.float32, 64) == 0
    assert 0.1 < sparse_below(torch.float32, 256) < sparse_below(torch.float32, 768) < 0.2
    assert sparse_below(torch.bfloat16, 256) < 0.1
