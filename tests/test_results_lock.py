from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saespec.errors import Interrupted
from saespec.results.lock import Lock, store_lock

HOLDER = """
import sys, time
from pathlib import Path
from saespec.results.lock import Lock
with Lock(Path(sys.argv[1]), "it", print):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holder(path: Path, seconds: float = 60) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_waits_and_says_for_whom(tmp_path: Path) -> None:
    said: list[str] = []
    with holder(tmp_path / "x.lock", 0.5) as first, Lock(tmp_path / "x.lock", "model 0123", said.append):
        assert first.wait() == 0
    assert said == [f"model 0123: another process is at work (pid {first.pid}); waiting for it"]


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    with holder(tmp_path / "x.lock") as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        said: list[str] = []
        with Lock(tmp_path / "x.lock", "it", said.append):
            pass
    assert said == []


def test_waiting_ends_when_asked_to_stop(tmp_path: Path) -> None:
    with holder(tmp_path / "x.lock"):
        with (
            pytest.raises(Interrupted, match="the same command continues"),
            Lock(tmp_path / "x.lock", "it", lambda message: None, stop=lambda: True),
        ):
            pass
        assert not Lock(tmp_path / "x.lock", "it", print).try_to_enter()


def test_a_lock_that_is_not_free_leaves_no_descriptor_open(tmp_path: Path) -> None:
    with holder(tmp_path / "x.lock"):
        before = set(os.listdir("/proc/self/fd"))
        assert not Lock(tmp_path / "x.lock", "it", print).try_to_enter()
        assert set(os.listdir("/proc/self/fd")) == before


def test_objects_of_a_store_have_locks_of_their_own(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        store_lock(tmp_path, "model 01", said.append),
        store_lock(tmp_path, "model 02", said.append),
        store_lock(tmp_path, "extraction 01", said.append),
    ):
        assert len(list((tmp_path / "locks").iterdir())) == 3
    assert said == []
