"""What was looked at already and found right: charts that can be drawn, a spec's figures and claims, tables.

A list of hashes in `.saespec/checked.json`: lost, damaged or not writable, it costs time only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from saespec.errors import StageError
from saespec.plan.project import find_root, work_folder

from .atomic import write_bytes

_MOST = 2000
"""Hashes remembered in a project; those of before are forgotten."""


class Remembered:
    """The hashes of the project that a file belongs to; `save` adds those that were used or new."""

    def __init__(self, file: Path) -> None:
        root = find_root(file)
        # A lone file belongs to no project: looking at it leaves nothing behind.
        is_project = (root / ".dvc").is_dir() or root != file.resolve().parent
        self._root = root if is_project else None
        self._file = root / ".saespec" / "checked.json"
        self._known: dict[str, None] = {}
        self._used: dict[str, None] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found = json.loads(self._file.read_bytes())
            if isinstance(found, list) and all(isinstance(key, str) for key in found):
                self._known = dict.fromkeys(found)

    def knows(self, key: str) -> bool:
        """Whether this was found right before."""
        if key in self._known:  # those in use are forgotten last
            self._used[key] = None
        return key in self._used

    def add(self, key: str) -> None:
        """Note what was found right."""
        self._used[key] = None

    def save(self) -> None:
        """Write down what was found right."""
        if self._root is None or self._used.keys() <= self._known.keys():
            return
        others = [key for key in self._known if key not in self._used]
        with contextlib.suppress(OSError, StageError):
            work_folder(self._root)
            write_bytes(self._file, json.dumps([*others, *self._used][-_MOST:], indent=0).encode())


def hashed(told: Any) -> str:
    """A hash of what JSON can say; the order of keys counts."""
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
