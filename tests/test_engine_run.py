from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from plan_sample import SPEC, calls, edit, make, planned, stand_in

from saespec.engine import dvc, events
from saespec.engine.run import compile_plan, run
from saespec.errors import StageError
from saespec.plan.freshness import freshness

HERE = Path(__file__).parent

CALLER = """
import sys
from pathlib import Path
sys.path[:0] = [{here!r}, {repository!r}]
from plan_sample import planned
from saespec.engine import dvc
from saespec.engine.run import run
dvc.PROGRAMS = Path({programs!r})
root = Path.cwd()
try:
    run(planned(root / "specs" / sys.argv[1], root), root, notify=lambda text: print(text, flush=True))
except Exception as error:
    sys.exit(f"{{type(error).__name__}}: {{error}}")
"""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a DVC repository, in which nothing has run."""
    root = tmp_path_factory.mktemp("empty")
    stand_in(root.parent / "programs")
    make(root)
    dvc.ensure_repo(root)
    return root


@pytest.fixture
def project(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(empty, root)
    monkeypatch.setattr(dvc, "PROGRAMS", empty.parent / "programs")
    return root


def start(root: Path, spec: str = "tiny.yaml", **trouble: str) -> subprocess.Popen[str]:
    """Run a spec in another process, as `saespec run` does."""
    code = CALLER.format(here=str(HERE), repository=str(HERE.parent), programs=str(dvc.PROGRAMS))
    return subprocess.Popen(
        [sys.executable, "-c", code, spec],
        cwd=root,
        env={**os.environ, "TROUBLE": json.dumps(trouble)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finished(root: Path, name: str = "tiny") -> bool:
    return all(s.state == "fresh" for s in freshness(planned(root / f"specs/{name}.yaml", root), root))


def test_run_prints_nothing_and_a_second_one_does_nothing(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = planned(project / "specs/tiny.yaml", project)
    run(plan, project, device="cuda", verbosity=0, store=project / "elsewhere")
    assert len(list((project / "elsewhere/cells").iterdir())) == len(plan.cells)
    assert "seen cuda 0" in calls(project)
    assert capfd.readouterr() == ("", "")
    assert (project / ".saespec/logs/tiny.log").exists()
    calls(project)
    log = project / ".saespec/logs/tiny.log"
    before = log.stat().st_mtime_ns
    assert {state.state for state in run(plan, project)} == {"fresh"}
    assert calls(project) == []
    assert log.stat().st_mtime_ns == before  # DVC, whose words it keeps, was not asked


def test_a_failed_stage_is_named_and_the_same_command_continues(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(project / "specs/tiny.yaml", project)
    monkeypatch.setenv("TROUBLE", json.dumps({"measure": "die"}))
    with pytest.raises(StageError, match="stage measure failed: it was killed, or failed without a word"):
        run(plan, project)
    calls(project)
    monkeypatch.setenv("TROUBLE", json.dumps({"figures": "fail"}))
    with pytest.raises(
        StageError, match=r"stage figures failed: no space left\. .* the same command continues"
    ):
        run(plan, project)
    assert calls(project) == ["measure", "figures"]
    monkeypatch.delenv("TROUBLE")
    run(plan, project)
    assert calls(project) == ["figures", "claims"]
    assert finished(project)


def test_what_ran_is_told_however_the_run_ends(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(project / "specs/tiny.yaml", project)
    told: list[list[tuple[str, bool]]] = []

    def account(ran: list[events.Ran]) -> None:
        told.append([(one.stage, one.seconds is not None) for one in ran])

    monkeypatch.setenv("TROUBLE", json.dumps({"figures": "fail"}))
    with pytest.raises(StageError):
        run(plan, project, account=account)
    monkeypatch.delenv("TROUBLE")
    run(plan, project, account=account)
    run(plan, project, account=account)
    shutil.rmtree(project / "results/tiny/cells")
    run(plan, project, account=account)
    assert told == [
        [("plan", True), ("train-d8-b4", True), ("measure", True), ("figures", False)],
        [("figures", True), ("claims", True)],
        [],
        [],  # DVC has the cells in its cache
    ]


def test_events_that_are_cut_short_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    lines = [{"stage": "train-a", "event": "start", "error": ""}]
    lines += [{"stage": "train-a", "event": "trained", "error": "", "cells": n} for n in (3, 4)]
    path = tmp_path / "events"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"stage": "tra')
    assert events.ran(path) == [events.Ran("train-a", trained=7, seconds=None)]
    assert events.failure(path) == events.Failure("train-a", "")
    assert events.ran(tmp_path / "none") == []


def test_a_file_that_a_stage_finds_damaged_costs_no_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(project / "specs/tiny.yaml", project)
    monkeypatch.setenv("TROUBLE", json.dumps({"measure": "damage once"}))
    said: list[str] = []
    run(plan, project, notify=said.append)
    assert said == ["a.bin: torn: making it again"]
    assert calls(project).count("measure") == 2
    assert finished(project)


def test_a_file_that_is_damaged_again_ends_the_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(project / "specs/tiny.yaml", project)
    monkeypatch.setenv("TROUBLE", json.dumps({"measure": "damage"}))
    with pytest.raises(StageError, match=r"stage measure failed: a\.bin: torn\. Run it again"):
        run(plan, project)
    assert calls(project).count("measure") == 2


def test_a_failure_of_dvc_itself_is_not_swallowed(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / ".dvc/config").write_text("[core\n")
    with pytest.raises(
        StageError, match=r"DVC failed \(exit code 251, log .*tiny.log\); still to do: plan, train"
    ):
        run(planned(project / "specs/tiny.yaml", project), project)
    assert "config file error" in capfd.readouterr().err


def test_a_second_run_at_once_waits_and_finds_all_fresh(project: Path) -> None:
    first = start(project, measure="pause")
    until(lambda: "measure" in (calls_so_far(project)))
    said: list[str] = []
    states = run(planned(project / "specs/tiny.yaml", project), project, notify=said.append)
    assert said == [f"tiny: another process is at work (pid {first.pid}); waiting for it"]
    assert {state.state for state in states} == {"fresh"}
    first.communicate()
    assert first.returncode == 0
    assert calls(project).count("measure") == 1


def test_two_specs_at_once(project: Path) -> None:
    make(project, "other", SPEC.replace("dim: 8", "dim: 4"))
    runs = [start(project, "tiny.yaml"), start(project, "other.yaml")]
    ends = [process.communicate() for process in runs]
    assert [process.returncode for process in runs] == [0, 0], ends
    assert finished(project)
    assert finished(project, "other")
    assert "results/other/claims.json" in (project / "dvc.yaml").read_text()
    assert "results/tiny/claims.json" in (project / "dvc.yaml").read_text()


def test_an_interrupt_reaches_the_stage_which_can_save(project: Path) -> None:
    process = start(project, measure="slow")
    until((project / "slow.pid").exists)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert "Interrupted: stopped; the same command continues" in error
    assert "interrupted measure" in calls(project)
    run(planned(project / "specs/tiny.yaml", project), project)
    assert calls(project) == ["measure", "figures", "claims"]


def test_killing_saespec_leaves_dvc_to_finish_and_the_next_run_waits(project: Path) -> None:
    process = start(project, measure="pause")
    until(lambda: "measure" in calls_so_far(project))
    process.kill()
    process.wait()
    said: list[str] = []
    run(planned(project / "specs/tiny.yaml", project), project, notify=said.append)
    process.communicate()
    assert len(said) == 1
    assert "tiny: a run that lost its saespec is still at work (DVC, pid " in said[0]
    assert calls(project).count("measure") == 1
    assert finished(project)


def test_killing_everything_blocks_nothing(project: Path) -> None:
    process = start(project, measure="slow")
    until((project / "slow.pid").exists)
    stage = int((project / "slow.pid").read_text())
    process.kill()
    os.killpg(os.getpgid(stage), signal.SIGKILL)  # DVC and the stage
    process.communicate()
    assert json.loads((project / ".dvc/tmp/rwlock").read_text())["write"], "DVC leaves this behind"
    said: list[str] = []
    run(planned(project / "specs/tiny.yaml", project), project, notify=said.append)
    assert said == []
    assert finished(project)


def test_a_dvc_that_is_killed_while_a_run_waits_for_it_blocks_nothing(project: Path) -> None:
    compile_plan(planned(project / "specs/tiny.yaml", project), project)
    plain = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=project,
        env={**dvc.environment({}), "TROUBLE": json.dumps({"measure": "slow"})},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    until((project / "slow.pid").exists)
    waiting = start(project)
    assert waiting.stdout
    assert waiting.stdout.readline() == f"tiny: DVC is at work on it (pid {plain.pid}); waiting for it\n"
    os.killpg(plain.pid, signal.SIGKILL)  # nobody looks after it: its process id stays taken
    _, error = waiting.communicate(timeout=60)
    plain.wait()
    assert (waiting.returncode, error) == (0, "")
    assert finished(project)


def test_a_lock_file_cut_short_is_started_anew(project: Path) -> None:
    plan = planned(project / "specs/tiny.yaml", project)
    run(plan, project)
    calls(project)
    path = project / "results/tiny/dvc.lock"
    text = path.read_text()
    path.write_text(text[: text.index("    params:\n") + 12])
    said: list[str] = []
    run(plan, project, notify=said.append)
    assert said == [f"{path} is damaged: starting it anew"]
    assert calls(project) == ["plan", "measure", "figures", "claims"], "DVC's cache holds what was trained"


def test_a_root_pipeline_of_the_users_own_is_left_alone(project: Path) -> None:
    own = "stages: {mine: {cmd: echo}}\n"
    (project / "dvc.yaml").write_text(own)
    said: list[str] = []
    assert compile_plan(planned(project / "specs/tiny.yaml", project), project, said.append)
    assert (project / "dvc.yaml").read_text() == own
    assert "was not written by saespec" in said[0]


def test_dvc_repro_at_the_root_does_all(project: Path) -> None:
    plan = planned(project / "specs/tiny.yaml", project)
    compile_plan(plan, project)
    assert dvc.repro(project, [], {}, project / "log") == (0, False)
    assert calls(project)[-1] == "report"
    assert finished(project)


def test_groups_that_vanish_take_their_outputs_along(project: Path) -> None:
    run(planned(project / "specs/tiny.yaml", project), project)
    edit(project / "specs/tiny.yaml", "sae.latents: [8, 16]", "sae.latents: [8]")
    plan = planned(project / "specs/tiny.yaml", project)
    run(plan, project)
    assert [p.name for p in (project / "results/tiny/cells").iterdir() if p.is_dir()] == ["relu-d8-n8-b4-s10"]
    assert "n16" not in (project / "results/tiny/dvc.lock").read_text()
    assert finished(project)


def calls_so_far(root: Path) -> list[str]:
    path = root / "calls"
    return path.read_text().splitlines() if path.exists() else []
