"""MD5 of files and folders as `dvc.lock` records them, remembered by size, time and inode as DVC does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path

from .project import work_folder

_SETTLED = 2.0
"""Seconds: a file younger than that may change again without its time of change showing it."""


class Hashes:
    """Hashes of files below a project root; what is known is kept in `.saespec/hashes/`."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._file = root / ".saespec" / "hashes" / f"{name}.json"
        self._known: dict[str, list[int | str]] = {}
        self._asked: dict[str, list[int | str]] = {}
        with contextlib.suppress(OSError, ValueError):
            self._known = json.loads(self._file.read_text())

    def of(self, path: str) -> str | None:
        """Return the MD5 of a file (`….dir` for a folder) given relative to the root; None if missing."""
        full = os.path.join(self._root, path)
        if not os.path.isdir(full):
            return self._of_file(full, path)
        inside = sorted(_files(full))
        entries = [
            {"md5": self._of_file(f"{full}/{name}", f"{path}/{name}"), "relpath": name} for name in inside
        ]
        return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"

    def save(self) -> None:
        """Remember what was asked for; a folder that cannot be written to costs only time."""
        if self._asked == self._known:
            return
        with contextlib.suppress(OSError):
            work_folder(self._root)
            self._file.parent.mkdir(exist_ok=True)
            temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(json.dumps(self._asked))
            os.replace(temporary, self._file)

    def _of_file(self, full: str, name: str) -> str | None:
        try:
            stat = os.stat(full)
        except (FileNotFoundError, NotADirectoryError):
            return None
        mark: list[int | str] = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = self._known.get(name)
        if known is not None and known[:3] == mark:
            self._asked[name] = known
            return str(known[3])
        with open(full, "rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if time.time() - stat.st_mtime > _SETTLED:
            self._asked[name] = [*mark, found]
        return found


def in_cache(root: Path, md5: str) -> bool:
    """Whether DVC's cache holds a file or folder (`….dir`); DVC runs a stage again whose outputs it lost."""
    cache = _cache_folder(root)
    path = _object(cache, md5)
    if not os.path.exists(path):
        return False
    if not md5.endswith(".dir"):
        return True
    with open(path, encoding="utf-8") as file:
        return all(os.path.exists(_object(cache, entry["md5"])) for entry in json.load(file))


def _object(cache: Path, md5: str) -> str:
    return f"{cache}/files/md5/{md5[:2]}/{md5[2:]}"


def _cache_folder(root: Path) -> Path:
    """`cache.dir` of the project's configuration files, else `.dvc/cache`."""
    config = ConfigParser(strict=False, interpolation=None)
    with contextlib.suppress(ConfigError):
        config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    return root / ".dvc" / config.get("cache", "dir", fallback="cache")


def _files(folder: str) -> list[str]:
    return [
        os.path.relpath(os.path.join(where, name), folder).replace(os.sep, "/")
        for where, _, names in os.walk(folder)
        for name in names
    ]
