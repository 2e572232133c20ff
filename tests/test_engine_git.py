from __future__ import annotations

from pathlib import Path

import pytest
from clean_sample import git, put

from saespec.engine.git import contents, tracked
from saespec.errors import CallError


def names(root: Path, *below: str) -> set[str]:
    return {path.relative_to(root).as_posix() for path in tracked(root, *below)}


def test_what_the_index_or_head_has_is_tracked(tmp_path: Path) -> None:
    root = tmp_path / "project in a folder"
    for name in ("results/é/plan.json", "results/staged", "results/loose", "other"):
        put(root / name)
    git(tmp_path, "init", "-q")
    assert names(root, "results") == set()
    git(tmp_path, "add", "project in a folder/results/é", "project in a folder/other")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "rm", "-rq", "--cached", "project in a folder/results/é")
    git(tmp_path, "add", "project in a folder/results/staged")
    assert names(root, "results") == {"results/é/plan.json", "results/staged"}
    assert names(root, "results", "other") == {"results/é/plan.json", "results/staged", "other"}
    assert names(root / "results", ".") == {"é/plan.json", "staged"}


def test_contents_are_those_of_index_and_head(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    path = put(tmp_path / "plan.json", b"old\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    path.write_bytes(b"new")
    git(tmp_path, "add", ".")
    path.write_bytes(b"neither")
    (blobs,) = tracked(tmp_path, "plan.json").values()
    assert sorted(contents(tmp_path, blobs)) == [b"new", b"old\n"]
    assert contents(tmp_path, []) == []


def test_without_a_repository_nothing_is_tracked(tmp_path: Path) -> None:
    put(tmp_path / "results/a")
    assert tracked(tmp_path, "results") == {}
    assert tracked(tmp_path / "missing", ".") == {}


def test_a_repository_that_git_cannot_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / ".git", b"gitdir: nowhere\n")
    with pytest.raises(CallError, match="git cannot say what it tracks"):
        tracked(tmp_path, "results")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CallError, match="git is not installed"):
        tracked(tmp_path, "results")
