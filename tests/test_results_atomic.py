from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from saespec.errors import StageError
from saespec.results.atomic import writing_folder


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for names in (["a", "b"], ["c"]):
        with writing_folder(tmp_path / "x") as new:
            for name in names:
                (new / name).write_text(name)
        assert sorted(os.listdir(tmp_path / "x")) == names
    assert os.listdir(tmp_path) == ["x"]


def test_a_folder_stays_as_it_was_when_writing_fails(tmp_path: Path) -> None:
    with writing_folder(tmp_path / "x") as new:
        (new / "a").touch()
    with (
        pytest.raises(StageError, match=r"cannot write .*x: No such file"),
        writing_folder(tmp_path / "x") as new,
    ):
        (new / "missing").read_bytes()
    assert os.listdir(tmp_path / "x") == ["a"]
    assert os.listdir(tmp_path) == ["x"]


def test_what_a_dead_process_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".x.{dead.pid}.tmp").mkdir()
    (tmp_path / f".x.{os.getppid()}.tmp").mkdir()
    with writing_folder(tmp_path / "x"):
        pass
    assert sorted(os.listdir(tmp_path)) == [f".x.{os.getppid()}.tmp", "x"]
