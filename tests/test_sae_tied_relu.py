"""The tied autoencoder: one matrix in both places."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cells import cell, stop_after
from spec_sample import GOOD, edit, load_text, one_problem
from test_measure import ALL, measured
from test_sae_train import sixteen, trained

from saespec.errors import Interrupted
from saespec.plan.groups import group_name
from saespec.sae.checkpoint import Store, read
from saespec.sae.loss import l1_scale, reconstruction_scale
from saespec.sae.stack import Stack
from saespec.sae.train import train

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("bfloat16", 5e-2)])
def test_gradients_of_both_places_add(precision: str, tolerance: float) -> None:
    cells = tuple(
        cell(kind="tied_relu", l1=l1, seed=s, precision=precision) for s, l1 in enumerate((0.1, 2.0))
    )
    stack = Stack(cells, CPU)
    stack.initialise()
    stack.gradients.effective()
    x = torch.randn(2, 32, 16, generator=torch.Generator().manual_seed(0))
    for _ in range(2):  # the second time no buffer is fresh
        stack.gradients(x, x)
    assert set(stack.params) == {"encoder", "bias"}
    for n, own in enumerate(cells):
        params = {name: value[n].double().requires_grad_() for name, value in stack.params.items()}
        codes = torch.relu(x[n].double() @ params["encoder"].T + params["bias"])
        error = codes @ params["encoder"] - x[n].double()
        loss = error.square().sum(dim=1).mean() * reconstruction_scale(own.config)
        loss += own.config.loss.sparsity.coefficient * l1_scale(own.config) * codes.sum(dim=1).mean()
        loss.backward()
        for name, value in params.items():
            assert value.grad is not None
            off = torch.linalg.vector_norm(stack.grads[name][n].double() - value.grad)
            assert off <= tolerance * torch.linalg.vector_norm(value.grad), (name, n)


@pytest.mark.parametrize("shape", [(16, 24, 32), (19, 7, 50)])
@pytest.mark.parametrize("norm", ["unit", "unit_in_forward"])
def test_a_cell_alone_or_among_sixteen_has_the_same_bytes(
    shape: tuple[int, int, int], norm: str, tmp_path: Path
) -> None:
    dim, latents, batch = shape
    cells = sixteen(kind="tied_relu", dim=dim, latents=latents, batch=batch, steps=12, decoder_norm=norm)
    together = trained(cells, tmp_path / "together")
    for own in (cells[0], cells[7]):
        assert trained([own], tmp_path / own.id)[own.id] == together[own.id]


def test_an_interrupted_run_continues_bit_for_bit(tmp_path: Path) -> None:
    cells = sixteen(kind="tied_relu")[:3]
    undisturbed = trained(cells, tmp_path / "undisturbed")
    with pytest.raises(Interrupted):
        train(cells, Store(tmp_path / "interrupted"), [CPU], stop=stop_after(15))
    assert trained(cells, tmp_path / "interrupted") == undisturbed


def test_it_learns_what_the_untied_one_learns(tmp_path: Path) -> None:
    tied, untied = (cell(kind=kind, steps=800, batch=64) for kind in ("tied_relu", "relu"))
    found = [measured([own], tmp_path, ALL)["cells"][0] for own in (tied, untied)]
    assert found[0]["mmcs"] == pytest.approx(found[1]["mmcs"], abs=0.15)
    assert found[0]["mmcs"] > found[0]["mmcs_chance"] + 0.2
    assert found[0]["tied"] is True
    encoder = read(Store(tmp_path).cell(tied.id))[0]["encoder"]
    assert torch.allclose(encoder.norm(dim=1), torch.ones(24), atol=1e-5)
    assert group_name(tied.config) == "tied_relu-d16-n24-b64-s800-c4"


def test_tied_and_untied_cells_are_swept_by_kind(tmp_path: Path) -> None:
    text = edit("  tied: false\n", "").replace("  zip:", "    sae.kind: [relu, tied_relu]\n  zip:")
    assert text != GOOD
    assert {point.config.sae.kind for point in load_text(tmp_path, text).points} == {"relu", "tied_relu"}
    problem = one_problem(tmp_path, edit("  kind: relu\n", "  kind: tied_relu\n"))
    assert problem.path == "sae.tied"
