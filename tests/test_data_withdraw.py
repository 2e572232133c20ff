from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from saespec.data.activations.withdraw import object_lock_name, withdraw
from saespec.results.lock import store_lock

HOLDER = """
import sys
from pathlib import Path
from saespec.results.lock import store_lock
with store_lock(Path(sys.argv[1]), sys.argv[2], print):
    print("held", flush=True)
    input()
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "0123456789ab"
    folder.mkdir(parents=True)
    (folder / "training.json").touch()
    return folder


def test_what_is_damaged_goes_also_where_this_process_makes_it_again(tmp_path: Path, model: Path) -> None:
    with store_lock(tmp_path, object_lock_name(model), pytest.fail):
        withdraw(model, [model / "training.json"], lambda: True)
    assert not (model / "training.json").exists()


def test_what_was_mended_meanwhile_stays(model: Path) -> None:
    withdraw(model, [model / "training.json"], lambda: False)
    assert (model / "training.json").exists()


def test_what_another_process_makes_again_stays(tmp_path: Path, model: Path) -> None:
    assert object_lock_name(model) == "model 0123456789ab"
    words = [sys.executable, "-c", HOLDER, str(tmp_path), object_lock_name(model)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        withdraw(model, [model / "training.json"], lambda: True)
        assert (model / "training.json").exists()
        other.communicate("\n")
    withdraw(model, [model / "training.json"], lambda: True)
    assert not (model / "training.json").exists()
