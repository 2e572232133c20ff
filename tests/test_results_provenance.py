"""Which code, spec and device made a table."""

from __future__ import annotations

import subprocess

import pytest

from saespec.plan.identity import NUMERICS
from saespec.results.provenance import CUT_OFF, provenance


def git(root, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run(
        ["git", "-C", root, *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def made(root, **kwargs):
    return provenance("toy", "abc", "cpu", torch="2.13.0", root=root, **kwargs)


@pytest.fixture
def project(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/toy.yaml").write_text("name: toy\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_every_key_is_a_saespec_key(project):
    found = made(project)
    assert all(key.startswith("saespec.") and isinstance(value, str) for key, value in found.items())
    assert found["saespec.numerics"] == str(NUMERICS)
    assert (found["saespec.spec"], found["saespec.spec_hash"], found["saespec.device"]) == (
        "toy",
        "abc",
        "cpu",
    )
    assert found["saespec.torch"] == "2.13.0"


def test_commit_is_the_projects(project, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    found = made(project)
    monkeypatch.delenv("GIT_DIR")
    assert found["saespec.git_commit"] == git(project, "rev-parse", "HEAD")
    assert found["saespec.git_dirty"] == "false"


def test_what_a_run_generates_is_not_dirt(project):
    for path in ("results/toy/plan.json", "dvc.yaml", "dvc.lock", ".dvc/config", ".saespec/store/x"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("generated")
    assert made(project)["saespec.git_dirty"] == "false"


def test_an_edited_spec_is_dirt(project):
    (project / "specs/toy.yaml").write_text("name: other\n")
    assert made(project)["saespec.git_dirty"] == "true"


def test_with_sources_only_they_and_the_code_count(project):
    (project / "notes.txt").write_text("untracked")
    assert made(project, sources=["specs/toy.yaml"])["saespec.git_dirty"] == "false"
    (project / "specs/new.yaml").write_text("untracked")
    assert made(project, sources=["specs/toy.yaml"])["saespec.git_dirty"] == "false"
    assert made(project, sources=["specs/new.yaml"])["saespec.git_dirty"] == "true"
    (project / "saespec").mkdir()
    (project / "saespec/new.py").write_text("untracked")
    assert made(project, sources=["specs/toy.yaml"])["saespec.git_dirty"] == "true"


def test_a_project_in_a_subfolder_looks_at_itself_only(project):
    (project / "below").mkdir()
    (project / "other.txt").write_text("untracked")
    assert made(project / "below")["saespec.git_dirty"] == "false"


def test_no_repository_and_no_commit(tmp_path):
    assert made(tmp_path)["saespec.git_commit"] == "none"
    git(tmp_path, "init", "--quiet")
    assert made(tmp_path)["saespec.git_commit"] == "none"


def test_no_git_at_all(project, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert made(project)["saespec.git_commit"] == "none"


def test_committing_results_leaves_the_commit_of_their_sources(project):
    (project / "specs" / "x.yaml").write_text("a: 1")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "spec")
    before = made(project, sources=["specs/x.yaml"])
    (project / "results").mkdir(exist_ok=True)
    (project / "results" / "table").write_text("1")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "results")
    assert made(project, sources=["specs/x.yaml"]) == before


@pytest.mark.parametrize("depth", [1, 2])
def test_what_a_shallow_clone_does_not_know_is_said(project, tmp_path_factory, depth):
    """In the full clone the spec's commit is the second of three: one commit deep, the last seems to have made it."""
    sources = ["specs/x.yaml"]
    (project / "specs/x.yaml").write_text("a: 1")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "spec")
    at = git(project, "rev-parse", "HEAD")
    for name in ("notes", "more"):
        (project / name).write_text("other")
        git(project, "add", ".")
        git(project, "commit", "--quiet", "-m", name)
    clone = tmp_path_factory.mktemp("clone") / "c"
    git(project, "clone", "--quiet", f"--depth={depth}", f"file://{project}", str(clone))
    (clone / "sub").mkdir()
    assert made(clone, sources=sources)["saespec.git_commit"] == CUT_OFF
    assert made(clone / "sub", sources=["../specs/x.yaml"])["saespec.git_commit"] == CUT_OFF
    (clone / "specs/x.yaml").write_text("a: 2")
    assert made(clone, sources=sources)["saespec.git_dirty"] == "true"
    git(clone, "commit", "--quiet", "-am", "known")
    assert made(clone, sources=sources)["saespec.git_commit"] == git(clone, "rev-parse", "HEAD")
    git(clone, "reset", "--quiet", "--hard", "HEAD~1")
    git(clone, "fetch", "--quiet", "--unshallow")
    assert made(clone, sources=sources)["saespec.git_commit"] == at
