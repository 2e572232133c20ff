from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saespec.errors import Interrupted
from saespec.sae.reserved import reserved

HOLDER = """
import sys
from pathlib import Path
from saespec.sae.reserved import reserved
with reserved(Path(sys.argv[1]), sys.argv[2:], print) as own:
    print(*sorted(own), flush=True)
    input()
"""
CELLS = ["0123456789ab", "ffffffffffff", "000000000000"]


@contextmanager
def holder(store: Path, *cells: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", HOLDER, str(store), *cells]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().split() == sorted(cells)
        yield process
        process.kill()


def test_each_cell_has_one_process(tmp_path: Path) -> None:
    said: list[str] = []
    with holder(tmp_path, CELLS[0]), reserved(tmp_path, CELLS, said.append) as own:
        assert own == set(CELLS[1:])
    with reserved(tmp_path, CELLS, said.append) as own:
        assert own == set(CELLS)
    assert said == []


def test_who_finds_none_free_waits_until_their_process_is_gone(tmp_path: Path) -> None:
    said: list[str] = []
    with holder(tmp_path, *CELLS) as other:
        threading.Timer(0.3, other.send_signal, [signal.SIGKILL]).start()
        with reserved(tmp_path, CELLS, said.append) as own:
            assert own == set(CELLS)
    assert said == ["3 cells: another process trains them; waiting for it"]


def test_waiting_ends_when_asked_to_stop(tmp_path: Path) -> None:
    with (
        holder(tmp_path, *CELLS),
        pytest.raises(Interrupted),
        reserved(tmp_path, CELLS, lambda message: None, stop=lambda: True),
    ):
        pass
