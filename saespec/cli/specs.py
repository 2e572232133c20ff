"""Which specs a command line means, and how they are loaded."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saespec.errors import CallError, Problem, SpecError
from saespec.plan.project import (
    STORE_VARIABLE,
    find_root,
    project_around,
    scratch_folder,
    spec_files,
    spec_name,
)

if TYPE_CHECKING:
    from saespec.plan.model import Plan
    from saespec.spec.language.load import LoadedSpec


@dataclass(frozen=True)
class Target:
    """One spec of a command line, ready to be planned and run."""

    loaded: LoadedSpec
    plan: Plan
    root: Path
    """The project, or the scratch project of an overridden spec."""
    store: Path | None = None
    """Where a scratch project's finished cells are."""

    @property
    def folder(self) -> Path:
        """The spec's results folder, relative to the working directory where that is shorter."""
        return shown(self.root / self.plan.folder)


def paths(names: Sequence[str] | None, all_of_them: bool = False) -> list[Path]:
    """Return the spec files that a command line means.

    Without names: those in `specs/` of the project around the working directory, and with `all_of_them` those
    in folders below it too. Raises CallError for a name or a path that no spec has.
    """
    if names:
        return list(dict.fromkeys(_path(name) for name in names))
    root = project_around()
    found = spec_files(root)
    if not all_of_them:
        found = tuple(path for path in found if path.parent == root / "specs")
    if not found:
        raise CallError(f"there is no spec in {root / 'specs'}: name one, or let `saespec init` write some")
    return list(found)


def _path(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or "/" in name or path.is_file():
        return path  # `load` says so if there is no such file
    known = {}
    for file in spec_files(project_around()):
        known[spec_name(file)] = file
    if name in known:
        return known[name]
    names = [known_name for known_name in known if known_name]
    close = difflib.get_close_matches(name, names, n=1)
    hint = (
        f"did you mean {close[0]}?"
        if close
        else f"there are {', '.join(names)}"
        if names
        else "there is none"
    )
    raise CallError(f"no spec is called {name} ({hint})")


Check = Callable[["LoadedSpec"], list[Problem]]
"""What is wrong with a spec beyond its own words."""


def checked(path: Path, settings: Sequence[str] | None = None, also: Check = lambda loaded: []) -> LoadedSpec:
    """Load a spec and check its queries and charts too, and what else `also` finds.

    Raises SpecError with all problems of all kinds; positions name files relative to the working directory.
    """
    from saespec.figures.validate import problems
    from saespec.spec.language.load import load
    from saespec.spec.language.problems import SpecFileError
    from saespec.spec.language.salvage import salvage

    near, here = Path(os.path.relpath(path)), Path.cwd()
    try:
        loaded = load(near, settings or (), root=here)
    except SpecFileError as error:
        part = salvage(near, settings or (), root=here)
        if part is None:
            raise
        raise SpecFileError([*error.problems, *problems(part)], error.texts) from None
    if found := [*problems(loaded), *also(loaded)]:
        raise SpecFileError(found, loaded.texts)
    return loaded


def lacking(loaded: LoadedSpec) -> list[Problem]:
    """Text, packages and models that a spec names and that are not here, or do not fit."""
    from saespec.data.available import problems

    return problems(loaded, find_root(loaded.path))


def needed(loaded: LoadedSpec, settings: Sequence[str] | None = None) -> list[Problem]:
    """The same, less what no stage that would run has to read."""
    found = lacking(loaded)
    if not found:
        return []
    from saespec.plan.freshness import freshness

    made = target(loaded, bool(settings))
    with store_of(made):
        states = freshness(made.plan, made.root)
    kinds = {state.stage.kind for state in states if state.state != "fresh"}
    if kinds & {"model", "extract"}:
        return found
    # Measures read checkpoints again, but no text.
    return [p for p in found if p.path.startswith(("data.model", "measure"))] if "measure" in kinds else []


def all_checked(
    files: Sequence[Path], settings: Sequence[str] | None = None, also: Check = lambda loaded: []
) -> list[LoadedSpec]:
    """Load and check several specs. Raises one SpecError with the problems of all of them."""
    from saespec.spec.language.problems import SpecFileError

    loaded, problems = [], []
    texts: dict[str, str] = {}
    for path in files:
        try:
            loaded.append(checked(path, settings, also))
        except SpecError as error:
            problems += error.problems
            texts.update(getattr(error, "texts", {}))
    if problems:
        raise SpecFileError(problems, texts)
    return loaded


def targets(names: Sequence[str] | None, settings: Sequence[str] | None = None) -> list[Target]:
    """Load, check and plan the specs that a command line means, in a scratch project with settings."""
    return [target(loaded, bool(settings)) for loaded in all_checked(paths(names), settings)]


def runnable(names: Sequence[str] | None, settings: Sequence[str] | None = None) -> list[Target]:
    """The same for specs that are to run. What they need and is not here is among the problems of the SpecError."""
    found = all_checked(paths(names), settings, lambda loaded: needed(loaded, settings))
    return [target(loaded, bool(settings)) for loaded in found]


def target(loaded: LoadedSpec, overridden: bool = False) -> Target:
    """Plan a loaded spec; an overridden one in its scratch project."""
    from saespec.plan.build import plan

    root = find_root(loaded.path)
    if not overridden:
        return Target(loaded, plan(loaded, root), root)
    from saespec.engine.scratch import scratch
    from saespec.spec.language.load import load

    from . import output

    plan(loaded, root)  # what is wrong with the spec, in terms of its own file
    made = scratch(loaded, root, output.note)
    resolved = load(made.spec, root=made.root)
    return Target(resolved, plan(resolved, made.root), made.root, made.store)


def projects(target: Target) -> list[Path]:
    """Return the project and its scratch projects: runs in any of them tell how fast this machine is."""
    main = target.root if target.store is None else target.root.parents[2]
    return [main, *sorted(scratch_folder(main).glob("*"))]


@contextmanager
def store_of(target: Target) -> Iterator[None]:
    """Look for a scratch project's finished cells in the main project's store."""
    before = os.environ.get(STORE_VARIABLE)
    if target.store is not None:
        os.environ[STORE_VARIABLE] = str(target.store)
    try:
        yield
    finally:
        if target.store is not None:
            if before is None:
                del os.environ[STORE_VARIABLE]
            else:
                os.environ[STORE_VARIABLE] = before


def shown(path: Path) -> Path:
    """Return a path relative to the working directory, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
