"""Where things are: the project root, the git-ignored work folder, the store of finished cells, the specs."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from saespec.errors import CallError

P = TypeVar("P", bound=PurePath)

STORE_VARIABLE = "SAESPEC_STORE"
"""Environment variable that puts the store of finished cells somewhere else."""

_NAME = re.compile(r"""^(?:name|"name"|'name')\s*:\s*(["']?)([a-z][a-z0-9_]*)\1\s*(?:#.*)?$""", re.M)
_PLAIN_PATH = re.compile(r"[\w./+@=, -]+")


def find_root(spec: Path | str) -> Path:
    """Return the project that a spec belongs to, as an absolute path.

    The nearest folder above it with `.dvc`; without one, the folder that holds the `specs/` folder in
    which the spec lies; without that, the spec's own folder.
    """
    folder = Path(spec).resolve().parent
    ancestors = [folder, *folder.parents]
    for ancestor in ancestors:
        if (ancestor / ".dvc").is_dir():
            return ancestor
    for ancestor in ancestors:
        if ancestor.name == "specs":
            return ancestor.parent
    return folder


def relative(path: Path | str, root: Path) -> PurePosixPath:
    """Return `path` relative to the project root.

    Raises CallError if it lies outside, or has characters that no shell takes as they are.
    """
    resolved = Path(path).resolve()
    try:
        inside = PurePosixPath(resolved.relative_to(root.resolve()).as_posix())
    except ValueError:
        raise CallError(f"{path} lies outside the project {root}: move it there") from None
    if not _PLAIN_PATH.fullmatch(str(inside)):
        raise CallError(f"{inside!s}: rename it; a path may have letters, digits and _-.,+@= only")
    return inside


def work_folder(root: Path) -> Path:
    """Return `.saespec/` at the root, made if need be and ignored by git."""
    folder = root / ".saespec"
    ignore = folder / ".gitignore"
    if not ignore.exists():
        folder.mkdir(parents=True, exist_ok=True)
        ignore.write_text("*\n")  # by several processes at once, too: they all write the same
    return folder


def scratch_folder(root: Path) -> Path:
    """Return the folder below which overridden specs have projects of their own."""
    return root / ".saespec" / "scratch"


def paths_root(root: Path) -> Path:
    """Return what paths in a spec are relative to: the project, for a scratch project the one that it is of."""
    outer = root.parents[2] if len(root.parents) > 2 else root
    return outer if root.parent == scratch_folder(outer) else root


def store_folder(root: Path) -> Path:
    """Return the folder of the content-addressed store; it need not exist yet."""
    elsewhere = os.environ.get(STORE_VARIABLE)
    return Path(elsewhere).resolve() if elsewhere else root / ".saespec" / "store"


def stored_cell(store: Path, cell_id: str) -> Path:
    """Return the path of a finished cell in the store."""
    return store / "cells" / f"{cell_id}.safetensors"


def results_folder(spec_name: str) -> PurePosixPath:
    """Return the folder that a spec owns, relative to the project root."""
    return PurePosixPath("results") / spec_name


def group_folder(results: P, group: str) -> P:
    """Return where a results folder has the checkpoints of a group, `CELL.safetensors` each."""
    return results / "cells" / group


def refuse_links(results: PurePosixPath, root: Path) -> None:
    """Raise CallError if a folder that saespec writes is a symbolic link: DVC tracks nothing behind one."""
    own = root / results
    for folder in (root / ".saespec", own.parent, own, *own.glob("*/"), *own.glob("cells/*/")):
        if folder.is_symlink():
            raise CallError(
                f"{folder.relative_to(root)} is a symbolic link, behind which DVC tracks nothing: make it a folder. To "
                f"have the results on another disk, move the whole project there; {STORE_VARIABLE} moves what is large"
            )


def spec_files(root: Path) -> tuple[Path, ...]:
    """Return the spec files of a project: every `*.yaml` below `specs/` that has a name."""
    found = sorted((root / "specs").rglob("*.yaml"))
    return tuple(path for path in found if spec_name(path) is not None)


def refuse_clash(name: str, source: PurePosixPath, root: Path) -> None:
    """Raise CallError if another spec of the project has this name, and so the same results folder."""
    for path in spec_files(root):
        if spec_name(path) == name and path.resolve() != (root / source).resolve():
            other = path.relative_to(root).as_posix()
            raise CallError(f"{source} and {other} are both named {name}: give one of them another `name:`")


def spec_name(path: Path) -> str | None:
    """Return the `name:` that a spec file gives, by a look at its top-level lines; None without one.

    Much faster than loading the spec, and it works on specs with errors.
    """
    try:
        name = _NAME.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return name[2] if name else None


def project_around(folder: Path | str = ".") -> Path:
    """Return the project that a folder lies in: the nearest one up that has `.dvc` or spec files.

    Raises CallError if there is none.
    """
    here = Path(folder).resolve()
    for ancestor in (here, *here.parents):
        if (ancestor / ".dvc").is_dir() or spec_files(ancestor):
            return ancestor
    raise CallError(f"{here} is not in a saespec project: `saespec init` makes one")
