"""Groups of features, exactly one of each active: which, how often, and where they point."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cells import cell, rows
from hypothesis import given
from hypothesis import strategies as st

from saespec.data.toy import Toy
from saespec.errors import SpecError
from saespec.measure.monosemanticity import mean_share
from saespec.measure.tables import tables
from saespec.measure.trained import load
from saespec.sae.checkpoint import Store
from saespec.sae.train import train
from saespec.spec.language.load import load as load_spec
from saespec.spec.measures import Directions, Monosemanticity
from saespec.spec.toy import ToyData

CPU = torch.device("cpu")


def toy(groups: int = 2, size: int = 3, dim: int = 12, shared: float = 0, **correlation: float) -> Toy:
    single = correlation.get("single", 0.0)
    config = {
        "kind": "toy",
        "dim": dim,
        "features": groups * size,
        "active": groups * (1 - single) + single,
        "directions": "simplex",
        "correlation": {"kind": "groups", "groups": groups, **correlation},
        "coefficients": {"low": 0.5, "shared": shared},
    }
    return Toy(ToyData.model_validate(config), 0, CPU)


@given(groups=st.integers(1, 4), size=st.integers(1, 4), boost=st.floats(0, 0.99), t=st.integers(0, 9))
def test_one_of_each_group_is_active(groups: int, size: int, boost: float, t: int) -> None:
    codes_BKM = toy(groups, size, boost=boost).codes("train", t, 64).view(64, groups, size)
    assert ((codes_BKM > 0).sum(dim=2) == 1).all()


def test_a_boosted_pair_and_single_features_come_as_often_as_is_said() -> None:
    active_BG = toy(boost=0.4).codes("train", 0, 20_000) > 0
    pair = (active_BG[:, 0] & active_BG[:, 3]).float().mean()
    assert pair == pytest.approx(0.4 + 0.6 / 9, abs=0.015)
    single_BG = toy(single=0.25).codes("train", 0, 20_000) > 0
    alone_B = single_BG.sum(dim=1) == 1
    assert alone_B.float().mean() == pytest.approx(0.25, abs=0.015)
    assert torch.allclose(single_BG[alone_B].float().mean(dim=0), torch.full((6,), 1 / 6), atol=0.02)


def test_coefficients_may_be_the_same() -> None:
    same = toy(shared=1).codes("train", 0, 500)
    assert torch.allclose(same.amax(dim=1) * 2, same.sum(dim=1))
    assert same[same > 0].min() >= 0.5
    half = toy(shared=0.5).codes("train", 0, 5000)
    equal = (half.amax(dim=1) * 2 - half.sum(dim=1)).abs() < 1e-6
    assert equal.float().mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("groups", "size"), [(2, 2), (2, 3), (3, 4)])
def test_the_directions_of_a_group_are_as_far_apart_as_can_be(groups: int, size: int) -> None:
    truth_GD = toy(groups, size).truth_GD.double()
    cosines_GG = truth_GD @ truth_GD.T
    for a in range(groups * size):
        for b in range(groups * size):
            expected = 1 if a == b else -1 / (size - 1) if a // size == b // size else 0
            assert float(cosines_GG[a, b]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("data", "field", "message"),
    [
        ("features: 5, active: 2, correlation: {kind: groups}", "data.features", "must be a multiple of"),
        ("features: 4, active: 1, correlation: {kind: groups}", "data.active", "must be 2, what"),
        (
            "features: 4, active: 1, directions: simplex",
            "data.directions",
            "simplex is of groups of features",
        ),
        (
            "features: 24, active: 2, directions: simplex, correlation: {kind: groups}",
            "data.dim",
            "must be at least 22 for these groups",
        ),
        (
            "features: 4, active: 2, decay: multiply, correlation: {kind: groups}",
            "data.decay",
            "equally frequent",
        ),
    ],
)
def test_what_groups_cannot_be_is_refused(tmp_path: Path, data: str, field: str, message: str) -> None:
    (tmp_path / "t.yaml").write_text(
        f"version: 1\nname: t\ntitle: T\ndata: {{kind: toy, dim: 8, {data}}}\nsae: {{kind: relu, latents: 4}}\n"
        "loss: {reconstruction: sum, sparsity: {kind: l1, coefficient: 0.1, per: sample}}\n"
        "train: {steps: 9, batch: 8, optimizer: {kind: adam, lr: 0.01}}\nmeasure: [losses]\n"
    )
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "t.yaml")
    assert [(p.path, message in p.message) for p in caught.value.problems] == [(field, True)]


def test_monosemanticity_is_the_share_of_the_best_feature() -> None:
    codes_GL = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 2.0, 0.0]])
    assert mean_share(codes_GL) == pytest.approx((1 + 0.5) / 2)


def test_directions_are_the_elements_and_the_truth(tmp_path: Path) -> None:
    own = cell(
        dim=2,
        features=4,
        active=2.0,
        latents=3,
        steps=5,
        directions="simplex",
        correlation={"kind": "groups"},
    )
    train([own], Store(tmp_path), [CPU])
    stacks = load([((own,), Store(tmp_path).cell(own.id).parent)], CPU)
    measures = [Directions(kind="directions"), Monosemanticity(kind="monosemanticity")]
    found = tables("x", [own], measures, stacks)
    given = {(row["of"], row["number"], row["axis"]): row["coordinate"] for row in rows(found["directions"])}
    assert len(given) == (3 + 4) * 2
    assert given["latent", 2, 1] == float(stacks[0].dictionary_NLD[0, 2, 1])
    assert [given["feature", 1, axis] for axis in (0, 1)] == pytest.approx(
        [-given["feature", 0, 0], 0], abs=1e-6
    )
    assert 0.25 <= found["cells"]["monosemanticity"][0] <= 1
