"""Specs as they were in a git revision."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path, PurePosixPath

from saespec.errors import CallError, last_words, reason


def checked_out(revision: str, path: str, folder: Path) -> Path:
    """Write a spec of a revision, and the files it extends, below `folder`; return the spec's path there.

    `path` is relative to the working directory, or the name of a spec. Raises CallError if git has no such
    file.
    """
    if "/" not in path and not path.endswith((".yaml", ".yml")):
        from .specs import paths

        path = os.path.relpath(paths([path])[0])
    top, prefix = (_git("rev-parse", what).strip() for what in ("--show-toplevel", "--show-prefix"))
    assert top
    spec = os.path.normpath(os.path.join(prefix, path))
    waiting = [spec]
    while waiting:
        name = waiting.pop()
        target = folder / name
        if name.startswith("..") or target.exists():
            continue  # `load` complains about bases outside and circles
        target.parent.mkdir(parents=True, exist_ok=True)
        text = _git("show", f"{revision}:{name}")
        target.write_text(text, encoding="utf-8")
        waiting += _bases(text, name)
    return folder / spec


def _bases(text: str, name: str) -> list[str]:
    from saespec.spec.language.yaml import Scalar, parse

    root = parse(text, name).root
    base = root.items.get("extends") if root is not None else None
    if not isinstance(base, Scalar) or not isinstance(base.value, str):
        return []
    return [os.path.normpath(PurePosixPath(name).parent / base.value)]


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8")
    except FileNotFoundError:
        raise CallError("git is not installed, so there are no revisions to compare") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CallError(f"git {' '.join(arguments)}: {reason(error)}") from None
    if done.returncode:
        raise CallError(f"git {' '.join(arguments)}: {last_words(done).removeprefix('fatal: ')}")
    return done.stdout
