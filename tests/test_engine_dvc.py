from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from configparser import ConfigParser
from pathlib import Path, PurePosixPath

import pytest

from saespec.engine import dvc
from saespec.engine.events import Failure, failure, record
from saespec.engine.lock import run_lock
from saespec.errors import StageError


@pytest.mark.parametrize(
    ("git", "project", "scm"), [(None, ".", False), (".", ".", True), (".", "inside", True)]
)
def test_ensure_repo_fits_the_folder(tmp_path: Path, git: str | None, project: str, scm: bool) -> None:
    if git:
        subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    root = tmp_path / project
    root.mkdir(exist_ok=True)
    dvc.ensure_repo(root)
    config = ConfigParser()
    config.read(root / ".dvc/config")
    assert config["core"]["analytics"] == "false"
    assert config["core"].get("no_scm", "false").lower() == ("false" if scm else "true")
    version = [sys.executable, "-m", "dvc", "config", "core.check_update"]
    assert subprocess.run(version, cwd=root, capture_output=True, text=True).stdout == "false\n"


def test_ensure_repo_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = true\n")
    (tmp_path / ".dvcignore").write_text("mine/\n.venv/")
    for _ in range(2):
        dvc.ensure_repo(tmp_path)
    assert (tmp_path / ".dvc/config").read_text() == "[core]\n    analytics = true\n"
    lines = (tmp_path / ".dvcignore").read_text().splitlines()
    assert lines[:3] == ["mine/", ".venv/", ".saespec/"]
    assert len(lines) == len(set(lines))


def test_what_a_killed_setup_left_half_done_is_done_again(tmp_path: Path) -> None:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / ".saespec").mkdir()
    (tmp_path / ".saespec/dvc-init").touch()
    dvc.ensure_repo(tmp_path)
    assert "analytics = false" in (tmp_path / ".dvc/config").read_text()
    assert not (tmp_path / ".saespec/dvc-init").exists()


def test_processes_that_set_up_one_folder_wait_for_each_other(tmp_path: Path) -> None:
    code = "import sys, pathlib, saespec.engine.dvc as dvc; dvc.ensure_repo(pathlib.Path(sys.argv[1]))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert "analytics = false" in (tmp_path / ".dvc/config").read_text()


def test_a_dvc_that_says_nothing_is_quoted_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "silent"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(StageError, match="a DVC repository: it ended with exit code 7, without a word"):
        dvc.ensure_repo(tmp_path)


def test_who_is_blocked_by_a_dvc_waits_for_it(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)", "dvc"])
    _rwlock(
        tmp_path,
        json.dumps({"read": {str(tmp_path / "results/x/plan.json"): [{"pid": other.pid, "cmd": ""}]}}),
    )
    said: list[str] = []
    assert not dvc.wait_for_others(tmp_path, PurePosixPath("results/y"), "y", said.append)
    reaper = threading.Thread(target=other.wait)
    reaper.start()
    assert dvc.wait_for_others(tmp_path, PurePosixPath("results/x"), "x", said.append)
    reaper.join()
    assert said == [f"x: DVC is at work on it (pid {other.pid}); waiting for it"]
    assert not dvc.wait_for_others(tmp_path, PurePosixPath("results/x"), "x", said.append)


def test_stages_find_the_saespec_beside_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "outer")
    found = dvc.environment({"SAESPEC_DEVICE": "cpu"})
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert found["SAESPEC_DEVICE"] == "cpu"
    assert "DVC_STAGE" not in found


@pytest.mark.parametrize("text", ['{"write": {"a": ', "[]", '{"write": {"a": {"cmd": "dvc"}}}', ""])
def test_a_half_written_rwlock_is_emptied(tmp_path: Path, text: str) -> None:
    path = _rwlock(tmp_path, text)
    dvc.drop_stale_locks(tmp_path)
    assert json.loads(path.read_text()) == {"write": {}, "read": {}}


def test_entries_of_other_programs_go_and_those_of_a_living_dvc_stay(tmp_path: Path) -> None:
    living = subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine, theirs, gone = ({"pid": pid, "cmd": "dvc repro"} for pid in (os.getpid(), living.pid, dead.pid))
    path = _rwlock(
        tmp_path, json.dumps({"write": {"a": mine, "b": theirs}, "read": {"c": [gone], "d": [gone, theirs]}})
    )
    dvc.drop_stale_locks(tmp_path)
    living.communicate(b"\n")
    assert json.loads(path.read_text()) == {"write": {"b": theirs}, "read": {"d": [theirs]}}


def test_no_rwlock_is_fine(tmp_path: Path) -> None:
    dvc.drop_stale_locks(tmp_path)


def test_events_tell_which_stage_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events"
    assert failure(path) is None
    monkeypatch.setenv("SAESPEC_EVENTS", str(path))
    monkeypatch.setenv("DVC_STAGE", "results/x/dvc.yaml:plan")
    record("start")
    record("done")
    assert failure(path) is None
    monkeypatch.setenv("DVC_STAGE", "results/x/dvc.yaml:measure")
    record("start")
    assert failure(path) == Failure("measure", "")
    record("failed", "the disk is full")
    assert failure(path) == Failure("measure", "the disk is full")


def test_no_events_outside_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SAESPEC_EVENTS", raising=False)
    monkeypatch.chdir(tmp_path)
    record("start")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), run_lock(tmp_path, "x", print):
        raise RuntimeError
    said: list[str] = []
    with run_lock(tmp_path, "x", said.append), run_lock(tmp_path, "y", said.append):
        pass
    assert said == []


def _rwlock(root: Path, text: str) -> Path:
    path = root / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path
