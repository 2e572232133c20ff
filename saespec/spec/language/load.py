"""Loading a spec: read, extend, override, check; everything wrong is reported at once."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping as MappingType
from collections.abc import Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from saespec.errors import Problem, reason
from saespec.spec.spec import CellConfig, Spec, Sweep

from .axes import case_fields, factors_of
from .fields import SECTIONS, cell_fields, meets, place, tag
from .hints import did_you_mean
from .merge import SET, merge, override
from .messages import conflicts_despite, explain, explain_details, locate
from .problems import SpecFileError
from .sweep import Point, base_config, expand
from .yaml import MAX_CHARACTERS, Document, Mapping, Mark, Node, Scalar, parse, plain, position
from .yaml import Sequence as List

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Origin:
    """Where a value of a cell comes from."""

    file: str
    line: int
    column: int
    kind: Literal["file", "default", "override", "sweep"]

    def __str__(self) -> str:
        return "default" if self.kind == "default" else f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, repr=False)
class LoadedSpec:
    """A valid spec and where everything in it is written."""

    spec: Spec
    files: tuple[Path, ...]
    """The spec's own file first, then the files it extends, nearest first."""
    texts: dict[str, str]
    """Text by file name as positions give it; `--set` holds one override a line."""
    points: tuple[Point, ...]
    """The cells' configurations in the order of the sweep."""
    tree: Mapping = field(compare=False)
    """The merged YAML with positions, without `extends`."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def path(self) -> Path:
        """The spec's own file."""
        return self.files[0]

    def origin(self, path: str, swept: MappingType[str, Any] | None = None) -> Origin:
        """Which line set a field such as `train.steps`.

        With a cell's `swept` values, a field that the sweep sets points at the axis or the case.
        """
        if swept is not None:
            for setter in swept:
                if path == setter or path.startswith(f"{setter}.") or _other_form(path, setter):
                    return _origin(self._axis_mark(setter, swept), "sweep")
        parts = path.split(".")
        mark, _, whole = locate(self.tree, parts)
        if not whole and not self._is_shorthand(parts):
            for key in ("name", "module"):
                form = f"data.site.{key}"
                if _other_form(path, form) and locate(self.tree, form.split("."))[2]:
                    return self.origin(form)
            return Origin(self.file, 1, 1, "default")
        return _origin(mark, "override" if mark.file == SET else "file")

    @property
    def file(self) -> str:
        """The spec's own file as positions name it."""
        return next(iter(self.texts))

    def _is_shorthand(self, parts: list[str]) -> bool:
        """Whether `correlation: random` gives this `correlation.kind`."""
        _, node, whole = locate(self.tree, parts[:-1])
        names = {tag(owner) for owner in place(Spec, parts[:-1]).owners}
        return whole and isinstance(node, Scalar) and isinstance(node.value, str) and parts[-1] in names

    def _axis_mark(self, path: str, swept: MappingType[str, Any]) -> Mark:
        sweep = self.spec.sweep
        beside = [case_fields(case) for case in sweep.beside]
        if swept in beside:
            return locate(self.tree, ("sweep", "beside", beside.index(dict(swept)), path))[0]
        for part in ("grid", "zip"):
            mark, node, whole = locate(self.tree, ("sweep", part, path))
            if whole:
                values = node.items if isinstance(node, List) else []
                return next((v.mark for v in values if plain(v) == swept[path]), mark)
        by_case = {p: v for p, v in swept.items() if p not in sweep.grid and p not in sweep.zip}
        index = [case_fields(case) for case in sweep.cases].index(by_case)
        return locate(self.tree, ("sweep", "cases", index, path))[0]

    def __repr__(self) -> str:
        spec = self.spec
        parts: dict[str, Sized] = {"cells": self.points, "measures": spec.measure}
        parts |= {"figures": spec.figures, "claims": spec.claims}
        counts = ", ".join(_count(len(part), name) for name, part in parts.items())
        return f"<spec {spec.name}: {spec.title!r}, {counts}, {self.path}>"


def _other_form(path: str, setter: str) -> bool:
    """Whether a site's name or module gives a field of it: a cell has it in one form (`sites.one_form`)."""
    forms = ("data.site.name", "data.site.module")
    return setter in forms and path != setter and path in ("data.site.layer", "data.site.place", *forms)


def _count(number: int, names: str) -> str:
    return f"{number} {names.removesuffix('s') if number == 1 else names}"


def _origin(mark: Mark, kind: Literal["file", "override", "sweep"]) -> Origin:
    return Origin(mark.file, mark.line, mark.column, "override" if mark.file == SET else kind)


def load(path: Path | str, overrides: Sequence[str] = (), root: Path | None = None) -> LoadedSpec:
    """Read and check a spec, the files it extends, and its sweep.

    `overrides` are `train.steps=100` with YAML values. Positions name files relative to `root`, or as given.
    Raises SpecError with every problem found.
    """
    reader = _Reader(root)
    tree = reader.read(Path(path))
    problems = reader.problems
    if overrides:
        reader.texts[SET] = "\n".join(text.replace("\n", " ") for text in overrides)
    if tree is None:
        raise SpecFileError(problems, reader.texts)
    tree, found = override(tree, overrides)
    problems += found
    unread = {(p.file, p.line, p.column) for p in problems}  # dates, NaN: what follows from them is noise
    spec, cells, found = check(tree)
    found += _hidden_by_sweep(tree, list(reader.texts))
    problems += [p for p in found if (p.file, p.line, p.column) not in unread]
    if problems:
        raise SpecFileError(problems, reader.texts)
    assert spec is not None
    return LoadedSpec(spec, tuple(reader.files), reader.texts, cells, tree)


def check(tree: Mapping) -> tuple[Spec | None, tuple[Point, ...], list[Problem]]:
    """The spec and its points, or all that is wrong with them."""
    data = plain(tree)
    spec, problems = _validate(Spec, data, tree)
    if spec is not None:
        sweep: Sweep | None = spec.sweep
        base: dict[str, Any] | None = base_config(spec)
    else:  # what can still be said of the sweep and the cells
        known = _without_unknown_keys(data)
        sweep = _valid(Sweep, known.get("sweep", {}))
        cell = _valid(CellConfig, {"seed": 0, **{name: known[name] for name in SECTIONS if name in known}})
        base = base_config(cell) if cell else None
    if sweep is None:
        return None, (), problems
    factors, found = factors_of(sweep, tree)
    problems += found
    if found or base is None:
        return None, (), problems
    cells, found = expand(base, factors, tree)
    if spec and cells:
        found = [*found, *_choose_nothing(spec, cells, tree)]
    return spec, cells, problems + found


def _choose_nothing(spec: Spec, cells: tuple[Point, ...], tree: Mapping) -> list[Problem]:
    """Measures whose `where` names what is no field of a cell, or what no cell meets."""
    problems = []
    known = {path for path, fields in cell_fields().items() if fields[0].is_leaf}
    for i, measure in enumerate(spec.measure):
        where = getattr(measure, "where", {})
        mark = locate(tree, ("measure", i, measure.kind, "where"))[0]
        said = [
            (f"{path} is not a field of a cell", did_you_mean(path, known))
            for path in where
            if path not in known
        ]
        if where and not said and not any(meets(point.config, where) for point in cells):
            said = [("no cell has these values", "")]
        problems += [
            Problem(mark.file, mark.line, mark.column, f"measure.{i}.where", message, hint)
            for message, hint in said
        ]
    return problems


def _validate(model: type[M], data: Any, tree: Mapping) -> tuple[M | None, list[Problem]]:
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        details = conflicts_despite(error, data, model)
        return None, explain(error, tree, model) + explain_details(details, tree, model)


def _valid(model: type[M], data: Any) -> M | None:
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _without_unknown_keys(data: dict[str, Any]) -> dict[str, Any]:
    """The data less the keys that no model knows (they have been reported)."""
    try:
        Spec.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            if detail["type"] == "extra_forbidden":
                *way, last = place(Spec, detail["loc"]).path
                holder: Any = data
                for part in way:
                    holder = holder.get(part) if isinstance(holder, dict) else None
                if isinstance(holder, dict):
                    holder.pop(last, None)
    return data


def _hidden_by_sweep(tree: Mapping, order: list[str]) -> list[Problem]:
    """Values that a nearer file or `--set` gives and that an inherited sweep overrides in every cell."""
    rank = {file: i for i, file in enumerate([SET, *(name for name in order if name != SET)])}
    problems = []
    for part in ("grid", "zip"):
        _, axes, whole = locate(tree, ("sweep", part))
        if not whole or not isinstance(axes, Mapping):
            continue
        for path, axis in axes.marks.items():
            mark, node, whole = locate(tree, path.split("."))
            if whole and not isinstance(node, Mapping) and rank[mark.file] < rank[axis.file]:
                message = f"sweep.{part} sets this field in every cell, so this value has no effect"
                hint = f"change the axis sweep.{part}.{path}, or remove it with null"
                problems.append(Problem(mark.file, mark.line, mark.column, path, message, hint))
    return problems


_NO_BASE = ("must be the path of a spec file, or a list of some", "such as extends: ../toy_mmcs.yaml")


class _Reader:
    """Reads a spec file and the files it extends."""

    def __init__(self, root: Path | None) -> None:
        self.root = root.resolve() if root else None
        self.files: list[Path] = []
        self.texts: dict[str, str] = {}
        self.problems: list[Problem] = []

    def read(
        self, path: Path, called_from: Problem | None = None, above: Sequence[Path] = ()
    ) -> Mapping | None:
        document = self._document(path, called_from, above)
        if document is None:
            return None
        self.problems += document.problems
        tree = document.root
        if tree is None:
            return None
        node, mark = tree.items.pop("extends", None), tree.marks.pop("extends", None)
        if node is None or mark is None:
            return tree
        base: Mapping | None = None
        for one in node.items if isinstance(node, List) else [node]:
            found = self._base(one, path, above)
            if found is None:
                return None
            base = found if base is None else merge(base, found, self.problems)
        if base is None:
            self._complain(Problem(mark.file, mark.line, mark.column, "extends", ""), *_NO_BASE)
            return None
        self._own_name(tree, base, mark)
        return merge(base, tree, self.problems)

    def _base(self, node: Node, path: Path, above: Sequence[Path]) -> Mapping | None:
        where = Problem(node.mark.file, node.mark.line, node.mark.column, "extends", "")
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or not node.value.strip():
            self._complain(where, *_NO_BASE)
            return None
        if os.path.isabs(node.value):
            self._complain(where, "must be a path relative to this file", "such as ../toy_mmcs.yaml")
            return None
        return self.read(Path(os.path.normpath(path.parent / node.value)), where, [*above, path.resolve()])

    def _own_name(self, tree: Mapping, base: Mapping, extends: Mark) -> None:
        """Two specs of one name would write to the same folder."""
        own, theirs = tree.items.get("name"), base.items.get("name")
        if own is None:
            where = Problem(extends.file, extends.line, extends.column, "name", "")
            self._complain(where, "is missing", "a spec that extends another has a name of its own")
        elif isinstance(own, Scalar) and isinstance(theirs, Scalar) and own.value == theirs.value:
            where = Problem(own.mark.file, own.mark.line, own.mark.column, "name", "")
            self._complain(where, f"{own.value} is the name of the spec it extends", "give it its own name")

    def _complain(self, where: Problem, message: str, hint: str = "") -> None:
        self.problems.append(Problem(where.file, where.line, where.column, where.path, message, hint))

    def _document(self, path: Path, called_from: Problem | None, above: Sequence[Path]) -> Document | None:
        shown = self._shown(path)
        where = called_from or Problem(shown, 1, 1, "", "")
        try:
            full = path.resolve()
            if full in above:
                self._complain(
                    where, f"{shown} extends itself in a circle", "a base must not extend its extension"
                )
                return None
            if not full.exists():
                self._complain(where, f"there is no file {shown}", _similar(path))
                return None
            if not full.is_file():
                what = "a folder" if full.is_dir() else "no regular file"
                self._complain(where, f"{shown} is {what}", "name a .yaml file")
                return None
            if full.stat().st_size > 4 * MAX_CHARACTERS:
                self._complain(where, f"{shown} is too large for a spec")
                return None
            data = full.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:  # no permission, NUL in the name, link loop
            self._complain(where, f"cannot read {shown}: {reason(error)}")
            return None
        if full not in self.files:  # two bases may have one in common
            self.files.append(full)
        return self._parsed(data, shown)

    def _parsed(self, data: bytes, shown: str) -> Document | None:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            text = data.decode(errors="replace")
            line, column = position(data[: error.start].decode().removeprefix("\ufeff"), error.start)
            self.texts[shown] = text.removeprefix("\ufeff")
            message = f"byte 0x{data[error.start]:02X} is not UTF-8 text"
            self.problems.append(Problem(shown, line, column, "", message, "save the file as UTF-8"))
            return None
        self.texts[shown] = text.removeprefix("\ufeff")
        return parse(text, shown)

    def _shown(self, path: Path) -> str:
        if self.root is not None:
            full = path.absolute()
            if full.is_relative_to(self.root):
                return full.relative_to(self.root).as_posix()
        return path.as_posix()


def _similar(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {(path.parent / close[0]).as_posix()}?" if close else ""
