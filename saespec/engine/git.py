"""What git tracks, in the index or in HEAD: `clean` removes none of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from saespec.errors import CallError


def tracked(folder: Path, *names: str) -> dict[Path, set[str]]:
    """Return each file below some names of a folder that git tracks, with its blobs (in the index, in HEAD).

    Nothing outside of git. Raises CallError where there is a repository and git cannot say what is in it.
    """
    if not folder.is_dir() or not _in_repository(folder):
        return {}
    listed = _git(folder, "ls-files", "-s", "-z", "--", *names)
    if _git(folder, "rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1)):
        listed += _git(folder, "ls-tree", "-r", "-z", "HEAD", "--", *names)
    found: dict[Path, set[str]] = {}
    for entry in listed.split(b"\0"):
        about, tab, name = entry.partition(b"\t")
        if tab:
            _, second, third = about.split()  # index: mode, blob, stage; tree: mode, kind, blob
            blob = second if len(third) == 1 else third
            found.setdefault(folder / os.fsdecode(name), set()).add(blob.decode())
    return found


def contents(folder: Path, blobs: Iterable[str]) -> list[bytes]:
    """Return the bytes of blobs of the repository around a folder. Raises CallError if git lacks one."""
    wanted = sorted(set(blobs))
    if not wanted:
        return []
    stream = _git(folder, "cat-file", "--batch", given="\n".join(wanted).encode())
    found, at = [], 0
    for blob in wanted:
        end = stream.index(b"\n", at)
        words = stream[at:end].split()
        if len(words) != 3:
            raise CallError(f"git cannot read its object {blob} in {folder}: run `git fsck`")
        found.append(stream[end + 1 : end + 1 + int(words[2])])
        at = end + 2 + int(words[2])
    return found


def _in_repository(folder: Path) -> bool:
    folder = folder.resolve()
    return any((ancestor / ".git").exists() for ancestor in (folder, *folder.parents))


def _git(folder: Path, *arguments: str, allowed: tuple[int, ...] = (0,), given: bytes = b"") -> bytes:
    # In a git hook GIT_DIR and friends name the hook's repository, which need not be the project's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, input=given, capture_output=True, env=environment)
    except FileNotFoundError:
        raise CallError(f"{folder} lies in a git repository, but git is not installed") from None
    if done.returncode not in allowed:
        raise CallError(f"git cannot say what it tracks in {folder}: {done.stderr.decode().strip()}")
    return done.stdout
