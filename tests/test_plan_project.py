from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from saespec.errors import CallError
from saespec.plan import project


def test_the_root_is_the_nearest_folder_with_dvc(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "inner/.dvc").mkdir(parents=True)
    assert project.find_root(tmp_path / "inner/specs/full/x.yaml") == tmp_path / "inner"
    assert project.find_root(tmp_path / "x.yaml") == tmp_path


def test_without_dvc_the_root_holds_specs(tmp_path: Path) -> None:
    assert project.find_root(tmp_path / "specs/full/x.yaml") == tmp_path
    assert project.find_root(tmp_path / "elsewhere/x.yaml") == tmp_path / "elsewhere"


def test_a_relative_path_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "specs").mkdir()
    monkeypatch.chdir(tmp_path / "specs")
    assert project.find_root("x.yaml") == tmp_path


def test_paths_stay_inside_the_project(tmp_path: Path) -> None:
    assert project.relative(tmp_path / "specs/a b.yaml", tmp_path) == PurePosixPath("specs/a b.yaml")
    with pytest.raises(CallError, match="lies outside the project"):
        project.relative(tmp_path.parent / "x.yaml", tmp_path)


@pytest.mark.parametrize("name", ["${x}.yaml", "a;b.yaml", "a'b.yaml", 'a"b.yaml', "a`b.yaml", "a\nb.yaml"])
def test_names_that_a_shell_or_dvc_would_read_otherwise_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CallError, match="rename it"):
        project.relative(tmp_path / name, tmp_path)


@pytest.mark.parametrize(
    "folder",
    ["results", "results/x", "results/x/tables", "results/x/cells", "results/x/cells/relu", ".saespec"],
)
def test_folders_that_are_links_are_refused(tmp_path: Path, folder: str) -> None:
    link = tmp_path / "project" / folder
    link.parent.mkdir(parents=True)
    target = tmp_path / "elsewhere"
    target.mkdir()
    project.refuse_links(project.results_folder("x"), tmp_path / "project")
    link.symlink_to(target)
    with pytest.raises(CallError, match=f"^{folder} is a symbolic link, .* move the whole project there"):
        project.refuse_links(project.results_folder("x"), tmp_path / "project")
    target.rmdir()
    if folder in ("results", "results/x", ".saespec"):  # where it leads nowhere, too
        with pytest.raises(CallError, match="is a symbolic link"):
            project.refuse_links(project.results_folder("x"), tmp_path / "project")


def test_the_work_folder_ignores_itself(tmp_path: Path) -> None:
    folder = project.work_folder(tmp_path)
    assert (folder / ".gitignore").read_text() == "*\n"


def test_the_store_can_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAESPEC_STORE", raising=False)
    assert project.store_folder(tmp_path) == tmp_path / ".saespec/store"
    monkeypatch.setenv("SAESPEC_STORE", str(tmp_path / "big"))
    assert project.store_folder(tmp_path) == tmp_path / "big"
    assert project.stored_cell(tmp_path, "ab") == tmp_path / "cells/ab.safetensors"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("version: 1\nname: toy\n", "toy"),
        ("name:   'toy'  # the name\n", "toy"),
        ('"name": toy', "toy"),
        ("description: |\n  name: other\nname: toy\n", "toy"),
        ("title: x\n", None),
    ],
)
def test_the_name_is_read_off_the_lines(tmp_path: Path, text: str, name: str | None) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert project.spec_name(path) == name


def test_two_specs_of_one_name_are_refused(tmp_path: Path) -> None:
    for place in ("specs/a.yaml", "specs/full/b.yaml"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("name: toy\n")
    (tmp_path / "specs/notes.yaml").write_text("- no spec\n")
    assert [p.name for p in project.spec_files(tmp_path)] == ["a.yaml", "b.yaml"]
    with pytest.raises(CallError, match=r"specs/a\.yaml and specs/full/b\.yaml are both named toy"):
        project.refuse_clash("toy", PurePosixPath("specs/a.yaml"), tmp_path)
    project.refuse_clash("other", PurePosixPath("specs/a.yaml"), tmp_path)
