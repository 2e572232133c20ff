"""Baselines as cells: fitted on the training stream, measured like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells import cell as relu_cell
from cells import rows
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from spec_sample import GOOD, edit, load_text, one_problem

from saespec.data.source import source
from saespec.data.toy import Toy
from saespec.errors import Interrupted
from saespec.measure.tables import tables
from saespec.measure.trained import Trained, load
from saespec.plan.groups import group_name
from saespec.plan.identity import cell_id
from saespec.plan.model import Cell
from saespec.sae.checkpoint import Store, read
from saespec.sae.cosine import mmcs
from saespec.sae.fit import fit
from saespec.sae.train import CURVE, Finished, Progress
from saespec.spec.language.effect import reason, unread
from saespec.spec.language.fields import flat
from saespec.spec.language.sweep import apply
from saespec.spec.measures import DeadLatents, Latents, Losses, NeuronBasis, Recovery
from saespec.spec.spec import CellConfig

CPU = torch.device("cpu")
STEPS, BATCH, DIM = 60, 64, 16
ALL = [
    Recovery(kind="recovery"),
    Losses(kind="losses", batches=5),
    DeadLatents(kind="dead_latents", window=5),
    Latents(kind="latents", batches=5),
    NeuronBasis(kind="neuron_basis", batches=5),
]


def cell(kind: str, latents: int = DIM, seed: int = 0, features: int = 12, steps: int = STEPS) -> Cell:
    """A baseline on toy data."""
    config = relu_cell(dim=DIM, features=features, active=2.0, steps=steps, batch=BATCH, seed=seed).config
    values = config.model_dump(mode="json", exclude_unset=True)
    changed = CellConfig.model_validate({**values, "sae": {"kind": kind, "latents": latents}})
    return Cell(cell_id(changed), changed)


def fitted(own: Cell, folder: Path) -> Trained:
    store = Store(folder)
    fit([own], store, [CPU])
    (trained,) = load([((own,), folder / "cells")], CPU)
    return trained


def vectors(own: Cell) -> NDArray[np.float64]:
    """All that the cell is fitted on."""
    data = source(own.config.data, own.config.seed, CPU)
    return torch.cat([data.batch("train", t, BATCH) for t in range(own.config.train.steps)]).double().numpy()


def error(trained: Trained, x_VD: NDArray[np.float64]) -> float:
    """Squared error a vector of the cell's reconstructions."""
    x_1VD = torch.from_numpy(x_VD).float().unsqueeze(0)
    decoded = trained.coder.decode(trained.params, trained.coder.encode(trained.params, x_1VD))
    return float((decoded - x_1VD).double().square().sum() / len(x_VD))


def row(own: Cell, folder: Path) -> dict[str, Any]:
    return rows(tables("x", [own], ALL, [fitted(own, folder)])["cells"])[0]


def test_pca_is_that_of_scikit_learn(tmp_path: Path) -> None:
    own = cell("pca", latents=5)
    trained = fitted(own, tmp_path)
    x_VD = vectors(own)
    reference = PCA(5).fit(x_VD)
    cosines = (trained.dictionary_NLD[0].numpy() * reference.components_).sum(axis=1)
    assert np.abs(cosines) == pytest.approx(np.ones(5), abs=1e-5)
    theirs = reference.inverse_transform(reference.transform(x_VD))
    assert error(trained, x_VD) == pytest.approx(np.square(theirs - x_VD).sum() / len(x_VD), rel=1e-5)


@pytest.mark.parametrize("kind", ["pca", "ica"])
def test_all_components_reconstruct_all(kind: str, tmp_path: Path) -> None:
    found = row(cell(kind, features=24), tmp_path)
    assert found["fvu"] < 1e-6
    assert found["l0"] == pytest.approx(DIM, rel=1e-3)  # signed codes are not zero either
    assert found["sparsity_loss"] > 0


def test_ica_recovers_independent_features_and_pca_does_not(tmp_path: Path) -> None:
    ica, pca = (cell(kind, latents=12, steps=200) for kind in ("ica", "pca"))
    truth = source(ica.config.data, 0, CPU)
    assert isinstance(truth, Toy)
    unsigned = {
        own.config.sae.kind: mmcs(truth.truth_GD, torch.cat([d, -d]))
        for own in (ica, pca)
        for d in [fitted(own, tmp_path).dictionary_NLD[0]]
    }
    assert unsigned["ica"] > 0.97
    assert unsigned["pca"] < 0.8


def test_random_directions_have_the_best_linear_decoder(tmp_path: Path) -> None:
    own = cell("random", latents=24)
    trained = fitted(own, tmp_path)
    directions_LD = trained.dictionary_NLD[0].double().numpy()
    assert np.linalg.norm(directions_LD, axis=1) == pytest.approx(np.ones(24), abs=1e-6)
    x_VD = vectors(own)
    codes_VL = np.maximum(x_VD @ directions_LD.T, 0)
    best_LD = np.linalg.lstsq(codes_VL, x_VD)[0]
    assert error(trained, x_VD) == pytest.approx(
        np.square(codes_VL @ best_LD - x_VD).sum() / len(x_VD), rel=1e-4
    )


def test_the_neuron_basis_keeps_what_is_positive(tmp_path: Path) -> None:
    own = cell("neuron_basis")
    x_VD = vectors(own)
    assert error(fitted(own, tmp_path), x_VD) == pytest.approx(
        np.square(np.minimum(x_VD, 0)).sum() / len(x_VD), rel=1e-5
    )
    assert row(own, tmp_path)["effective_neurons"] == pytest.approx(1)


@pytest.mark.parametrize("kind", ["pca", "ica", "random", "neuron_basis"])
def test_every_baseline_is_measured_and_has_a_curve(kind: str, tmp_path: Path) -> None:
    own = cell(kind)
    found = tables("x", [own], ALL, [fitted(own, tmp_path)])
    for measure in ALL:
        for table, columns in measure.columns.items():
            assert {column.name for column in columns} <= set(found[table]), table
    (point,) = rows(found["curves"])
    assert tuple(point) == ("cell", *CURVE)
    assert point["step"] == STEPS
    assert point["l0"] == pytest.approx(rows(found["cells"])[0]["l0"], rel=0.1)
    assert point["reconstruction_loss"] == pytest.approx(
        rows(found["cells"])[0]["reconstruction_loss"], rel=0.5, abs=1e-9
    )
    assert group_name(own.config) == f"{kind}-d16-n16-b64-s60-curve_points_4"


@pytest.mark.parametrize("kind", ["pca", "ica", "random"])
def test_a_fit_has_the_same_bytes_whatever_the_threads_and_neighbours(kind: str, tmp_path: Path) -> None:
    own, other = cell(kind, seed=1), cell(kind)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        fit([own], Store(tmp_path / "one"), [CPU])
        torch.set_num_threads(2)
        fit([other, own], Store(tmp_path / "two"), [CPU])
    finally:
        torch.set_num_threads(before)
    one, two = (Store(tmp_path / name).cell(own.id).read_bytes() for name in ("one", "two"))
    assert one == two
    assert (
        read(Store(tmp_path / "two").cell(other.id))[0]["encoder"]
        .ne(read(Store(tmp_path / "one").cell(own.id))[0]["encoder"])
        .any()
    )


def test_a_fit_stops_when_asked_and_reports_otherwise(tmp_path: Path) -> None:
    own, store = cell("pca"), Store(tmp_path)
    with pytest.raises(Interrupted):
        fit([own], store, [CPU], stop=lambda: True)
    assert not store.finished(own.id)
    said: list[Progress] = []
    done: list[Finished] = []
    fit([own], store, [CPU], said.append, done.append)
    assert store.finished(own.id)
    assert (said[-1].step, said[-1].steps) == (STEPS, STEPS)
    assert done[0].cells == (own,)


CASES = """\
  cases:
    - {name: SAE}
    - {name: PCA, sae: {kind: pca, latents: 8}}
    - {name: neurons, sae: {kind: neuron_basis, latents: 64}, train.steps: 10}
"""
SWEPT = edit(GOOD[GOOD.index("  grid:") : GOOD.index("measure:")], CASES + "\n")


def test_a_case_replaces_the_whole_autoencoder(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, SWEPT)
    sae, pca, neurons = (point.config for point in loaded.points)
    assert (sae.sae.kind, pca.sae.kind, neurons.sae.kind) == ("relu", "pca", "neuron_basis")
    assert pca.loss == sae.loss
    assert [point.case for point in loaded.points] == ["SAE", "PCA", "neurons"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pca, latents: 8", "pca, latents: 65", "at most as many components as there are dimensions (64)"),
        ("neuron_basis, latents: 64", "neuron_basis, latents: 32", "must be the number of dimensions (64)"),
        ("kind: pca,", "kind: ica,", "at most 2048 steps of 256 × 64"),
        ("kind: pca,", "kind: pca, weights: untied,", "is not a known key"),
        ("latents: 8}}", "latents: 8}, train.precision: bfloat16}", "fitted in double precision"),
        ("latents: 8}}", "latents: 8}, train.products: sparse}", "fitted with dense products"),
        ("latents: 8}}", "latents: 8}, train.steps: 1, train.batch: 7}", "at least as many vectors"),
    ],
)
def test_what_a_baseline_does_not_go_with_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    problem = one_problem(tmp_path, edit(old, new, SWEPT))
    assert said in str(problem)
    assert SWEPT.splitlines()[problem.line - 1].strip().startswith("- {name:")


OTHER: dict[str, Any] = {
    "data.features": 11,
    "data.active": 3,
    "data.directions": "positive",
    "data.correlation": "random",
    "data.decay": "multiply",
    "data.coefficients.low": 0.5,
    "data.coefficients.high": 2,
    "data.empty_rows": "fill",
    "data.jitter": 0.1,
    "data.background_noise": 0.1,
    "loss.reconstruction": "sum",
    "loss.sparsity.coefficient": 0.3,
    "loss.sparsity.per": "sample",
    "train.steps": STEPS + 1,
    "train.batch": BATCH + 1,
    "train.optimizer.lr": 0.3,
    "train.optimizer.beta1": 0.3,
    "train.optimizer.beta2": 0.3,
    "train.optimizer.eps": 0.3,
    "train.input_noise": 0.1,
    "train.curve_points": 7,
    "train.movement": True,
    "train.schedule.warmup": 0.5,
    "train.schedule.decay": "linear",
    "train.clip": 0.5,
    "train.resample": {"kind": "bricken", "every": 5, "until": 10, "window": 5},
    "loss.prefixes": 2,
    "loss.sparsity.warmup": 0.5,
    "loss.sparsity.weighted_by_norm": True,
    "loss.auxiliary": {"kind": "ghost", "window": 5},
    "seed": 1,
}
"""Another value of each field that a baseline's cell may have in more than one way."""


def test_every_field_that_goes_with_baselines_has_another_value_here() -> None:
    refused = {"train.precision", "train.products"}
    parts = {
        path.removesuffix(".kind")
        for path in flat(cell("pca").config)
        if path.startswith(("loss.", "train."))
    }
    assert parts - {"loss.sparsity", "train.optimizer"} - refused <= set(OTHER)


@pytest.mark.parametrize("kind", ["pca", "ica", "random", "neuron_basis"])
def test_what_a_baseline_is_said_not_to_read_changes_no_bit_of_it_and_all_else_does(
    kind: str, tmp_path: Path
) -> None:
    own = cell(kind, latents=DIM if kind == "neuron_basis" else 3, steps=20)
    store = Store(tmp_path)
    base = own.config.model_dump(mode="json", exclude_unset=True)

    def made(config: CellConfig) -> dict[str, torch.Tensor]:
        one = Cell(cell_id(config), config)
        fit([one], store, [CPU])
        return read(store.cell(one.id))[0]

    first, gone = made(own.config), unread(own.config)
    for path, value in OTHER.items():
        other = made(apply(base, {path: value}))
        same = all(torch.equal(first[name], other[name]) for name in first)
        assert same == bool(reason(path, gone)), path
