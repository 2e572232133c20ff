"""From a sweep to its points: every cell's configuration, in a fixed order, or what is wrong with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingType
from collections.abc import Sequence as SequenceType
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

from pydantic import ValidationError

from saespec.errors import Problem, SpecError
from saespec.spec.numbers import number_text
from saespec.spec.spec import CellConfig, Spec

from .axes import CaseLabel, Factors, Setting, factors_of, takes_whole
from .effect import Watch
from .fields import SECTIONS, cell_fields, flat, ousted, place
from .messages import locate, sentences
from .yaml import Mapping, Mark

MAX_CELLS = 100_000


@dataclass(frozen=True)
class Point:
    """One point of a sweep."""

    config: CellConfig
    swept: dict[str, Any]
    """Dotted path → value of the fields that the sweep sets, in the sweep's order."""
    case: str | None = field(default=None, compare=False)
    """Name of the sweep's case, if its cases have names."""


def base_config(spec: Spec | CellConfig) -> dict[str, Any]:
    """What the spec says about every cell before the sweep, as JSON values, defaults left out.

    Defaults stay out so that a sweep over a section's kind does not carry the old kind's defaults along.
    """
    values = spec.model_dump(mode="json", include=set(SECTIONS), exclude_unset=True)
    return {name: values.get(name, getattr(spec, name)) for name in SECTIONS}


def apply(base: MappingType[str, Any], swept: MappingType[str, Any]) -> CellConfig:
    """The cell at one point: `base` (see `base_config`) with the swept fields set.

    Raises pydantic's ValidationError if that is no valid cell; `points` turns it into problems.
    """
    raw: Any = base
    for path, value in swept.items():
        raw = _without_ousted(raw, path, value)
    for path, value in swept.items():
        raw = _put(raw, _split(path), value)
    return CellConfig.model_validate(raw)


def applier(base: MappingType[str, Any]) -> Callable[[MappingType[str, Any]], CellConfig]:
    """`apply` for many points of one base: equal sections are checked once and shared by the cells."""
    known: dict[tuple[Any, ...], Any] = {}

    def at(swept: MappingType[str, Any]) -> CellConfig:
        keys: dict[str, tuple[Any, ...]] = {name: (name,) for name in SECTIONS}
        for path, value in swept.items():
            section = _split(path)[0]
            keys[section] = (*keys.get(section, ()), path, _token(value))
        if any(key not in known for key in keys.values()):
            config = apply(base, swept)
            for name, key in keys.items():
                known.setdefault(key, getattr(config, name))
        return CellConfig.model_validate({name: known[key] for name, key in keys.items()})

    return at


def _token(value: Any) -> Any:
    """What tells values apart, also 1 from 1.0 and from true."""
    return (type(value), value) if isinstance(value, str | int | float) else repr(value)


@cache
def _split(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


@cache
def _takes_whole(path: str) -> bool:
    return takes_whole(cell_fields()[path])


def _put(node: Any, parts: SequenceType[str], value: Any) -> dict[str, Any]:
    copy = dict(node) if isinstance(node, dict) else {}
    copy[parts[0]] = value if len(parts) == 1 else _put(copy.get(parts[0]), parts[1:], value)
    return copy


def _without_ousted(base: Any, path: str, value: Any) -> Any:
    """The base without the keys that do not go with a field set to a value."""
    *way, key = _split(path)
    gone = ousted(".".join(way), key, value) if way else set()
    return _removed(base, way, gone) if gone else base


def _removed(node: Any, way: SequenceType[str], gone: set[str]) -> Any:
    if not isinstance(node, dict):
        return node
    if not way:
        return {key: value for key, value in node.items() if key not in gone}
    return {**node, way[0]: _removed(node[way[0]], way[1:], gone)} if way[0] in node else node


def points(spec: Spec) -> tuple[Point, ...]:
    """Every point of a spec that was made in Python; raises SpecError."""
    tree = Mapping(Mark(spec.name, 1, 1))
    factors, problems = factors_of(spec.sweep, tree)
    if not problems:
        found, problems = expand(base_config(spec), factors, tree)
        if not problems:
            return found
    raise SpecError(problems)


def expand(
    base: MappingType[str, Any], factors: Factors, tree: Mapping
) -> tuple[tuple[Point, ...], list[Problem]]:
    """The product of all factors and what is beside it as cells, or what is wrong with them (at most 20 problems).

    `base` is a valid cell as `base_config` gives it.
    """
    if (count := factors.count()) > MAX_CELLS:
        mark = locate(tree, ("sweep",))[0]
        sizes = " × ".join(str(len(factor)) for factor in factors.product)
        sizes += f" + {len(factors.beside)}" if factors.beside else ""
        message = f"{sizes} = {count:,} cells; {MAX_CELLS:,} are the most"
        return (), [Problem(mark.file, mark.line, mark.column, "sweep", message)]
    whole = CellConfig.model_validate(base)
    known = flat(whole)
    watch = Watch()
    found: list[Point] = []
    first: dict[CellConfig, tuple[tuple[Setting, ...], CaseLabel | None]] = {}
    problems: dict[Problem, None] = {}
    cell_at = applier(base)
    for choice in factors.choices():
        settings = tuple(itertools.chain.from_iterable(part.settings for part in choice))
        label = choice[-1].label if choice else None  # cases are the last factor
        try:
            swept = _swept(settings, known)
            config = cell_at(swept)
        except _NoMultipleError as error:
            problems[error.problem] = None
        except ValidationError as error:
            problems.update(dict.fromkeys(_cell_problems(error, settings, swept)))
        else:
            if config in first:
                problems[_twice(settings, label, *first[config], swept)] = None
            else:
                watch.add(config, settings, label)
            first.setdefault(config, (settings, label))
            found.append(Point(config, swept, label.name if label else None))
        if len(problems) >= 20:
            break
    else:
        problems.update(dict.fromkeys(watch.problems()))
        problems.update(dict.fromkeys(watch.given_in_vain(whole, tree)))
    return tuple(found), list(problems)


class _NoMultipleError(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def _swept(settings: SequenceType[Setting], known: MappingType[str, Any]) -> dict[str, Any]:
    swept = {setting.path: setting.value for setting in settings}
    for setting in settings:
        if setting.of is None:
            continue
        of = _value_at(setting.of, swept, known)
        if isinstance(of, bool) or not isinstance(of, int | float):
            what = (
                "is a multiple of another field itself"
                if isinstance(of, Decimal)
                else "is not set in this cell"
            )
            raise _NoMultipleError(_at(setting, f"{setting.of} {what}", "use another field, or a list"))
        value = setting.value * Decimal(repr(of))
        if not _takes_whole(setting.path):
            swept[setting.path] = float(value)
        elif value != value.to_integral_value() or value < 1:
            message = f"{setting.value} × {of} is {value.normalize():f}; a positive whole number is needed"
            raise _NoMultipleError(_at(setting, message))
        else:
            swept[setting.path] = int(value)
    return swept


def _value_at(path: str, swept: MappingType[str, Any], known: MappingType[str, Any]) -> Any:
    for stem in swept:
        if path.startswith(f"{stem}."):  # a section is swept as a whole
            value = swept[stem]
            for part in _split(path[len(stem) + 1 :]):
                value = value.get(part) if isinstance(value, dict) else None
            return value
    return swept.get(path, known.get(path))


def _at(setting: Setting, message: str, hint: str = "") -> Problem:
    mark = setting.mark
    return Problem(mark.file, mark.line, mark.column, setting.path, message, hint)


def _cell_problems(
    error: ValidationError, settings: tuple[Setting, ...], swept: MappingType[str, Any]
) -> Iterator[Problem]:
    """Errors of a cell, each at the value of the sweep that most likely made it."""
    for detail in error.errors(include_url=False):
        for path, message, hint in sentences(detail, place(CellConfig, detail["loc"])):
            involved = _involved(path, settings)
            where = ", ".join(f"{s.path} = {_show(swept[s.path])}" for s in involved)
            last = involved[-1]
            dotted = ".".join(path)
            text = message if dotted == last.path else f"with {where}, {dotted} {message}"
            yield _at(last, text, hint)


def _involved(path: SequenceType[str], settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    for cut in range(len(path), -1, -1):
        stem = path[:cut]
        near = [
            s
            for s in settings
            if _split(s.path)[:cut] == stem or path[: s.path.count(".") + 1] == _split(s.path)
        ]
        if near:
            return tuple(near)
    return settings


def _twice(
    settings: tuple[Setting, ...],
    label: CaseLabel | None,
    first: tuple[Setting, ...],
    first_label: CaseLabel | None,
    swept: MappingType[str, Any],
) -> Problem:
    hint = "remove one of the values or cases"
    different = [s for s in settings if s not in first]
    if different:
        where = ", ".join(f"{path} = {_show(value)}" for path, value in swept.items())
        return _at(different[-1], f"the cell with {where} is there twice", hint)
    assert label
    assert first_label  # only a case that sets nothing differs from another point in no setting
    mark = label.mark
    message = f"gives the same cell as the case {first_label.name}"
    return Problem(mark.file, mark.line, mark.column, label.path, message, hint)


def _show(value: Any) -> str:
    return number_text(value) if isinstance(value, float) else str(value)
