"""`saespec clean`, and what `status` says of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clean_sample import TRANSFORMER, files, git, put, ran
from cli_sample import Cli
from plan_sample import SPEC, make

from saespec.engine.lock import run_lock

UNKNOWN = "0123456789ab"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a spec that ran, and one that ran and is gone."""
    folder = tmp_path / "project"
    ran(folder)
    ran(folder, "old", TRANSFORMER)
    (folder / "specs/old.yaml").unlink()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard input; what is written to it is typed."""
    keyboard, screen = os.openpty()
    with os.fdopen(screen) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield keyboard
    os.close(keyboard)


def test_a_dry_run_says_what_and_how_much(cli: Cli, root: Path) -> None:
    before = files(root)
    said = cli("clean", "--dry-run")
    assert (said.code, said.err) == (0, "")
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0] == ["results/old", *rows[0][1:3], "specs/old.yaml", "is", "gone"]
    assert rows[1] == [".saespec/store/cells", "20", "B", "2", "cells"]
    assert [row[-1] for row in rows[2:4]] == ["model", "extraction"]
    assert rows[4][1:] == ["kB", "in", "all"]
    assert len(rows) == 5
    assert files(root) == before


def test_yes_removes(cli: Cli, root: Path) -> None:
    said = cli("clean", "--yes")
    assert (said.code, said.err) == (0, "")
    assert "removed" in said.out.splitlines()[-1]
    assert not [name for name in files(root) if "old" in name]
    assert len(list((root / ".saespec/store/cells").iterdir())) == 4
    assert cli("clean", "-y").out == "nothing to remove\n"


def test_json(cli: Cli, root: Path) -> None:
    dry = cli("clean", "--dry-run", "--json").json
    assert (dry["ok"], dry["removed"], dry["in_git"], dry["kept"]) == (True, False, [], [])
    assert [item["kind"] for item in dry["items"]] == ["results", "cell", "cell", "model", "extraction"]
    assert dry["bytes"] == sum(item["bytes"] for item in dry["items"])
    assert all(Path(item["path"]).exists() for item in dry["items"])
    done = cli("clean", "--yes", "--json").json
    assert done == {**dry, "removed": True}
    assert not any(Path(item["path"]).exists() for item in done["items"])


def test_without_a_terminal_nothing_goes(cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(root)
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        said = cli("clean")
        assert said.code == 2
        assert "nothing was removed" in said.err
        assert "--yes" in said.err
        asked = cli("clean", "--json")
    assert (asked.code, asked.json["error"]["kind"]) == (2, "call")
    assert files(root) == before


@pytest.mark.parametrize(("answer", "goes"), [("y", True), ("", False), ("n", False)])
def test_it_asks_at_a_terminal(cli: Cli, root: Path, terminal: int, answer: str, goes: bool) -> None:
    os.write(terminal, f"{answer}\n".encode())
    said = cli("clean")
    assert (said.code, said.err) == (0, "remove it? [y/N] ")
    assert (root / "results/old").exists() != goes
    assert said.out.splitlines()[-1].startswith("removed" if goes else "nothing was removed")


def test_what_a_run_began_to_need_meanwhile_stays(
    cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from saespec.cli.commands import clean

    def agreed() -> bool:
        make(root, "again", TRANSFORMER)
        return True

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(clean, "_agreed", agreed)
    assert cli("clean").code == 0
    assert not (root / "results/old").exists()
    assert len(list((root / ".saespec/store/cells").iterdir())) == 6


def test_beside_a_run_it_refuses(cli: Cli, root: Path) -> None:
    before = files(root)
    with run_lock(root, "tiny", pytest.fail):
        said = cli("clean", "--yes")
    assert said.code == 2
    assert f"tiny: another process is at work (pid {os.getpid()})" in said.err
    assert files(root) == before


def test_results_in_git_are_left_to_git(cli: Cli, root: Path) -> None:
    git(root, "init", "-q")
    git(root, "add", "-A")
    said = cli("clean", "--yes")
    assert "results/old is in git, its spec is gone: `git rm -r results/old` removes it" in said.err
    assert (root / "results/old/plan.json").exists()
    assert not (root / "results/old/cells").exists()
    assert len(list((root / ".saespec/store/cells").iterdir())) == 6
    assert cli("clean", "--dry-run", "--json").json["in_git"] == [str(root / "results/old")]


def test_a_spec_with_errors_is_named(cli: Cli, root: Path) -> None:
    make(root, "wrong", SPEC.replace("latents: 8", "latents: -8"))
    said = cli("clean", "--yes")
    assert said.code == 0
    assert "the store keeps everything: what is needed cannot be known while specs/wrong.yaml has errors" in (
        said.err
    )
    assert not (root / "results/old").exists()
    assert len(list((root / ".saespec/store/cells").iterdir())) == 6


def test_a_store_elsewhere_is_cleaned_when_told_so(
    cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = put(root.parent / f"shared/cells/{UNKNOWN}.safetensors")
    monkeypatch.setenv("SAESPEC_STORE", str(root.parent / "shared"))
    said = cli("clean", "--yes")
    assert "shared lies outside this project" in said.err
    assert "1 cell (10 B)" in said.err
    assert "--shared" in said.err
    assert cell.exists()
    assert cli("clean", "--yes", "--shared").code == 0
    assert not cell.exists()


def test_scratch_runs_go_when_asked(cli: Cli, root: Path) -> None:
    put(root / ".saespec/scratch/old-0123abcd/old.yaml", SPEC.encode())
    put(root / ".saespec/scratch/tiny-0123abcd/tiny.yaml", SPEC.encode())
    said = cli("clean", "--yes")
    assert "the spec of .saespec/scratch/old-0123abcd is gone; --scratch removes all scratch runs" in said.err
    assert (root / ".saespec/scratch/old-0123abcd").exists()
    assert cli("clean", "--yes", "--scratch").code == 0
    assert not list((root / ".saespec/scratch").iterdir())


def test_status_names_orphans(cli: Cli, root: Path) -> None:
    put(root / ".saespec/scratch/old-0123abcd/old.yaml", SPEC.encode())
    said = cli("status")
    assert said.code == 0
    line = said.out.splitlines()[-1]
    assert line.startswith(
        "6 orphans: results/old, .saespec/scratch/old-0123abcd, 2 cells, 1 model, 1 extraction in the store; "
        "`saespec clean` removes them, scratch runs with --scratch ("
    )
    assert line.endswith(" kB)")
    orphans = cli("status", "--json").json["orphans"]
    assert orphans["results"] == [str(root / "results/old")]
    assert orphans["scratch"] == [str(root / ".saespec/scratch/old-0123abcd")]
    assert orphans["store"] == {"cell": 2, "model": 1, "extraction": 1}
    assert (orphans["in_git"], orphans["unknown"]) == ([], [])
    assert orphans["bytes"] > 0
    assert cli("status", "tiny").out.count("\n") == 1
    assert "orphans" not in cli("status", "tiny", "--json").json


def test_status_of_a_project_without_orphans(cli: Cli, root: Path) -> None:
    cli("clean", "--yes")
    assert cli("status").out.count("\n") == 1
    nothing = {"results": [], "in_git": [], "scratch": [], "store": {}, "bytes": 0, "unknown": []}
    assert cli("status", "--json").json["orphans"] == nothing


def test_status_when_the_last_spec_is_gone(cli: Cli, root: Path) -> None:
    (root / ".dvc").mkdir()
    (root / "specs/tiny.yaml").unlink()
    said = cli("status")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("10 orphans: results/old, results/tiny, 6 cells,")
    cli("clean", "--yes")
    assert cli("status").code == 2


def test_status_where_git_fails(cli: Cli, root: Path) -> None:
    put(root / ".git", b"gitdir: nowhere\n")
    said = cli("status")
    assert said.code == 0
    assert said.out.startswith("tiny ")
    assert "cannot be known while git cannot say what it tracks" in said.out
    assert cli("clean", "--yes").code == 2
    assert (root / "results/old").exists()


def test_status_leaves_a_store_elsewhere_to_those_who_share_it(
    cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root.parent / f"shared/cells/{UNKNOWN}.safetensors")
    monkeypatch.setenv("SAESPEC_STORE", str(root.parent / "shared"))
    assert json.loads(cli("status", "--json").out)["orphans"]["store"] == {}
