from __future__ import annotations

from pathlib import Path

import pytest
from plan_sample import calls, make, planned, stand_in

from saespec.engine import dvc
from saespec.engine.run import run
from saespec.engine.scratch import scratch
from saespec.plan.project import find_root, paths_root, scratch_folder
from saespec.spec.language.load import load


def test_overrides_run_in_a_project_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc, "PROGRAMS", stand_in(tmp_path / "programs"))
    spec = make(tmp_path)
    loaded = load(spec, ["train.steps=20"], root=tmp_path)
    made = scratch(loaded, tmp_path)
    assert made.root.parent == tmp_path / ".saespec/scratch"
    assert find_root(made.spec) == made.root
    plan = planned(made.spec, made.root)
    assert [cell.config for cell in plan.cells] == [point.config for point in loaded.points]
    assert plan.spec.figures == loaded.spec.figures
    run(plan, made.root, store=made.store)
    assert len(list((tmp_path / ".saespec/store/cells").iterdir())) == 4
    assert not (tmp_path / "results").exists()
    assert "report" not in calls(made.root)


def test_the_same_overrides_lead_to_the_same_folder(tmp_path: Path) -> None:
    spec = make(tmp_path)
    first = scratch(load(spec, ["train.steps=20"], root=tmp_path), tmp_path)
    written = first.spec.stat().st_mtime_ns
    assert scratch(load(spec, ["train.steps=20"], root=tmp_path), tmp_path) == first
    assert first.spec.stat().st_mtime_ns == written
    assert scratch(load(spec, ["train.steps=21"], root=tmp_path), tmp_path).root != first.root


def test_paths_in_an_overridden_spec_are_relative_to_the_project_itself(tmp_path: Path) -> None:
    assert paths_root(tmp_path) == tmp_path
    assert paths_root(scratch_folder(tmp_path) / "tiny-0123abcd") == tmp_path
