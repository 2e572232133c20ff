from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from clean_sample import TRANSFORMER, files, git, put, ran
from plan_sample import SPEC, edit, make

from saespec.engine.clean import no_run, remove
from saespec.engine.leftovers import leftovers
from saespec.engine.lock import run_lock
from saespec.engine.scratch import scratch
from saespec.errors import CallError
from saespec.plan.project import store_folder
from saespec.results.lock import store_lock
from saespec.spec.language.load import load

OTHER = TRANSFORMER.replace("width: 16", "width: 32")

CLEAN = """
import os, sys
from pathlib import Path
from saespec.engine import clean
from saespec.engine.leftovers import leftovers
calls = int(sys.argv[1])
def dying(name):
    real = getattr(os, name)
    def call(*arguments, **options):
        global calls
        calls -= 1
        if calls < 0:
            os._exit(9)
        return real(*arguments, **options)
    setattr(os, name, call)
for name in ("unlink", "rmdir", "replace"):
    dying(name)
root = Path.cwd()
with clean.no_run(root):
    clean.remove(leftovers(root).items, root)
"""
"""Removes everything, but dies before the n-th change of a file."""


def clean(root: Path, all_scratch: bool = False) -> list[str]:
    told: list[str] = []
    with no_run(root):
        remove(leftovers(root, all_scratch=all_scratch).items, root, told.append)
    return told


def test_a_clean_project_is_as_if_the_spec_had_never_been(tmp_path: Path) -> None:
    ran(tmp_path)
    before, leads = files(tmp_path), (tmp_path / "dvc.yaml").read_text()
    ran(tmp_path, "old", OTHER)
    assert files(tmp_path) > before
    assert (tmp_path / "dvc.yaml").read_text() != leads
    (tmp_path / "specs/old.yaml").unlink()
    assert clean(tmp_path) == []
    assert files(tmp_path) == before
    assert not (tmp_path / "results/old").exists()
    assert (tmp_path / "dvc.yaml").read_text() == leads
    assert leftovers(tmp_path).items == []


def test_killed_at_any_moment_it_goes_on_and_the_other_specs_have_all_they_need(tmp_path: Path) -> None:
    ran(tmp_path)
    needed = {name: (tmp_path / name).read_bytes() for name in files(tmp_path) if name != "dvc.yaml"}
    ran(tmp_path, "old", OTHER)
    (tmp_path / "specs/old.yaml").unlink()
    killed, code, at = 0, 9, 0
    while code == 9:
        code = subprocess.run([sys.executable, "-c", CLEAN, str(at)], cwd=tmp_path).returncode
        killed, at = killed + 1, at + 2
        assert all((tmp_path / name).read_bytes() == data for name, data in needed.items())
        for mark in tmp_path.glob(".saespec/store/models/*/training.json"):
            assert mark.with_name("model.safetensors").exists(), "half a model that counts as whole"
    assert code == 0
    assert killed > 3
    assert {name for name in files(tmp_path) if not name.endswith(".tmp")} == {*needed, "dvc.yaml"}


def test_nothing_in_git_goes(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    ran(tmp_path)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=tmp_path, text=True).split("\0")[:-1]
    (tmp_path / "specs/tiny.yaml").unlink()
    told = clean(tmp_path)
    assert {name for name in listed if not (tmp_path / name).exists()} == {"specs/tiny.yaml"}
    assert not (tmp_path / "results/tiny/cells").exists()
    assert len(told) == 1
    assert "`git rm dvc.yaml dvc.lock`" in told[0]


def test_a_users_file_keeps_its_folder(tmp_path: Path) -> None:
    ran(tmp_path)
    (tmp_path / "specs/tiny.yaml").unlink()
    put(tmp_path / "results/tiny/notes.md")
    clean(tmp_path)
    assert files(tmp_path) == {"results/tiny/notes.md"}


def test_a_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    root = tmp_path / "project"
    ran(root)
    (root / "specs/tiny.yaml").unlink()
    put(tmp_path / "elsewhere/a")
    (root / "results/tiny/cells/link").symlink_to(tmp_path / "elsewhere")
    clean(root)
    assert not (root / "results").exists() or not list((root / "results").iterdir())
    assert (tmp_path / "elsewhere/a").exists()


def test_scratch_runs_go_with_their_locks(tmp_path: Path) -> None:
    made = scratch(load(make(tmp_path), ["train.steps=20"], root=tmp_path), tmp_path)
    clean(tmp_path)
    assert made.spec.exists()
    clean(tmp_path, all_scratch=True)
    assert list(made.root.parent.iterdir()) == []


def test_beside_a_run_nothing_is_cleaned(tmp_path: Path) -> None:
    made = scratch(load(make(tmp_path), ["train.steps=20"], root=tmp_path), tmp_path)
    make(tmp_path, "other", SPEC)
    for root, name in ((tmp_path, "tiny"), (tmp_path, "gone"), (made.root, "tiny")):
        with run_lock(root, name, pytest.fail):
            with pytest.raises(CallError, match=rf"{name}: another process is at work \(pid \d+\): clean"):
                clean(tmp_path)
            with run_lock(tmp_path, "other", pytest.fail):
                pass  # the locks that were taken until then are free again
    clean(tmp_path)


def test_beside_one_who_makes_an_object_of_the_store_nothing_is_cleaned(tmp_path: Path) -> None:
    make(tmp_path)
    store = store_folder(tmp_path)
    with (
        store_lock(store, "model 0123", pytest.fail),
        pytest.raises(CallError, match=r"^model 0123: another"),
    ):
        clean(tmp_path)
    code = "import sys; from pathlib import Path; from saespec.sae.reserved import reserved as r\n"
    code += "with r(Path(sys.argv[1]), ['0123456789ab'], print): print('held', flush=True); input()"
    words = [sys.executable, "-c", code, str(store)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(CallError, match="cells: another process trains some: clean when it is done"):
            clean(tmp_path)
        other.communicate("\n")
    clean(tmp_path)


def test_a_run_waits_for_a_clean(tmp_path: Path) -> None:
    make(tmp_path)
    with no_run(tmp_path), pytest.raises(RuntimeError, match="tiny"):
        run_lock(tmp_path, "tiny", _raise).__enter__()


def test_a_root_file_that_is_not_generated_stays(tmp_path: Path) -> None:
    ran(tmp_path)
    (tmp_path / "specs/tiny.yaml").unlink()
    edit(tmp_path / "dvc.yaml", "# Generated", "# Written")
    (told,) = clean(tmp_path)
    assert "was not written by saespec" in told
    assert files(tmp_path) == {"dvc.yaml"}


def _raise(told: str) -> None:
    raise RuntimeError(told)
