from __future__ import annotations

from pathlib import Path

import pytest
from plan_sample import NAMED_CASES, SPEC, make, planned

from saespec.plan import identity
from saespec.plan.diff import describe, diff
from saespec.plan.model import Cell

HERE = "loss.sparsity.coefficient: [0.1, 1.0]"


def cells(tmp_path: Path, *edits: tuple[str, str], text: str = SPEC) -> tuple[Cell, ...]:
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return planned(make(tmp_path, text=text), tmp_path).cells


def test_equal_specs_do_not_differ(tmp_path: Path) -> None:
    a = cells(tmp_path)
    assert not diff(a, a)
    assert diff(a, a).kept == a
    assert describe(diff(a, a)) == []


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ((HERE, HERE.replace("1.0", "1.0, 2.0")), ["+2 cells: loss.sparsity.coefficient 2.0"]),
        ((HERE, HERE.replace(", 1.0", "")), ["-2 cells: loss.sparsity.coefficient 1.0"]),
        (
            (HERE, HERE.replace("1.0", "2.0")),
            ["+2 cells: loss.sparsity.coefficient 2.0", "-2 cells: loss.sparsity.coefficient 1.0"],
        ),
        (("steps: 10", "steps: 20"), ["train.steps 10 → 20"]),
        (("reconstruction: mean", "reconstruction: sum"), ["loss.reconstruction mean → sum"]),
        (
            ("active: 2", "active: 2, decay: {rule: power}"),
            ["data.decay.rule none → power", "data.decay.rate null → 0.99"],
        ),
    ],
)
def test_a_diff_is_told_on_resolved_values(tmp_path: Path, edit: tuple[str, str], told: list[str]) -> None:
    assert describe(diff(cells(tmp_path / "a"), cells(tmp_path / "b", edit))) == told


def test_many_values_are_cut_short(tmp_path: Path) -> None:
    more = (HERE, HERE.replace("1.0", "1.0, " + ", ".join(f"{i}.0" for i in range(2, 12))))
    found = describe(diff(cells(tmp_path / "a"), cells(tmp_path / "b", more)))
    assert found == ["+20 cells: loss.sparsity.coefficient 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, … (10 values)"]


def test_one_cell_more_without_a_new_value_is_named(tmp_path: Path) -> None:
    a = cells(tmp_path)
    assert describe(diff(a[:3], a)) == ["+1 cell: loss.sparsity.coefficient 1.0, sae.latents 16"]


def test_another_axis_is_not_a_change_of_the_same_cells(tmp_path: Path) -> None:
    found = diff(cells(tmp_path / "a"), cells(tmp_path / "b", ("sae.latents: [8, 16]", "seed: [1, 2]")))
    assert (len(found.added), len(found.removed), len(found.changed)) == (4, 4, 0)


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ([("small", "little")], ["case small → little (2 cells)"]),
        (
            [("small", "little"), ("steps: 10", "steps: 20")],
            ["train.steps 10 → 20", "case small → little (2 cells)"],
        ),
        (
            [("16}]", "16}, {name: deep, seed: 1}]")],
            ["+2 cells: case deep, seed 1"],
        ),
        ([("{name: small}, ", "")], ["-2 cells: case small"]),
        ([("latents: 16", "latents: 9")], ["+2 cells: sae.latents 9", "-2 cells: sae.latents 16"]),
    ],
)
def test_named_cases_are_told(tmp_path: Path, edits: list[tuple[str, str]], told: list[str]) -> None:
    before = cells(tmp_path / "a", text=NAMED_CASES)
    found = diff(before, cells(tmp_path / "b", *edits, text=NAMED_CASES))
    assert found
    assert describe(found) == told


def test_naming_cases_renames_and_trains_nothing(tmp_path: Path) -> None:
    found = diff(cells(tmp_path / "a"), cells(tmp_path / "b", text=NAMED_CASES))
    assert (len(found.kept), len(found.renamed)) == (4, 4)
    assert describe(found) == ["case null → small (2 cells)", "case null → large (2 cells)"]
    assert describe(found, lambda cell: True) == []


def test_another_numerics_version_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = cells(tmp_path / "a")
    monkeypatch.setattr(identity, "NUMERICS", identity.NUMERICS + 1)
    found = diff(a, cells(tmp_path / "b"))
    assert [change.fields for change in found.changed] == [{}] * 4
    assert describe(found) == ["4 cells anew: this saespec computes the same settings differently"]
