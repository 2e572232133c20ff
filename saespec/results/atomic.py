"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from saespec.errors import StageError, reason


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Put `data` at `path`, making its folder: afterwards the file is the new one or the old one.

    Raises StageError, naming the path, if it cannot be written (full disk, read-only folder).
    """
    with writing(path) as file:
        file.write(data)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to write what shall be at `path`; it is put there when the block ends without an error.

    Raises StageError as `write_bytes` does.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StageError(f"cannot write {path}: {reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """An empty folder for what shall be the content of `path`; it is put there when the block ends without an error.

    What was there before is removed. Raises StageError as `write_bytes` does.
    """
    temporary, old = _temporary(path), _temporary(path.with_name(f"{path.name}.old"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (path, path.with_name(f"{path.name}.old")):
            _clear(leftover)
        shutil.rmtree(temporary, ignore_errors=True)  # of a process that had this one's number
        temporary.mkdir()
        yield temporary
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, old)
        os.replace(temporary, path)
    except OSError as error:
        raise StageError(f"cannot write {path}: {reason(error)}") from error
    finally:
        for left_over in (temporary, old):
            shutil.rmtree(left_over, ignore_errors=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _clear(path: Path) -> None:
    """Remove what killed writers of this file or folder left; another one may be at work at this moment."""
    for left_over in glob.iglob(glob.escape(str(path.with_name(f".{path.name}."))) + "*.tmp"):
        pid = left_over.rsplit(".", 2)[1]
        if pid.isdigit() and is_alive(int(pid)):
            continue
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(left_over) if os.path.isdir(left_over) else os.unlink(left_over)


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
