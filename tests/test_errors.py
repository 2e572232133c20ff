"""No error leaves out what went wrong: those that others raise may have no words of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cli_sample import Cli

from saespec.errors import StageError, last_words, reason
from saespec.results import atomic


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("Couldn't deserialize thrift"), "Couldn't deserialize thrift"),
        (OSError(), "OSError"),
        (ValueError("\n  cut short\nat line 3"), "cut short"),
        (TimeoutError(""), "TimeoutError"),
    ],
)
def test_an_errors_reason_is_never_empty(error: Exception, said: str) -> None:
    assert reason(error) == said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("echo no >&2; exit 3", "no"),
        ("echo no; exit 3", "no"),
        ("exit 3", "it ended with exit code 3, without a word"),
        ("kill -9 $$", "it was killed by SIGKILL, without a word"),
    ],
)
def test_a_programs_last_words_are_never_empty(code: str, said: str) -> None:
    assert last_words(subprocess.run(["sh", "-c", code], capture_output=True, text=True)) == said


def silent(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program on the path that fails without a word."""
    folder.mkdir()
    (folder / name).write_text("#!/bin/sh\nexit 7\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_a_git_that_says_nothing(
    cli: Cli, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent(tmp_path / "bin", "git", monkeypatch)
    said = cli("diff", "HEAD:specs/tiny.yaml", "specs/tiny.yaml")
    assert "error: git rev-parse --show-toplevel: it ended with exit code 7, without a word\n" in said.err
    said = cli("init", str(tmp_path / "new"))
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith("new a git repository: it ended with exit code 7, without a word\n")


def test_a_system_error_without_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*files: object) -> None:
        raise PermissionError

    monkeypatch.setattr(atomic.os, "replace", refuse)
    with pytest.raises(StageError, match=r"cannot write .*a\.json: PermissionError$"):
        atomic.write_bytes(tmp_path / "a.json", b"{}")
