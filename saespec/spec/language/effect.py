"""What changes nothing: fields that a cell's numbers do not depend on, though a sweep sets them or the spec does."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from collections.abc import Sequence as SequenceType
from functools import reduce
from typing import Any, TypeAlias

from pydantic import BaseModel

from saespec.errors import Problem
from saespec.spec.base import Strict
from saespec.spec.spec import CellConfig

from .axes import CaseLabel, Setting
from .fields import flat, tag
from .messages import locate
from .yaml import Mapping

Unread: TypeAlias = dict[str, str]
"""Dotted path of a field or a section → what of the cell has no use for it, such as `sae.kind: ica`."""

_NEVER = object()
"""The default of a field that has to be given."""

_BESIDE = "take {why} out of the product and put it into sweep.beside, where it is one cell"


def unread(config: CellConfig) -> Unread:
    """What a cell's numbers do not depend on; nothing for most."""
    return _of(config, "")


def reason(path: str, gone: Unread) -> str:
    """Why a field, or all of a section, is not read; empty if it is."""
    if not gone:
        return ""
    return next((why for stem, why in gone.items() if path == stem or path.startswith(f"{stem}.")), "")


def _of(model: BaseModel, path: str) -> Unread:
    found: Unread = {}
    if isinstance(model, Strict) and model.unread:
        name = tag(type(model))
        found = dict.fromkeys(model.unread, f"{path}{name}: {getattr(model, name)}" if name else path[:-1])
    for field in type(model).model_fields:
        value = getattr(model, field)
        if isinstance(value, BaseModel):
            found |= _of(value, f"{path}{field}.")
    return found


class Watch:
    """Looks at the points of a sweep, one after the other, for what changes nothing."""

    def __init__(self) -> None:
        self._sections: dict[int, tuple[BaseModel, Unread]] = {}
        self._first: dict[Hashable, SequenceType[Setting]] = {}
        self._idle: dict[Hashable, tuple[Setting, str]] = {}
        self._read: set[Hashable] = set()
        self._equal: dict[tuple[Hashable, str], Problem] = {}
        self._never: Unread | None = None

    def add(self, config: CellConfig, settings: SequenceType[Setting], label: CaseLabel | None) -> None:
        """Look at one more point."""
        gone = self._unread(config)
        self._never = gone if self._never is None else {p: why for p, why in self._never.items() if p in gone}
        for setting in settings:
            if (axis := _axis(setting)) not in self._read:
                if why := reason(setting.path, gone):
                    self._idle.setdefault(axis, (setting, why))
                else:
                    self._read.add(axis)
        if gone:
            values = flat(config)
            counts = frozenset((path, value) for path, value in values.items() if not reason(path, gone))
            if counts in self._first:
                self._same(settings, self._first[counts], label, gone)
            self._first.setdefault(counts, settings)

    def _unread(self, config: CellConfig) -> Unread:
        """`unread`, by sections: many cells share them."""
        gone: Unread = {}
        for name in type(config).model_fields:
            section = getattr(config, name)
            if isinstance(section, BaseModel):
                if id(section) not in self._sections:
                    self._sections[id(section)] = section, _of(section, f"{name}.")
                gone = {**gone, **found} if (found := self._sections[id(section)][1]) else gone
        return gone

    def _same(
        self,
        settings: SequenceType[Setting],
        first: SequenceType[Setting],
        label: CaseLabel | None,
        gone: Unread,
    ) -> None:
        """Note that a point is another one but for what neither reads."""
        different = [s for s in settings if s not in first]
        idle = [s for s in different if reason(s.path, gone)]
        if not different:  # a case that only has a name, after one that sets such a field
            if label:
                why, mark = next(iter(gone.values())), label.mark
                text = f"gives the same cell as an earlier case but for what {why} does not read"
                problem = Problem(
                    mark.file, mark.line, mark.column, label.path, text, "remove one of the two"
                )
                self._equal.setdefault((label.path, why), problem)
            return
        blamed = (idle or different)[-1]
        why = reason(blamed.path, gone) or next(iter(gone.values()))
        kind, _, _ = why.partition(":")
        swept = any(s.part != "beside" and kind in (s.path, f"{s.path}.kind") for s in settings)
        hint = _BESIDE.format(why=why) if swept else "remove one of the values or cases"
        text = f"changes nothing in cells with {why}, so that two of them are the same"
        self._equal.setdefault((_axis(blamed), why), _at(blamed, text, hint))

    def problems(self) -> Iterator[Problem]:
        """What changes nothing: axes and settings that no cell reads, and those that make equal cells."""
        idle = {axis: found for axis, found in self._idle.items() if axis not in self._read}
        for setting, why in idle.values():
            yield _at(setting, f"changes nothing: {why} does not read it", "remove it")
        for (axis, _), problem in self._equal.items():
            if axis not in idle:
                yield problem

    def given_in_vain(self, base: CellConfig, tree: Mapping) -> Iterator[Problem]:
        """Fields with a default that the spec sets to something else, and that none of its cells reads."""
        for path, value in flat(base).items():
            why = reason(path, self._never or {})
            section = why.partition(":")[0].rpartition(".")[0]
            if not why or path.startswith(f"{section}."):  # a section's own field has another use
                continue
            keys = path.split(".")
            mark, _, whole = locate(tree, keys)
            if not whole and keys[-1] == "kind":  # written as one word
                mark, _, whole = locate(tree, keys[:-1])
            if whole and _default(base, keys) not in (value, _NEVER):
                text = f"changes nothing: {why} does not read it"
                yield Problem(mark.file, mark.line, mark.column, path, text, "remove it")


def _default(base: CellConfig, keys: list[str]) -> Any:
    """The value of a field that is not given: its own default, or what its section's default has; else `_NEVER`."""
    *outer, name = keys
    section = reduce(getattr, outer, base)
    info = type(section).model_fields[name]
    if not info.is_required():
        return info.get_default(call_default_factory=True)
    above = _default(base, outer) if len(outer) > 1 else None
    return getattr(above, name, _NEVER)


def _axis(setting: Setting) -> Hashable:
    """What is judged as a whole: an axis, or one setting of a case."""
    return (setting.part, setting.path) if setting.part in ("grid", "zip") else setting


def _at(setting: Setting, message: str, hint: str = "") -> Problem:
    mark = setting.mark
    return Problem(mark.file, mark.line, mark.column, setting.path, message, hint)
