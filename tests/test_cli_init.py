from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cli_sample import Cli

REPOSITORY = Path(__file__).parent.parent


def test_an_empty_folder(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("init", "demo")
    assert (said.code, said.err) == (0, "")
    demo = tmp_path / "demo"
    assert said.out == (
        f"made a project in {demo}\n  demo/specs/quick.yaml\n  demo/specs/toy_mmcs.yaml\n"
        "next: cd demo && saespec run quick\n"
    )
    assert all((demo / name).exists() for name in (".dvc", ".git", ".dvcignore", ".gitignore", "README.md"))
    monkeypatch.chdir(demo)
    said = cli("validate")
    assert said.code == 0
    assert [line.split(",")[0] for line in said.out.splitlines()] == [
        "specs/quick.yaml: ok",
        "specs/toy_mmcs.yaml: ok",
    ]


def test_nothing_is_overwritten(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    (tmp_path / "README.md").write_text("mine\n")
    (tmp_path / ".gitignore").write_text("*.log")
    assert cli("init").code == 0
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert (tmp_path / ".gitignore").read_text().startswith("*.log\n.saespec/\n")
    (tmp_path / "specs" / "quick.yaml").write_text("mine\n")
    said = cli("init")
    assert (said.code, said.out) == (2, "")
    assert "specs/quick.yaml" in said.err
    assert (tmp_path / "specs" / "quick.yaml").read_text() == "mine\n"


def test_without_git(cli: Cli, tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    assert cli("init", str(demo), "--no-git").code == 0
    assert not (demo / ".git").exists()
    assert "no_scm = True" in (demo / ".dvc" / "config").read_text()


def test_a_folder_of_a_git_repository(cli: Cli, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    demo = tmp_path / "a" / "demo"
    assert cli("init", str(demo)).code == 0
    assert not (demo / ".git").exists()


def test_a_file_is_in_the_way(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("")
    said = cli("init", str(tmp_path / "demo"))
    assert said.code == 2
    assert "is not a folder" in said.err


def test_the_packaged_specs_are_the_repository_s(cli: Cli, tmp_path: Path) -> None:
    cli("init", str(tmp_path / "demo"), "--no-git")
    for name in ("specs/toy_mmcs.yaml", "saespec.schema.json"):
        assert (tmp_path / "demo" / name).read_bytes() == (REPOSITORY / name).read_bytes()
    assert shutil.which("saespec"), "the stages need the command on the path"
