"""Where a table came from: the part of its footer that says which code, spec and device made it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from saespec.plan.identity import NUMERICS

_GENERATED = ("results", "dvc.yaml", "dvc.lock", ".dvc", ".dvcignore", ".saespec")
"""What saespec and DVC write themselves at a project's root: never makes the project dirty."""

CUT_OFF = "unknown (older than this shallow clone; git fetch --unshallow brings it)"
"""In place of a commit that depends on how deep a clone is."""

_OF_ONE_TABLE = ("saespec.table", "saespec.format")


def provenance(
    spec_name: str,
    spec_hash: str,
    device: str,
    *,
    torch: str,
    root: Path,
    sources: Sequence[Path | str] = (),
) -> dict[str, str]:
    """Return the `saespec.*` footer keys of a table: no times, so that the same run gives the same bytes.

    `device` is the kind of device (cpu, cuda), `torch` its version, `root` the project that holds the
    results: the commit is the last one of its repository that touched `sources` (spec files, relative to
    `root`) or the code in `saespec/`, "none" or `CUT_OFF`; dirty means that these are not as committed. Without
    sources, everything counts but what saespec and DVC generate.
    """
    commit, dirty = _git(Path(root), [str(source) for source in sources])
    return {
        "saespec.spec": spec_name,
        "saespec.spec_hash": spec_hash,
        "saespec.numerics": str(NUMERICS),
        "saespec.version": version(),
        "saespec.git_commit": commit,
        "saespec.git_dirty": dirty,
        "saespec.torch": torch,
        "saespec.device": device,
    }


def common(footers: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return what tables say about where they came from, for what is made of all of them; keys without `saespec.`.

    One run writes all tables of a spec. Where they disagree all the same, because some were taken from another
    commit, each of their values is told.
    """
    found: dict[str, dict[str, None]] = {}
    for footer in footers:
        for key, value in footer.items():
            if key not in _OF_ONE_TABLE:
                found.setdefault(key.removeprefix("saespec."), {})[value] = None
    return {key: ", ".join(values) for key, values in found.items()}


def version() -> str:
    """Return saespec's package version, or "not installed" when it runs from a source tree."""
    try:
        return metadata.version("saespec")
    except metadata.PackageNotFoundError:
        return "not installed"


def _git(root: Path, sources: Sequence[str]) -> tuple[str, str]:
    """Commit of the repository around `root`, and whether what matters differs from it."""
    commit = _run_git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return "none", "none"
    what = ["saespec", *sources] if sources else [".", *(f":(exclude){name}" for name in _GENERATED)]
    changes = _run_git(root, "status", "--porcelain", "--", *what)
    # The last commit that touched what the table is made from: committing results, or a README, changes no
    # table's bytes.
    last = (_run_git(root, "log", "-1", "--format=%H", "--", *what) or commit).strip()
    if last in _cut_off(root):
        last = CUT_OFF
    return last, "true" if changes is None or changes else "false"


def _cut_off(root: Path) -> Sequence[str]:
    """Commits of a shallow clone whose parents it lacks: each seems to have touched every file."""
    path = _run_git(root, "rev-parse", "--git-path", "shallow")
    assert path is not None
    file = root / path.strip()  # relative to where git was asked
    return file.read_text().split() if file.exists() else ()


def _run_git(root: Path, *arguments: str) -> str | None:
    # In a git hook GIT_DIR and friends name the hook's repository, which need not be the project's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        result = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            env=environment,
        )
    except FileNotFoundError:
        return None
    return result.stdout if result.returncode == 0 else None
