"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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


def _clear(path: Path) -> None:
    """Remove what killed writers of this file left; another one may be at work at this moment."""
    for left_over in glob.iglob(glob.escape(str(path.with_name(f".{path.name}."))) + "*.tmp"):
        pid = left_over.rsplit(".", 2)[1]
        if not (pid.isdigit() and is_alive(int(pid))):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(left_over)


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
