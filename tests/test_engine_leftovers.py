from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clean_sample import TRANSFORMER, files, git, put, ran, snapshot
from plan_sample import SPEC, edit, make, planned

from saespec.engine.leftovers import Leftovers, leftovers
from saespec.engine.scratch import scratch
from saespec.plan import planfile
from saespec.plan.inputs import extractions, trained_models
from saespec.spec.language.load import load

OTHER = SPEC.replace("steps: 10", "steps: 11")
UNKNOWN = "0123456789ab"


def kinds(found: Leftovers) -> dict[str, str]:
    """Path below the project's work folder → kind, of what the store holds in vain."""
    return {item.path.as_posix().partition("/.saespec/store/")[2]: item.kind for item in found.store}


def names(found: Leftovers) -> list[str]:
    return [item.path.name for item in found.store]


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_nothing_is_left_of_a_project_whose_specs_are_there(tmp_path: Path) -> None:
    ran(tmp_path)
    ran(tmp_path, "other", TRANSFORMER)
    assert leftovers(tmp_path) == Leftovers()


def test_results_of_a_spec_that_is_gone_and_what_only_it_needed(tmp_path: Path) -> None:
    ran(tmp_path)
    plan = ran(tmp_path, "old", OTHER)
    assert leftovers(tmp_path).items == []
    (tmp_path / "specs/old.yaml").unlink()
    found = leftovers(tmp_path)
    (item,) = found.results
    assert (item.path, item.why) == (tmp_path / "results/old", "specs/old.yaml is gone")
    assert {path.relative_to(tmp_path).as_posix() for path in item.files} == {
        name for name in files(tmp_path) if name.startswith("results/old/")
    }
    assert [path.name for path in item.files[-2:]] == ["dvc.yaml", "plan.json"]
    assert item.bytes == sum(path.stat().st_size for path in item.files)
    assert set(names(found)) == {f"{cell.id}.safetensors" for cell in plan.cells}
    assert {item.bytes for item in found.store} == {10}


def test_why_says_what_a_spec_is_called_now(tmp_path: Path) -> None:
    ran(tmp_path)
    edit(tmp_path / "specs/tiny.yaml", "name: tiny", "name: other")
    assert [item.why for item in leftovers(tmp_path).results] == ["specs/tiny.yaml is called other now"]


def test_cells_that_a_spec_below_specs_needs_stay(tmp_path: Path) -> None:
    ran(tmp_path, "old")
    (tmp_path / "specs/old.yaml").unlink()
    assert len(leftovers(tmp_path).store) == 4
    make(tmp_path, "full/large")
    edit(tmp_path / "specs/full/large.yaml", "name: full/large", "name: large")
    assert leftovers(tmp_path).store == []


def test_what_a_committed_plan_needs_stays(tmp_path: Path) -> None:
    """Whoever checks out the last commit finds its cells, whatever became of the files since."""
    git(tmp_path, "init", "-q")
    ran(tmp_path)
    old = ran(tmp_path, "old", OTHER)
    git(tmp_path, "add", "results/old/plan.json")
    git(tmp_path, "commit", "-qm", "old")
    (tmp_path / "specs/old.yaml").unlink()
    assert leftovers(tmp_path).store == []
    put(tmp_path / "results/old/plan.json", planfile.dump(planned(make(tmp_path, "new"), tmp_path)))
    assert leftovers(tmp_path).store == []
    git(tmp_path, "rm", "-qf", "--cached", "results/old/plan.json")
    assert leftovers(tmp_path).store == [], "HEAD has it still"
    git(tmp_path, "commit", "-qm", "gone")
    assert set(names(leftovers(tmp_path))) == {f"{cell.id}.safetensors" for cell in old.cells}


def test_of_results_in_git_only_goes_what_git_ignores(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    ran(tmp_path)
    (tmp_path / "specs/tiny.yaml").unlink()
    put(tmp_path / "results/tiny/notes.md")
    git(tmp_path, "add", "results/tiny/tables")
    found = leftovers(tmp_path)
    assert [one.name for one in found.in_git] == ["tiny"]
    (item,) = found.results
    gone = {path.relative_to(item.path).parts[0] for path in item.files}
    assert gone == {"cells", "inputs", "runs.parquet"}
    git(tmp_path, "add", "-f", "results/tiny/runs.parquet")
    assert "runs.parquet" not in {path.name for path in leftovers(tmp_path).results[0].files}


def test_files_that_saespec_did_not_write_stay(tmp_path: Path) -> None:
    ran(tmp_path)
    (tmp_path / "specs/tiny.yaml").unlink()
    for name in ("notes.md", "tables/mine.csv", "mine/a"):
        put(tmp_path / "results/tiny" / name)
    (item,) = leftovers(tmp_path).results
    assert not {"notes.md", "mine.csv", "a"} & {path.name for path in item.files}
    assert "mine/a, notes.md, tables/mine.csv not of saespec: kept" in item.why


def test_copied_tables_and_what_is_called_otherwise_stay(tmp_path: Path) -> None:
    put(tmp_path / "results/theirs/tables/cells.parquet")
    for name in ("cells/notes.md", "cells/0123.safetensors", "models/mine/a", "other/a", "activations/x/a"):
        put(tmp_path / ".saespec/store" / name)
    assert leftovers(tmp_path).items == []


def test_models_extractions_and_single_sites(tmp_path: Path) -> None:
    plan = ran(tmp_path, text=TRANSFORMER)
    (one,) = extractions(plan.cells)
    edit(tmp_path / "specs/tiny.yaml", "data.site.layer: [0, 1]", "data.site.layer: [1]")
    assert kinds(leftovers(tmp_path)) == {}, "plan.json needs it"
    (tmp_path / "results/tiny/plan.json").unlink()
    found = kinds(leftovers(tmp_path))
    assert found.pop(f"cells/{plan.cells[0].id}.safetensors") == "cell"
    assert found == {f"activations/{one.id}/0.mlp_hidden": "site"}
    (tmp_path / "specs/tiny.yaml").unlink()
    (model,) = trained_models(plan.cells)
    found = kinds(leftovers(tmp_path))
    assert (found[f"models/{model}"], found[f"activations/{one.id}"]) == ("model", "extraction")


def test_snapshots_stay_while_a_cell_needs_them(tmp_path: Path) -> None:
    plan = ran(tmp_path)
    unfinished, finished = plan.cells[0].id, plan.cells[1].id
    (tmp_path / f".saespec/store/cells/{unfinished}.safetensors").unlink()
    snapshot(tmp_path, "aaaaaaaaaaaa", unfinished, UNKNOWN)
    snapshot(tmp_path, "bbbbbbbbbbbb", finished)
    snapshot(tmp_path, "cccccccccccc", UNKNOWN)
    put(tmp_path / ".saespec/store/partial/dddddddddddd.safetensors", b"damaged")
    assert [name[0] for name in names(leftovers(tmp_path))] == ["b", "c", "d"]


def test_a_snapshot_is_read_as_training_writes_it(tmp_path: Path) -> None:
    from saespec.sae.checkpoint import Store, write

    plan = ran(tmp_path)
    path = Store(tmp_path / ".saespec/store").partial([plan.cells[0].id])
    write(path, {}, {"cells": [plan.cells[0].id], "step": 3})
    (tmp_path / f".saespec/store/cells/{plan.cells[0].id}.safetensors").unlink()
    assert leftovers(tmp_path).store == []
    write(path, {}, {"cells": [UNKNOWN], "step": 3})
    assert names(leftovers(tmp_path)) == [path.name]


def test_work_that_dead_processes_left(tmp_path: Path, dead_pid: int) -> None:
    plan = ran(tmp_path, text=TRANSFORMER)
    (model,) = trained_models(plan.cells)
    store = tmp_path / ".saespec/store"
    put(store / f"models/.{UNKNOWN}.training/tokenizer/a")
    put(store / f"models/.{UNKNOWN}.training.removed/a")
    put(store / f"cells/.{UNKNOWN}.safetensors.{dead_pid}.tmp")
    put(store / f"cells/.{UNKNOWN}.safetensors.{os.getpid()}.tmp")
    put(store / f"models/.{model}.training/tokenizer/a")
    assert names(leftovers(tmp_path)) == [
        f".{UNKNOWN}.safetensors.{dead_pid}.tmp",
        f".{UNKNOWN}.training",
        f".{UNKNOWN}.training.removed",
        f".{model}.training",
    ]
    (store / f"models/{model}/training.json").unlink()
    assert f".{model}.training" not in names(leftovers(tmp_path)), "a training that continues"


def test_scratch_runs_go_when_asked_and_their_cells_with_them(tmp_path: Path) -> None:
    spec = make(tmp_path)
    made = scratch(load(spec, ["train.steps=20"], root=tmp_path), tmp_path)
    cells = planned(made.spec, made.root).cells
    for cell in cells:
        put(tmp_path / f".saespec/store/cells/{cell.id}.safetensors")
    assert leftovers(tmp_path).items == []
    found = leftovers(tmp_path, all_scratch=True)
    assert [item.path for item in found.scratch] == [made.root]
    assert len(found.store) == 4
    spec.unlink()
    found = leftovers(tmp_path)
    assert [item.path for item in found.scratch] == [made.root]
    assert found.store == [], "the run is there"


def test_beside_a_spec_with_errors_the_store_keeps_everything(tmp_path: Path) -> None:
    ran(tmp_path)
    ran(tmp_path, "old", OTHER)
    (tmp_path / "specs/old.yaml").unlink()
    broken = make(tmp_path, "broken", SPEC.replace("latents: 8", "latents: -8"))
    found = leftovers(tmp_path)
    assert [item.path.name for item in found.results] == ["old"]
    assert found.store == []
    assert found.unknown == [f"{os.path.relpath(broken)} has errors"]
    edit(broken, "name: broken", "name: [")
    assert len(leftovers(tmp_path).unknown) == 1, "without a name that can be read it is a spec all the same"
    broken.write_text("sae: {kind: relu}\n")
    assert leftovers(tmp_path).unknown == [], "a part of other specs"


def test_a_spec_with_errors_does_not_matter_where_all_is_needed(tmp_path: Path) -> None:
    ran(tmp_path)
    (tmp_path / "results/tiny/plan.json").unlink()
    make(tmp_path, "broken", SPEC.replace("latents: 8", "latents: -8"))
    assert leftovers(tmp_path) == Leftovers()


def test_beside_a_damaged_plan_the_store_keeps_everything(tmp_path: Path) -> None:
    ran(tmp_path)
    put(tmp_path / f".saespec/store/cells/{UNKNOWN}.safetensors")
    path = tmp_path / "results/tiny/plan.json"
    path.write_bytes(path.read_bytes()[:-50])
    found = leftovers(tmp_path)
    assert (found.store, found.unknown) == ([], ["results/tiny/plan.json is damaged"])


def test_links_are_not_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    ran(root)
    put(elsewhere / "a")
    put(elsewhere / f"{UNKNOWN}/weights")
    (root / "specs/tiny.yaml").unlink()
    (root / "results/linked").symlink_to(root / "results/tiny")
    (root / "results/tiny/cells/link").symlink_to(elsewhere)
    (root / ".saespec/store/models").symlink_to(elsewhere)
    (root / f".saespec/store/cells/{UNKNOWN}.safetensors").symlink_to(elsewhere / "a")
    found = leftovers(root)
    assert [item.path.name for item in found.results] == ["tiny"]
    assert root / "results/tiny/cells/link" in found.results[0].files
    assert found.links == [root / ".saespec/store/models"]
    assert not any(UNKNOWN in item.path.name for item in found.store)


def test_results_that_are_a_link_out_of_the_project_are_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "project"
    ran(root)
    (root / "results").rename(tmp_path / "results")
    (root / "results").symlink_to(tmp_path / "results")
    (root / "specs/tiny.yaml").unlink()
    found = leftovers(root)
    assert (found.items, found.links) == ([], [root / "results"])


def test_scratch_runs_behind_a_link_out_of_the_project_are_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "project"
    scratch(load(make(root), ["train.steps=20"], root=root), root)
    (root / ".saespec").rename(tmp_path / "large disk")
    (root / ".saespec").symlink_to(tmp_path / "large disk")
    (root / "specs/tiny.yaml").unlink()
    found = leftovers(root, all_scratch=True)
    assert (found.items, found.links) == ([], [root / ".saespec/scratch"])
    assert found.outside == root / ".saespec/store"


def test_a_store_elsewhere_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "project"
    ran(root)
    put(tmp_path / f"shared/cells/{UNKNOWN}.safetensors")
    monkeypatch.setenv("SAESPEC_STORE", str(tmp_path / "shared"))
    found = leftovers(root)
    assert (found.outside, names(found)) == (tmp_path / "shared", [f"{UNKNOWN}.safetensors"])


def test_objects_of_the_store_that_git_tracks_stay(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    put(tmp_path / f".saespec/store/cells/{UNKNOWN}.safetensors")
    put(tmp_path / f".saespec/store/models/{UNKNOWN}/a/b")
    assert len(leftovers(tmp_path).store) == 2
    git(tmp_path, "add", "-f", ".saespec/store")
    assert leftovers(tmp_path).store == []


def test_known_cells_are_not_loaded_again(tmp_path: Path) -> None:
    plan = ran(tmp_path)
    (tmp_path / "results/tiny/plan.json").unlink()
    edit(tmp_path / "specs/tiny.yaml", "latents: 8", "latents: -8")
    put(tmp_path / f".saespec/store/cells/{UNKNOWN}.safetensors")
    found = leftovers(tmp_path, {tmp_path / "specs/tiny.yaml": plan.cells})
    assert names(found) == [f"{UNKNOWN}.safetensors"]


def test_a_file_with_two_names_counts_half_for_each(tmp_path: Path) -> None:
    path = put(tmp_path / f".saespec/store/cells/{UNKNOWN}.safetensors", b"x" * 10)
    os.link(path, tmp_path / "elsewhere")
    assert [item.bytes for item in leftovers(tmp_path).store] == [5]


def test_a_scratch_record_names_the_spec(tmp_path: Path) -> None:
    made = scratch(load(make(tmp_path), ["train.steps=20"], root=tmp_path), tmp_path)
    record = json.loads((made.root / "source.json").read_text())
    assert record == {"file": "specs/tiny.yaml", "name": "tiny"}
