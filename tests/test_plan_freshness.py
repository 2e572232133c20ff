"""What `freshness` says, held against what a real `dvc repro` then does."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from plan_sample import calls, edit, make, planned, stand_in

from saespec.engine import dvc
from saespec.engine.run import run
from saespec.errors import DamagedFileError
from saespec.plan import dvcfile, identity, planfile
from saespec.plan.freshness import StageState, freshness, read_lock
from saespec.plan.model import Plan

PLAN, MEASURE, FIGURES, CLAIMS = "plan", "measure", "figures", "claims"
TRAIN, OTHER = "train-d8-b4", "train-d8-b2"
ALL = (PLAN, TRAIN, MEASURE, FIGURES, CLAIMS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose spec has run."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dvc, "PROGRAMS", stand_in(root.parent / "programs"))
        plan = planned(make(root), root)
        before = run(plan, root)
        assert all(state.reasons == ("has not run yet",) for state in before)
        assert [call for call in calls(root) if not call.startswith("trained")] == list(ALL)
        assert all(state.state == "fresh" for state in freshness(plan, root))
    return root


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(finished, root)
    monkeypatch.setattr(dvc, "PROGRAMS", finished.parent / "programs")
    return root


@dataclass
class Case:
    change: Callable[[Path], object]
    stale: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    """What DVC then calls; a stale stage that it restores from its cache is not called."""
    trained: int = 0
    reasons: dict[str, tuple[str, ...]] = field(default_factory=dict)
    restored: tuple[str, ...] = ()


def _spec(old: str, new: str) -> Callable[[Path], None]:
    return lambda root: edit(root / "specs/tiny.yaml", old, new)


def _lose(root: Path, group: str) -> None:
    """Delete a group's checkpoints, and one of them in DVC's cache too."""
    folder = root / "results/tiny/cells" / group
    md5 = hashlib.md5(next(folder.iterdir()).read_bytes()).hexdigest()
    (root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    shutil.rmtree(folder)


def _same_size(root: Path) -> None:
    path = root / "results/tiny/tables/cells.parquet"
    path.write_text("X" + path.read_text()[1:])


CASES = {
    "nothing": Case(lambda root: None),
    "comment": Case(
        _spec("title: A tiny", "# a comment\ntitle: A tiny"),
        (PLAN,),
        (),
        (PLAN,),
        0,
        {PLAN: ("specs/tiny.yaml changed",)},
    ),
    "figure": Case(
        _spec("title: One", "title: Two"),
        (PLAN, FIGURES),
        ran=(PLAN, FIGURES),
        reasons={FIGURES: ("figure fig01 changed",)},
    ),
    "claim added": Case(
        lambda root: (root / "specs/tiny.yaml").write_text(
            (root / "specs/tiny.yaml").read_text()
            + "  more: {says: More., sql: select count(*) as n from cells, holds: n > 1}\n"
        ),
        (PLAN, CLAIMS),
        ran=(PLAN, CLAIMS),
        reasons={CLAIMS: ("claim more added",)},
    ),
    "value added": Case(
        _spec("[0.1, 1.0]", "[0.1, 0.5, 1.0]"),
        (PLAN, TRAIN, MEASURE),
        (FIGURES, CLAIMS),
        (PLAN, TRAIN, MEASURE, FIGURES, CLAIMS),
        2,
        {
            TRAIN: ("+2 cells: loss.sparsity.coefficient 0.5",),
            MEASURE: ("+2 cells: loss.sparsity.coefficient 0.5",),
            FIGURES: ("waits for measure",),
        },
    ),
    "batch size added": Case(
        _spec("sae.latents: [8, 16]\n", "sae.latents: [8, 16]\n    train.batch: [4, 2]\n"),
        (PLAN, OTHER, MEASURE),
        (FIGURES, CLAIMS),
        (PLAN, OTHER, MEASURE, FIGURES, CLAIMS),
        4,
        {OTHER: ("+4 cells: train.batch 2",)},
    ),
    "latents removed": Case(
        _spec("sae.latents: [8, 16]\n", "sae.latents: [8]\n"),
        (PLAN, TRAIN, MEASURE),
        (FIGURES, CLAIMS),
        (PLAN, TRAIN, MEASURE, FIGURES, CLAIMS),
        0,
        {TRAIN: ("-2 cells: sae.latents 16",)},
    ),
    "cases named": Case(
        _spec("    sae.latents: [8, 16]\n", "  cases: [{name: small}, {name: large, sae.latents: 16}]\n"),
        (PLAN, MEASURE),
        (FIGURES, CLAIMS),
        (PLAN, MEASURE),  # the stand-in's tables do not hold the names, so nothing follows
        reasons={MEASURE: ("case null → small (2 cells)", "case null → large (2 cells)")},
    ),
    "measure changed": Case(
        _spec("[recovery]", "[recovery, losses]"),
        (PLAN, MEASURE),
        (FIGURES, CLAIMS),
        (PLAN, MEASURE, FIGURES, CLAIMS),
        0,
        {MEASURE: ("measure losses added",)},
    ),
    "setting changed": Case(
        _spec("lr: 0.001", "lr: 0.002"),
        (PLAN, TRAIN, MEASURE),
        (FIGURES, CLAIMS),
        (PLAN, TRAIN, MEASURE, FIGURES, CLAIMS),
        4,
        {TRAIN: ("train.optimizer.lr 0.001 → 0.002",), MEASURE: ("train.optimizer.lr 0.001 → 0.002",)},
    ),
    "output deleted": Case(
        lambda root: shutil.rmtree(root / "results/tiny/cells/relu-d8-n8-b4-s10"),
        reasons={TRAIN: ("results/tiny/cells/relu-d8-n8-b4-s10 is missing",)},
        restored=(TRAIN,),
    ),
    "cell altered": Case(
        lambda root: next((root / "results/tiny/cells").glob("*/*.safetensors")).write_text("?"),
        restored=(TRAIN,),
    ),
    "cells and the run-cache deleted": Case(
        lambda root: [shutil.rmtree(root / name) for name in ("results/tiny/cells", ".dvc/cache/runs")],
        restored=(TRAIN,),
    ),
    "output and a cell in the cache deleted": Case(
        lambda root: _lose(root, "relu-d8-n8-b4-s10"),
        (TRAIN,),
        (MEASURE, FIGURES, CLAIMS),
        (TRAIN,),
    ),
    "output deleted, value added": Case(
        lambda root: (
            shutil.rmtree(root / "results/tiny/cells/relu-d8-n8-b4-s10"),
            edit(root / "specs/tiny.yaml", "[0.1, 1.0]", "[0.1, 0.5, 1.0]"),
        ),
        (PLAN, TRAIN, MEASURE),
        (FIGURES, CLAIMS),
        ALL,
        2,
    ),
    "output and a figure deleted": Case(
        lambda root: (
            shutil.rmtree(root / "results/tiny/cells"),
            (root / "results/tiny/figures/fig01.svg").unlink(),
        ),
        (FIGURES,),
        ran=(FIGURES,),
        restored=(TRAIN,),
    ),
    "DVC's cache deleted": Case(
        lambda root: shutil.rmtree(root / ".dvc/cache"),
        (TRAIN,),
        (MEASURE, FIGURES, CLAIMS),
        (TRAIN,),
        reasons={
            TRAIN: (
                "results/tiny/cells/relu-d8-n8-b4-s10 is no longer in DVC's cache",
                "results/tiny/cells/relu-d8-n16-b4-s10 is no longer in DVC's cache",
            )
        },
    ),
    "table altered": Case(
        _same_size,
        (MEASURE,),
        (FIGURES, CLAIMS),
        (MEASURE,),
        reasons={MEASURE: ("results/tiny/tables/cells.parquet was altered",)},
    ),
    "plan altered": Case(
        lambda root: (root / "results/tiny/plan.json").write_text("{}"),
        (PLAN,),
        ran=(PLAN,),
        reasons={PLAN: ("results/tiny/plan.json was altered",)},
    ),
    "dvc.lock deleted": Case(
        lambda root: (root / "results/tiny/dvc.lock").unlink(),
        ALL,
        ran=(PLAN, MEASURE, FIGURES, CLAIMS),  # groups come from DVC's run-cache
        reasons={TRAIN: ("has not run yet",)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_dvc_does_what_freshness_says(project: Path, name: str) -> None:
    case = CASES[name]
    case.change(project)
    plan = planned(project / "specs/tiny.yaml", project)
    _compile(plan, project)
    _judge_and_repro(plan, project, case)


def test_numerics_changed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "NUMERICS", identity.NUMERICS + 1)
    monkeypatch.setenv("NUMERICS", str(identity.NUMERICS))
    plan = planned(project / "specs/tiny.yaml", project)
    _compile(plan, project)
    anew = "{} anew: this saespec computes the same settings differently"
    case = Case(
        lambda root: None,
        (PLAN, TRAIN, MEASURE),
        (FIGURES, CLAIMS),
        ALL,
        4,
        {
            PLAN: ("made by another version of saespec",),
            TRAIN: (anew.format("4 cells"),),
            MEASURE: (anew.format("4 cells"),),
        },
    )
    _judge_and_repro(plan, project, case)


def test_new_steps_make_new_groups_and_say_so(project: Path) -> None:
    edit(project / "specs/tiny.yaml", "steps: 10", "steps: 20")
    states = _states(planned(project / "specs/tiny.yaml", project), project)
    assert states[TRAIN].reasons == ("train.steps 10 → 20",)
    assert states[TRAIN].new_cells == 4


def test_a_stage_that_was_planned_and_did_not_run_says_so(project: Path) -> None:
    edit(
        project / "specs/tiny.yaml",
        "sae.latents: [8, 16]\n",
        "sae.latents: [8, 16]\n    train.batch: [4, 2]\n",
    )
    plan = planned(project / "specs/tiny.yaml", project)
    (project / plan.folder / "plan.json").write_bytes(planfile.dump(plan))  # and killed before it trained
    edit(project / "specs/tiny.yaml", "sae.latents: [8, 16]", "sae.latents: [8, 16, 32]")
    states = _states(planned(project / "specs/tiny.yaml", project), project)
    assert states[OTHER].reasons == ("has not run yet",)
    assert states[TRAIN].new_cells == 2


def test_finished_cells_are_counted(project: Path) -> None:
    edit(project / "specs/tiny.yaml", "[0.1, 1.0]", "[0.1, 0.5, 1.0]")
    state = _states(planned(project / "specs/tiny.yaml", project), project)[TRAIN]
    assert (state.new_cells, state.done_cells) == (2, 4)


def test_a_merge_conflict_in_the_lock_is_reported(project: Path) -> None:
    plan = planned(project / "specs/tiny.yaml", project)
    (project / "results/tiny/dvc.lock").write_text("<<<<<<< HEAD\nschema: '2.0'\n=======\n")
    with pytest.raises(DamagedFileError, match=r"dvc\.lock: is cut short, or holds the marks of a merge"):
        freshness(plan, project)


def test_an_alteration_is_seen_though_hashes_are_remembered(project: Path) -> None:
    plan = planned(project / "specs/tiny.yaml", project)
    path = project / "results/tiny/tables/cells.parquet"
    long_ago = time.time_ns() - 10**11
    os.utime(path, ns=(long_ago, long_ago))
    assert _states(plan, project)[MEASURE].state == "fresh"
    assert str(path.relative_to(project)) in json.loads((project / ".saespec/hashes/tiny.json").read_text())
    _same_size(project)
    assert _states(plan, project)[MEASURE].state == "stale"


def test_plain_dvc_repro_of_an_uncompiled_spec_fails_with_the_remedy(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    edit(project / "specs/tiny.yaml", "sae.latents: [8, 16]", "sae.latents: [8, 32]")
    code, _ = dvc.repro(project, ["results/tiny/dvc.yaml"], {}, project / "log")
    assert code != 0
    assert "run `saespec compile specs/tiny.yaml`" in capfd.readouterr().err
    assert planfile.read(project / "results/tiny/plan.json").source == "specs/tiny.yaml", "the old plan stays"


def test_plain_dvc_repro_sees_a_new_sweep_value(project: Path) -> None:
    edit(project / "specs/tiny.yaml", "[0.1, 1.0]", "[0.1, 0.5, 1.0]")
    assert dvc.repro(project, ["results/tiny/dvc.yaml"], {}, project / "log") == (0, False)
    assert sum(call.startswith("trained") for call in calls(project)) == 2
    plan = planned(project / "specs/tiny.yaml", project)
    assert all(state.state == "fresh" for state in freshness(plan, project))


def test_plain_dvc_repro_takes_a_sweep_in_another_order(project: Path) -> None:
    edit(project / "specs/tiny.yaml", "sae.latents: [8, 16]", "sae.latents: [16, 8]")
    assert dvc.repro(project, ["results/tiny/dvc.yaml"], {}, project / "log") == (0, False)
    assert calls(project) == list(ALL), "no cell is trained again"
    assert dvc.repro(project, ["results/tiny/dvc.yaml"], {}, project / "log") == (0, False)
    assert calls(project) == []


def _compile(plan: Plan, root: Path) -> None:
    dvcfile.write(plan, root)


def _states(plan: Plan, root: Path) -> dict[str, StageState]:
    return {state.stage.name: state for state in freshness(plan, root)}


def _judge_and_repro(plan: Plan, root: Path, case: Case) -> None:
    states = _states(plan, root)
    found = {
        state: tuple(n for n, s in states.items() if s.state == state)
        for state in ("stale", "waiting", "restored")
    }
    assert found == {"stale": case.stale, "waiting": case.waiting, "restored": case.restored}
    assert {name: states[name].reasons for name in case.reasons} == case.reasons
    code, stopped = dvc.repro(root, ["results/tiny/dvc.yaml"], {}, root / "log")
    assert (code, stopped) == (0, False)
    called = calls(root)
    assert tuple(call for call in called if not call.startswith("trained")) == case.ran
    assert len(called) == len(case.ran) + case.trained
    assert all(state.state == "fresh" for state in freshness(plan, root))


def test_a_lock_file_that_dvc_is_writing_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    whole = "schema: '2.0'\nstages:\n  plan:\n    cmd: x\n"
    path.write_text(whole[:30])
    threading.Timer(0.3, path.write_text, [whole]).start()
    assert read_lock(path) == {"plan": {"cmd": "x"}}
