"""Where training starts, and what it depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells import cell
from spec_sample import edit, load_text
from test_measure import ALL, measured

from saespec.plan.groups import group_name
from saespec.plan.model import Cell
from saespec.sae.batches import Sources
from saespec.sae.checkpoint import Store, read
from saespec.sae.initial import geometric_median
from saespec.sae.train import Run

CPU = torch.device("cpu")


def start(own: Cell) -> dict[str, torch.Tensor]:
    """A cell's parameters before the first step."""
    return {name: value[0] for name, value in Run((own,), Sources(CPU)).stack.params.items()}


@pytest.mark.parametrize("latents", [16, 40, 10])
def test_an_orthogonal_dictionary_is_orthogonal(latents: int) -> None:
    decoder = start(cell(latents=latents))["decoder"]
    product = decoder @ decoder.T if latents <= 16 else decoder.T @ decoder
    assert torch.allclose(product, torch.eye(len(product)), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"decoder_norm": "unit_in_forward"},
        {"decoder_norm": "unit_projected"},
        {"l1": 3.0},
        {"lr": 1.0},
        {"precision": "bfloat16"},
        {"background_noise": 0.1},
        {"features": 30},
        {"steps": 7},
        {"sae": {"kind": "topk", "k": 2}},
        {"sae": {"kind": "gated"}},
        {"sae": {"decoder_bias": "learned"}},
        {"loss": {"sparsity": "none"}},
    ],
    ids=str,
)
def test_cells_that_differ_in_something_else_start_alike(changes: dict[str, Any]) -> None:
    one, other = start(cell()), start(cell(**changes))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_or_shape_starts_elsewhere() -> None:
    one = start(cell())
    for other in (start(cell(seed=1)), start(cell(latents=25)), start(cell(dim=17))):
        assert all(not torch.equal(one[n].flatten()[:20], other[n].flatten()[:20]) for n in one)


def test_the_encoder_may_be_the_dictionary_shortened() -> None:
    init = {"encoder": {"kind": "decoder_transposed", "scale": 0.1}, "bias": "zero"}
    found = start(cell(sae={"init": init}))
    assert torch.allclose(found["encoder"], 0.1 * found["decoder"])
    assert not found["bias"].any()


def test_informed_elements_are_training_vectors_at_unit_length() -> None:
    own = cell(active=0.2, sae={"init": {"decoder": "data"}})
    run = Run((own,), Sources(CPU))
    points = run.batches.batch("train", 0)[0][0][:24]
    found = run.stack.params["decoder"][0]
    silent = points.norm(dim=1) == 0
    assert 0 < silent.sum() < 24  # and those without any feature are directions all the same
    assert torch.allclose(
        found[~silent], points[~silent] / points[~silent].norm(dim=1, keepdim=True), atol=1e-6
    )
    assert torch.allclose(found.norm(dim=1), torch.ones(24))


@pytest.mark.parametrize("kind", ["mean", "geometric_median"])
def test_the_decoder_bias_starts_in_the_middle_of_the_data(kind: str) -> None:
    own = cell(batch=128, sae={"decoder_bias": "shared", "init": {"decoder_bias": kind, "decoder": "data"}})
    run = Run((own,), Sources(CPU))
    inputs = torch.cat([run.batches.batch("train", t)[0][0] for t in range(32)]).double()
    found = run.stack.params["decoder_bias"][0].double()
    if kind == "mean":
        assert torch.allclose(found, inputs.mean(dim=0), atol=1e-6)
    distance = (inputs - found).norm(dim=1).mean()
    for nudge in 0.01 * torch.eye(16, dtype=torch.float64) if kind == "geometric_median" else ():
        assert (inputs - found - nudge).norm(dim=1).mean() > distance
    first = inputs[0] - found
    assert torch.allclose(run.stack.params["decoder"][0, 0].double(), first / first.norm(), atol=1e-5)


def test_the_geometric_median_of_a_far_outlier_is_not_its_mean() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1e3, 0.5]])
    assert np.linalg.norm(geometric_median(points) - [0.9, 0.5]) < 0.2


def test_tied_weights_learn_what_untied_ones_learn(tmp_path: Path) -> None:
    tied, untied = (cell(weights=kind, steps=800, batch=64) for kind in ("tied", "untied"))
    found = [measured([own], tmp_path, ALL)["cells"][0] for own in (tied, untied)]
    assert found[0]["mmcs"] == pytest.approx(found[1]["mmcs"], abs=0.15)
    assert found[0]["mmcs"] > found[0]["mmcs_chance"] + 0.2
    assert found[0]["weights"] == "tied"
    tensors = read(Store(tmp_path).cell(tied.id))[0]
    assert set(tensors) == {"encoder", "bias", "curve"}
    assert torch.allclose(tensors["encoder"].norm(dim=1), torch.ones(24), atol=1e-5)
    assert group_name(tied.config) == "relu-d16-n24-b64-s800-tied-curve_points_4"


def test_tied_and_untied_cells_are_swept_together(tmp_path: Path) -> None:
    text = edit("  zip:", "    sae.weights: [untied, tied]\n  zip:")
    assert {point.config.sae.weights for point in load_text(tmp_path, text).points} == {"untied", "tied"}  # type: ignore[union-attr]
