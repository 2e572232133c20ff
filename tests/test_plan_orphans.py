from __future__ import annotations

from pathlib import Path

import pytest
from clean_sample import put, ran
from plan_sample import edit, make

from saespec.engine.scratch import scratch
from saespec.plan.orphans import lost_scratch_runs, results_folders, scratch_runs, shown_together
from saespec.spec.language.load import load


def states(root: Path) -> dict[str, str]:
    return {one.name: one.state for one in results_folders(root)}


def test_results_of_a_spec_that_is_gone_or_renamed_are_orphans(tmp_path: Path) -> None:
    for name in ("deleted", "renamed", "there"):
        ran(tmp_path, name)
    (tmp_path / "specs/deleted.yaml").unlink()
    edit(tmp_path / "specs/renamed.yaml", "name: renamed", "name: other")
    assert states(tmp_path) == {"deleted": "gone", "renamed": "gone", "there": "spec"}


def test_a_spec_that_moved_and_kept_its_name_has_its_results(tmp_path: Path) -> None:
    ran(tmp_path)
    (tmp_path / "specs/below").mkdir()
    (tmp_path / "specs/tiny.yaml").rename(tmp_path / "specs/below/moved.yaml")
    assert states(tmp_path) == {"tiny": "spec"}


def test_a_spec_outside_of_specs_has_its_results(tmp_path: Path) -> None:
    ran(tmp_path)
    source = tmp_path / "elsewhere.yaml"
    (tmp_path / "specs/tiny.yaml").rename(source)
    assert states(tmp_path) == {"tiny": "gone"}
    edit(tmp_path / "results/tiny/dvc.yaml", "from specs/tiny.yaml: edit", "from elsewhere.yaml: edit")
    assert states(tmp_path) == {"tiny": "spec"}


def test_results_of_a_spec_whose_name_cannot_be_read_are_none(tmp_path: Path) -> None:
    """Someone is editing it."""
    ran(tmp_path)
    edit(tmp_path / "specs/tiny.yaml", "name: tiny", "name: [")
    assert states(tmp_path) == {"tiny": "spec"}


@pytest.mark.parametrize("gone", ["dvc.yaml", "plan.json"])
def test_one_of_the_generated_files_is_enough_to_tell(gone: str, tmp_path: Path) -> None:
    ran(tmp_path)
    (tmp_path / "specs/tiny.yaml").unlink()
    (tmp_path / "results/tiny" / gone).unlink()
    assert states(tmp_path) == {"tiny": "gone"}


def test_tables_that_were_copied_in_are_no_orphans(tmp_path: Path) -> None:
    put(tmp_path / "results/theirs/tables/cells.parquet")
    put(tmp_path / "results/report.md")
    assert states(tmp_path) == {"theirs": "copied"}


def test_results_of_the_projects_specs_stand_together(tmp_path: Path) -> None:
    put(tmp_path / "results/theirs/tables/cells.parquet")
    ran(tmp_path, "gone")
    (tmp_path / "specs/gone.yaml").unlink()
    assert shown_together(tmp_path) == {"theirs"}, "where there are no others"
    ran(tmp_path)
    assert shown_together(tmp_path) == {"tiny"}


def test_a_scratch_run_is_lost_with_its_spec(tmp_path: Path) -> None:
    spec = make(tmp_path, "tiny")
    for setting in ("train.steps=20", "name=another"):
        scratch(load(spec, [setting], root=tmp_path), tmp_path)
    runs = scratch_runs(tmp_path)
    assert len(runs) == 2
    assert lost_scratch_runs(tmp_path) == []
    edit(spec, "name: tiny", "name: renamed")
    assert lost_scratch_runs(tmp_path) == runs
    edit(spec, "name: renamed", "name: tiny")
    spec.unlink()
    assert lost_scratch_runs(tmp_path) == runs


def test_a_scratch_run_without_a_record_goes_by_its_name(tmp_path: Path) -> None:
    spec = make(tmp_path, "tiny")
    put(tmp_path / ".saespec/scratch/tiny-0123abcd/tiny.yaml")
    assert lost_scratch_runs(tmp_path) == []
    spec.unlink()
    assert [path.name for path in lost_scratch_runs(tmp_path)] == ["tiny-0123abcd"]
