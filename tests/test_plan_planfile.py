from __future__ import annotations

from pathlib import Path

import pytest
from plan_sample import NAMED_CASES, SPEC, make, planned

from saespec.errors import DamagedFileError
from saespec.plan import identity, planfile


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_bytes(planfile.dump(planned(make(tmp_path), tmp_path)))
    return path


def test_a_plan_is_read_back_whole(written: Path, tmp_path: Path) -> None:
    plan, read = planned(tmp_path / "specs/tiny.yaml", tmp_path), planfile.read(written)
    assert read.spec == plan.spec
    assert read.cells == plan.cells
    assert [cell.swept for cell in read.cells] == [cell.swept for cell in plan.cells]
    assert read.groups == plan.groups
    assert (read.source, read.sources) == ("specs/tiny.yaml", ("specs/tiny.yaml",))
    assert read.fingerprints == {s.name: s.fingerprint for s in plan.stages if s.fingerprint}


def test_a_sweep_over_kinds_is_read_back(tmp_path: Path) -> None:
    text = SPEC.replace("sae.latents: [8, 16]", "data.decay: [none, {rule: power, rate: 0.9}]")
    text = text.replace("active: 2", "active: 2, decay: {rule: multiply, rate: 0.5}")
    plan = planned(make(tmp_path, text=text), tmp_path)
    (tmp_path / "plan.json").write_bytes(planfile.dump(plan))
    assert planfile.read(tmp_path / "plan.json").cells == plan.cells


def test_all_files_of_a_spec_are_recorded(tmp_path: Path) -> None:
    make(tmp_path)
    small = make(tmp_path, "small", "extends: tiny.yaml\nname: small\n")
    (tmp_path / "plan.json").write_bytes(planfile.dump(planned(small, tmp_path)))
    read = planfile.read(tmp_path / "plan.json")
    assert (read.source, read.sources) == ("specs/small.yaml", ("specs/small.yaml", "specs/tiny.yaml"))


def test_names_of_cases_are_read_back(written: Path, tmp_path: Path) -> None:
    assert '"case"' not in written.read_text()
    assert {cell.case for cell in planfile.read(written).cells} == {None}
    plan = planned(make(tmp_path, text=NAMED_CASES), tmp_path)
    written.write_bytes(planfile.dump(plan))
    read = planfile.read(written)
    assert [cell.case for cell in read.cells] == ["small", "large"] * 2
    assert [entry["case"] for entry in read.entries] == ["small", "large"] * 2
    assert (read.spec, read.cells) == (plan.spec, plan.cells)
    assert [cell.case for cell in read.groups[1].cells] == ["large", "large"]


def test_the_same_plan_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    assert planfile.dump(planned(tmp_path / "specs/tiny.yaml", tmp_path)) == written.read_bytes()


def test_the_hash_in_tables_does_not_depend_on_figures(written: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    text = SPEC.replace("title: One", "title: Two").replace("title: A tiny spec", "title: Renamed")
    other.write_bytes(planfile.dump(planned(make(tmp_path, text=text), tmp_path)))
    assert other.read_bytes() != written.read_bytes()
    assert planfile.read(other).measures_sha == planfile.read(written).measures_sha


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-40], "is not a whole plan"),
        (lambda text: "", "is not a whole plan"),
        (lambda text: "[]", "is not a whole plan"),
        (lambda text: text.replace('"steps":10', '"steps":11'), "was altered after it was written"),
        (lambda text: text.replace('"saespec_plan": 1', '"saespec_plan": 9'), "is a plan of format 9, not 1"),
    ],
)
def test_damage_is_told_with_the_remedy(written: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    written.write_text(damage(written.read_text()))
    with pytest.raises(DamagedFileError, match=rf"plan\.json: {message}\. Run `saespec run "):
        planfile.read(written)


def test_a_missing_plan_is_told(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="cannot be read"):
        planfile.read(tmp_path / "plan.json")


def test_cells_of_another_saespec_are_not_computed(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "NUMERICS", identity.NUMERICS + 1)
    read = planfile.read(written)
    assert len(read.unverified_cells()) == 4
    with pytest.raises(DamagedFileError, match="was written by another version of saespec"):
        _ = read.cells
    with pytest.raises(DamagedFileError, match=r"Run `saespec run specs/tiny\.yaml`"):
        _ = read.groups
