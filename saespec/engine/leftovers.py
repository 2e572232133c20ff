"""What a project holds that no spec of it needs: results and scratch runs of specs that are gone, objects of the store.

    cells/<id>.safetensors        a finished cell
    partial/<hash>.safetensors    a snapshot of cells in training
    models/<id>/                  a trained model; `.<id>.…` beside it is one in training
    activations/<id>/             an extraction: its text, and a folder for each site

Whatever is called otherwise is not saespec's. Links are never followed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from saespec.errors import SpecError
from saespec.plan.cells import resolve_cells
from saespec.plan.model import Cell
from saespec.plan.needed import PARTS, Needs
from saespec.plan.orphans import Results, lost_scratch_runs, results_folders, scratch_runs
from saespec.plan.project import scratch_folder, spec_files, spec_name, store_folder, stored_cell
from saespec.results.atomic import is_alive
from saespec.spec.language.load import load

from . import git

Kind = Literal["results", "scratch", "cell", "snapshot", "model", "extraction", "site", "unfinished"]

_ID = "[0-9a-f]{12}"
_CELL = re.compile(rf"({_ID})\.safetensors")
_WORK = re.compile(rf"\.({_ID})(\.\w+)+")
_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")
_NAMED = re.compile(r"""^["']?name["']?\s*:""", re.M)

REMOVED = ".removed"
"""How a folder's name ends while it is removed; a dot is in front."""

_NOT_IN_GIT = re.compile(r"(cells|inputs)/.+|runs\.parquet|examples\.html")
_OURS = re.compile(
    rf"{_NOT_IN_GIT.pattern}|tables/[^/]+\.parquet|figures/[^/]+\.(svg|png|vl\.json)|claims\.json"
    r"|dvc\.(yaml|lock)|plan\.json|((tables|figures)/)?(\.gitignore|\..+\.\d+\.tmp)"
)
"""What saespec and DVC write in a results folder."""


@dataclass(frozen=True)
class Item:
    """Something that may go."""

    kind: Kind
    path: Path
    bytes: int
    """What removing it frees; a file with several names counts in equal parts."""
    why: str = ""
    files: tuple[Path, ...] = ()
    """Of a results folder: what is removed of it, in this order."""


@dataclass
class Leftovers:
    """What a project holds that nothing needs."""

    results: list[Item] = field(default_factory=list)
    in_git: list[Results] = field(default_factory=list)
    """Results folders without a spec that have files in git: at most what git ignores there is in `results`."""
    scratch: list[Item] = field(default_factory=list)
    store: list[Item] = field(default_factory=list)
    outside: Path | None = None
    """The store, if it lies outside the project: others may need what is in it."""
    unknown: list[str] = field(default_factory=list)
    """Why it cannot be told what nothing needs; `store` is empty then."""
    links: list[Path] = field(default_factory=list)
    """Folders that are links, which are left alone."""

    @property
    def items(self) -> list[Item]:
        """All that may go."""
        return [*self.results, *self.scratch, *self.store]


def leftovers(
    root: Path, known: Mapping[Path, Iterable[Cell]] | None = None, all_scratch: bool = False
) -> Leftovers:
    """Find what nothing needs: no spec of the project, no `plan.json` there or in git, no scratch run.

    `known` are the cells of specs that are loaded already; others are loaded only if the store holds something that
    no plan needs. Scratch runs are listed whose spec is gone, and the store keeps what they need; with `all_scratch`
    all of them are, and it does not. Removes nothing. Raises CallError if git cannot say what it tracks.
    """
    found = Leftovers()
    folders = results_folders(root)
    in_git = _InGit(root)
    if not lies_in(root / "results", root):
        found.links.append(root / "results")
    else:
        for one in folders:
            if one.state == "gone":
                _add_results(one, in_git, found)
    runs = scratch_runs(root)
    if not lies_in(scratch_folder(root), root):
        found.links.append(scratch_folder(root))
        all_scratch = False
    else:
        half_removed = sorted(scratch_folder(root).glob(f".*{REMOVED}"))
        going = [*runs, *half_removed] if all_scratch else lost_scratch_runs(root)
        found.scratch = [Item("scratch", path, _size(path)) for path in going]
    store = store_folder(root)
    if not lies_in(store, root):
        found.outside = store
    found.links += [path for kind in _KINDS if (path := store / kind).is_symlink()]
    needs = Needs()
    growing = _grow(needs, root, known or {}, folders, [] if all_scratch else runs, in_git, found)
    while holds_more := any(True for _ in _beyond(store, needs)):
        if next(growing, "all") == "all":
            break
    if not holds_more:
        found.unknown.clear()
    elif not found.unknown:
        beyond, kept = list(_beyond(store, needs)), in_git.all_of(store)
        found.store = [Item(kind, path, _size(path)) for kind, path in beyond if path not in kept]
    return found


def lies_in(path: Path, root: Path) -> bool:
    """Whether a path, links followed, lies in the project."""
    return path.resolve().is_relative_to(root.resolve())


class _InGit:
    """What git tracks, asked for once it matters."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def results(self) -> dict[Path, set[str]]:
        return git.tracked(self._root, "results")

    def plans(self) -> list[bytes]:
        """Every `plan.json` of a results folder, as in the index and as in HEAD."""
        of_plans = [
            blobs
            for path, blobs in self.results.items()
            if path.name == "plan.json" and path.parent.parent == self._root / "results"
        ]
        return git.contents(self._root, [blob for blobs in of_plans for blob in blobs])

    def all_of(self, folder: Path) -> set[Path]:
        """The files of a folder that git tracks, and the folders that they lie in."""
        files = git.tracked(folder, ".")
        return {path for file in files for path in (file, *file.parents)}


def _add_results(one: Results, in_git: _InGit, found: Leftovers) -> None:
    tracked = any(one.folder in path.parents for path in in_git.results)
    if tracked:
        found.in_git.append(one)
    ours = _NOT_IN_GIT if tracked else _OURS
    files = [path for path in _files(one.folder) if path not in in_git.results]
    gone = [path for path in files if ours.fullmatch(path.relative_to(one.folder).as_posix())]
    # What tells whose folder it is goes last: a clean that is killed can go on.
    gone.sort(key=lambda path: (path.parent == one.folder and path.name in ("dvc.yaml", "plan.json"), path))
    if gone:
        others = [] if tracked else sorted(set(files) - set(gone))
        why = ", ".join(_fate(one, source) for source in one.sources)
        if others:
            names = [path.relative_to(one.folder).as_posix() for path in others]
            why += f"; {', '.join(names[:3])}{' and more' if len(names) > 3 else ''} not of saespec: kept"
        found.results.append(Item("results", one.folder, sum(map(_bytes, gone)), why, tuple(gone)))


def _fate(one: Results, source: str) -> str:
    now = spec_name(one.folder.parents[1] / source)
    return f"{source} is called {now} now" if now else f"{source} is gone"


def _grow(
    needs: Needs,
    root: Path,
    known: Mapping[Path, Iterable[Cell]],
    folders: list[Results],
    runs: list[Path],
    in_git: _InGit,
    found: Leftovers,
) -> Iterator[None]:
    """Add to what is needed, the quickest to know first; what cannot be known is noted."""
    loaded = {path.resolve() for path in known}
    for cells in known.values():
        needs.add_cells(cells)
    yield
    going = {path for item in found.results for path in item.files}
    plans = [path for one in folders if (path := one.folder / "plan.json").is_file() and path not in going]
    for path in (*plans, *(path for run in runs for path in sorted(run.glob("results/*/plan.json")))):
        _add_plan(needs, path.read_bytes(), str(path.relative_to(root)), found)
    yield
    for text in in_git.plans():
        _add_plan(needs, text, "a plan.json in git", found)
    yield
    named = [path for one in folders for source in one.sources if (path := root / source).is_file()]
    for path in dict.fromkeys([*_specs(root), *named]):
        if path.resolve() not in loaded:
            _add_spec(needs, path, root, found)
    for run in runs:
        path = run / f"{run.name.rpartition('-')[0]}.yaml"
        if path.is_file():
            _add_spec(needs, path, run, found)
    yield


def _add_plan(needs: Needs, text: bytes, name: str, found: Leftovers) -> None:
    try:
        needs.add_plan(text)
    except ValueError:
        found.unknown.append(f"{name} is damaged")


def _add_spec(needs: Needs, path: Path, root: Path, found: Leftovers) -> None:
    try:
        needs.add_cells(resolve_cells(load(path, root=root)))
    except SpecError:
        found.unknown.append(f"{os.path.relpath(path)} has errors")


def _specs(root: Path) -> Iterator[Path]:
    """The spec files of the project, and those whose name cannot be read: they are not parts of others."""
    yield from spec_files(root)
    for path in sorted((root / "specs").rglob("*.yaml")):
        if spec_name(path) is None and _NAMED.search(path.read_text(encoding="utf-8", errors="replace")):
            yield path


_KINDS = ("cells", "partial", "models", "activations")


def _beyond(store: Path, needs: Needs) -> Iterator[tuple[Kind, Path]]:
    """What the store holds beyond what is needed."""
    cells, partial, models, activations = (store / kind for kind in _KINDS)
    for name in _inside(cells):
        if (match := _CELL.fullmatch(name)) and match[1] not in needs.cells:
            yield "cell", cells / name
        elif _is_cut_short(name):
            yield "unfinished", cells / name
    for name in _inside(partial):
        if _CELL.fullmatch(name) and not _continues(partial / name, store, needs):
            yield "snapshot", partial / name
        elif _is_cut_short(name):
            yield "unfinished", partial / name
    for name in _inside(models, folders=True):
        if re.fullmatch(_ID, name) and name not in needs.models:
            yield "model", models / name
        elif (match := _WORK.fullmatch(name)) and (
            name.endswith(REMOVED) or match[1] not in needs.models or _is_model(models / match[1])
        ):
            yield "unfinished", models / name
    for name in _inside(activations, folders=True):
        if re.fullmatch(_ID, name):
            if name not in needs.sites:
                yield "extraction", activations / name
                continue
            for key in _inside(activations / name, folders=True):
                half_removed = key.startswith(".") and key.endswith(REMOVED)
                if half_removed or not (key[0] == "." or key in PARTS or needs.site(name, key)):
                    yield "site", activations / name / key
        elif (match := _WORK.fullmatch(name)) and (name.endswith(REMOVED) or match[1] not in needs.sites):
            yield "unfinished", activations / name


def _is_model(folder: Path) -> bool:
    return (folder / "training.json").exists()


def _inside(folder: Path, folders: bool = False) -> list[str]:
    """Names of the files, or folders, in a folder that is no link; links among them are left out."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        if folders:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))


def _is_cut_short(name: str) -> bool:
    """Whether a writer that is dead left this."""
    match = _TEMPORARY.fullmatch(name)
    return match is not None and not is_alive(int(match[1]))


def _continues(snapshot: Path, store: Path, needs: Needs) -> bool:
    """Whether a cell that is needed and not finished has its training in a snapshot; one that is damaged has none."""
    try:
        with snapshot.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, snapshot.stat().st_size)))
        cells = json.loads(header["__metadata__"]["saespec"])["cells"]
        return any(cell in needs.cells and not stored_cell(store, cell).exists() for cell in cells)
    except (ValueError, LookupError, TypeError):
        return False


def _files(folder: Path) -> list[Path]:
    """Every file below a folder; a link is one, wherever it leads."""
    found = []
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        found += [Path(where, name) for name in (*names, *links)]
    return sorted(found)


def _size(path: Path) -> int:
    return _bytes(path) if path.suffix in (".safetensors", ".tmp") else sum(map(_bytes, _files(path)))


def _bytes(path: Path) -> int:
    stat = os.lstat(path)
    return stat.st_size // stat.st_nlink
