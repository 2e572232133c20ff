"""Measures of dictionaries by themselves: agreement with larger ones, their neurons, their codes' moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cells import cell
from scipy import stats
from spec_sample import edit, one_problem
from test_measure import loaded, measured

from saespec.errors import Interrupted
from saespec.measure import neuron_basis
from saespec.measure.agreement import partners
from saespec.plan.groups import group_name
from saespec.plan.model import Cell
from saespec.sae.checkpoint import Store, read
from saespec.sae.cosine import cosines
from saespec.sae.stack import Stack
from saespec.sae.train import train
from saespec.spec.measures import (
    Agreement,
    AliveLatents,
    CosineHistogram,
    LargerDictionaries,
    Latents,
    Movement,
    NeuronBasis,
)

SIZES = (12, 24, 48)


def test_agreement_gives_each_latent_a_partner_of_its_own(tmp_path: Path) -> None:
    cells = [cell(latents=n, steps=800, batch=64) for n in SIZES]
    found = measured(
        cells, tmp_path, [Agreement(kind="agreement"), LargerDictionaries(kind="larger_dictionaries")]
    )
    small, middle, large = found["cells"]
    pairs = {(row["cell"], row["other_latents"]): row for row in found["pairs"]}
    assert small["mmcs_next"] == pairs[cells[0].id, 24]["mmcs"]
    assert small["mmcs_next_two"] == pytest.approx(small["mmcs_larger"])  # there are just two larger ones
    assert middle["mmcs_next_two"] == middle["mmcs_next"]
    assert small["agreeing_nearest"] == pairs[cells[0].id, 24]["above_09"]
    for row in (small, middle):
        assert row["mcs_assigned"] <= row["mmcs_next"]
        assert 0 < row["agreeing"] <= row["agreeing_nearest"]
        assert row["agreeing_share"] == row["agreeing"] / row["latents"]
    assert large["agreeing"] is None
    of_small = [row for row in found["latents"] if row["cell"] == cells[0].id]
    assert [row["latent"] for row in of_small] == list(range(12))
    assert np.mean([row["partner_cosine"] for row in of_small]) == pytest.approx(small["mcs_assigned"])
    assert sum(row["partner_cosine"] > 0.9 for row in of_small) == small["agreeing"]
    assert all(row["partner_cosine"] <= row["nearest_cosine"] for row in of_small)


def test_a_lower_threshold_finds_more_agreement(tmp_path: Path) -> None:
    cells = [cell(latents=n) for n in SIZES]
    strict, loose = (
        measured(cells, tmp_path, [Agreement(kind="agreement", threshold=t)])["cells"][0]["agreeing"]
        for t in (0.9, 0.3)
    )
    assert strict < loose


def test_two_latents_cannot_share_a_partner() -> None:
    one = torch.eye(3)
    twice = torch.stack([one[0], one[0], one[1]])
    assert sorted(partners(cosines(twice, one))) == pytest.approx([0, 1, 1])
    assert np.isnan(partners(torch.full((2, 3), torch.nan))).all()


def test_two_measures_of_latents_share_their_rows(tmp_path: Path) -> None:
    cells = [cell(latents=n) for n in SIZES]
    found = measured(cells, tmp_path, [Agreement(kind="agreement"), Latents(kind="latents", batches=2)])
    keys = [(row["cell"], row["latent"]) for row in found["latents"]]
    assert keys == [(own.id, latent) for own in cells for latent in range(own.config.sae.latents)]
    assert {"density", "partner_cosine"} < set(found["latents"][0])
    assert found["latents"][-1]["partner_cosine"] is None


def test_a_histogram_counts_every_latent_once(tmp_path: Path) -> None:
    cells = [cell(latents=n, steps=200) for n in SIZES]
    found = measured(
        cells,
        tmp_path,
        [CosineHistogram(kind="cosine_histogram"), Agreement(kind="agreement", threshold=0.9)],
    )
    rows = [row for row in found["cosine_histogram"] if row["cell"] == cells[1].id]
    assert len(rows) == 20
    assert sum(row["latents"] for row in rows) == 24
    assert {row["other_cell"] for row in rows} == {cells[2].id}
    above = sum(row["latents"] for row in rows if row["bin_low"] > 0.89)
    assert above == found["cells"][1]["agreeing_nearest"]
    assert (rows[0]["bin_low"], rows[-1]["bin_high"]) == (0, 1)
    assert cells[2].id not in {row["cell"] for row in found["cosine_histogram"]}


def test_alive_latents_fire_more_often_than_the_threshold(tmp_path: Path) -> None:
    own = cell(latents=48, l1=2.0, steps=100)
    found = {
        n: measured(
            [own],
            tmp_path,
            [AliveLatents(kind="alive_latents", batches=5, more_than=n), Latents(kind="latents", batches=5)],
        )
        for n in (0, 10, 5 * 32)
    }
    for n, tables in found.items():
        fired = [row["density"] * 5 * 32 > n + 0.5 for row in tables["latents"]]
        assert tables["cells"][0]["alive_latents"] == sum(fired)
        assert tables["cells"][0]["alive_share"] == sum(fired) / 48
    assert found[0]["cells"][0]["alive_latents"] > found[10]["cells"][0]["alive_latents"] > 0
    assert found[160]["cells"][0]["alive_latents"] == 0


def test_entropy_and_effective_neurons_know_one_neuron_from_many() -> None:
    one, all_alike = torch.zeros(16), torch.ones(16)
    one[3] = -2.0
    both = torch.stack([one, all_alike])
    assert neuron_basis.effective_neurons(both).tolist() == pytest.approx([1, 16])
    # Sixteen elements of ¼ each at unit length: 16 · ¼ ln 4.
    assert neuron_basis.entropy(both).tolist() == pytest.approx([0, 4 * np.log(4)])


def test_moments_are_those_of_scipy(tmp_path: Path) -> None:
    cells = [cell(latents=12), cell(latents=12, l1=0.5)]
    (trained,) = loaded(cells, tmp_path)
    found = measured(cells, tmp_path, [NeuronBasis(kind="neuron_basis", batches=6)])
    codes_NBL = torch.cat([codes for codes, _ in trained.codes(6)], dim=1).double().numpy()
    with np.errstate(invalid="ignore"):
        skew_NL = stats.skew(codes_NBL, axis=1)
        kurtosis_NL = stats.kurtosis(codes_NBL, axis=1, fisher=False)
    rows = [row for own in trained.cells for row in found["latents"] if row["cell"] == own.id]
    assert [row["skew"] for row in rows] == pytest.approx(skew_NL.reshape(-1).tolist(), rel=1e-5, nan_ok=True)
    assert [row["kurtosis"] for row in rows] == pytest.approx(
        kurtosis_NL.reshape(-1).tolist(), rel=1e-5, nan_ok=True
    )
    first = [row["effective_neurons"] for row in found["latents"][:12]]
    assert found["cells"][0]["effective_neurons"] == pytest.approx(np.mean(first))


def test_a_latent_that_never_fires_has_no_moments(tmp_path: Path) -> None:
    found = measured([cell(latents=48, l1=30.0, steps=300)], tmp_path, [NeuronBasis(kind="neuron_basis")])
    assert all(np.isnan(row["skew"]) and np.isnan(row["kurtosis"]) for row in found["latents"])
    assert np.isnan(found["cells"][0]["skew"])
    assert found["cells"][0]["effective_neurons"] > 1


MOVEMENT = [Movement(kind="movement")]


def test_movement_is_how_far_the_elements_turned_between_curve_points(tmp_path: Path) -> None:
    own = cell(movement=True, steps=40, curve_points=4)
    found = measured([own], tmp_path, MOVEMENT)["curves"]
    # A cell of the same numbers that ends at the first curve point shows what lies between it and the start.
    first = train_to_the_end(cell(steps=10, curve_points=1), tmp_path / "first")
    stack = Stack((own,), torch.device("cpu"))
    stack.initialise()
    initial_LD = stack.params["decoder"][0]
    turned_L = 1 - torch.cosine_similarity(first.double(), initial_LD.double(), dim=1)
    assert found[0]["movement"] == pytest.approx(turned_L.mean().item(), rel=1e-4)
    assert [row["step"] for row in found] == [10, 20, 30, 40]
    assert all(row["movement_sum"] == pytest.approx(24 * row["movement"]) for row in found)


def train_to_the_end(own: Cell, folder: Path) -> torch.Tensor:
    train([own], Store(folder), [torch.device("cpu")])
    return read(Store(folder).cell(own.id))[0]["decoder"]


def test_recording_movement_changes_nothing_else_and_survives_an_interrupt(tmp_path: Path) -> None:
    own, plain, store = cell(movement=True), cell(), Store(tmp_path)
    left = iter(range(17))
    with pytest.raises(Interrupted):
        train([own], store, [torch.device("cpu")], stop=lambda: next(left, None) is None)
    found, undisturbed = (measured([own], tmp_path / name, MOVEMENT)["curves"] for name in (".", "other"))
    assert found == undisturbed
    without = measured([plain], tmp_path, MOVEMENT)["curves"]
    assert [{**row, "cell": own.id} for row in without] == [
        {name: value for name, value in row.items() if not name.startswith("movement")} for row in found
    ]
    assert group_name(own.config) == f"{group_name(plain.config)}-movement"
    assert own.id != plain.id


def test_movement_that_is_not_recorded_is_refused(tmp_path: Path) -> None:
    problem = one_problem(tmp_path, edit("[recovery, ", "[movement, recovery, "))
    assert "write train.movement: true" in str(problem)
