"""The axes of a sweep: what each one sets and to which values, or what is wrong with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from collections.abc import Mapping as MappingType
from collections.abc import Sequence as SequenceType
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from saespec.errors import Problem
from saespec.spec.numbers import number_text
from saespec.spec.spec import Case, Range, Ratio, Spec, Sweep

from .fields import SECTIONS, Field, cell_fields, holder, literals, place
from .hints import field_hint, takes
from .messages import locate, sentences
from .yaml import Mapping, Mark, Scalar, Sequence

MAX_VALUES = 10_000
EXACT = 2**53
"""Below, floating-point numbers tell whole numbers apart."""
_TOO_LARGE = f"must be less than 2^53 ({EXACT}): beyond, numbers are not exact here"

Path: TypeAlias = tuple[str, ...]
"""Keys from the top of the spec; an axis name is one key."""


@dataclass(frozen=True, eq=False)
class Setting:
    """One value for one field, and where it is written."""

    path: str
    value: Any
    """The value, or the Decimal multiple that it is of another field."""
    mark: Mark
    part: str
    """grid | zip | cases | beside."""
    of: str | None = None


@dataclass(frozen=True, eq=False)
class CaseLabel:
    """The name of a case, which sets nothing, and where the case is written."""

    name: str
    path: str
    mark: Mark


@dataclass(frozen=True, eq=False)
class Choice:
    """Settings that go together: of one field or several, or of none in a case with only a name."""

    settings: tuple[Setting, ...]
    label: CaseLabel | None = None


Factor: TypeAlias = list[Choice]
"""Alternatives; cells are the product of all factors."""


@dataclass(frozen=True)
class Factors:
    """What a sweep consists of."""

    product: list[Factor]
    beside: Factor
    """Cells that are not part of the product."""

    def choices(self) -> Iterator[tuple[Choice, ...]]:
        """What makes each cell, in order."""
        yield from itertools.product(*self.product)
        for choice in self.beside:
            yield (choice,)

    def count(self) -> int:
        """How many cells there are."""
        return math.prod(len(factor) for factor in self.product) + len(self.beside)


def values_of(axis: Range) -> list[float]:
    """`per_decade` values a factor of ten, both ends exact, the rest rounded to 6 significant digits."""
    intervals = round(math.log10(axis.to / axis.from_) * axis.per_decade)
    between = (axis.from_ * (axis.to / axis.from_) ** (i / intervals) for i in range(1, intervals))
    return [axis.from_, *(float(f"{value:.6g}") for value in between), axis.to]


class _Check:
    """Collects what is wrong with a sweep's axes, and the factors of those that are right."""

    def __init__(self, tree: Mapping) -> None:
        self.tree = tree
        self.problems: list[Problem] = []

    def complain(self, at: SequenceType[str], message: str, hint: str = "", mark: Mark | None = None) -> None:
        if mark is None:
            mark, node, whole = locate(self.tree, at)
            mark = node.mark if whole and isinstance(node, Scalar) else mark
        self.problems.append(Problem(mark.file, mark.line, mark.column, ".".join(at), message, hint))

    def mark(self, at: SequenceType[str]) -> Mark:
        mark, node, whole = locate(self.tree, at)
        return node.mark if whole and not isinstance(node, Mapping) else mark

    def value_mark(self, at: SequenceType[str], index: int) -> Mark:
        mark, node, whole = locate(self.tree, at)
        if whole and isinstance(node, Sequence) and index < len(node.items):
            return node.items[index].mark
        return mark

    def name(self, at: SequenceType[str], path: str) -> tuple[Field, ...]:
        """The fields that an axis names; complains if there is none."""
        if fields := cell_fields().get(path):
            return fields
        mark = locate(self.tree, at)[0]
        if path.split(".")[0] in Spec.model_fields and path.split(".")[0] not in SECTIONS:
            self.complain(at, "cannot be swept", f"only fields of {', '.join(SECTIONS)}", mark)
            return ()
        self.complain(at, "is no field of a cell", field_hint(path, self.tree), mark)
        return ()

    def value(self, at: SequenceType[str], fields: SequenceType[Field], value: Any, mark: Mark) -> bool:
        """Whether one of the fields with that path takes the value; complains if none does."""
        worst: list[tuple[tuple[str, ...], str, str]] | None = None
        for field in fields:
            try:
                holder(field)(value=value)
            except ValidationError as error:
                found = [
                    said
                    for detail in error.errors(include_url=False)
                    for said in self.sentences(at, detail, field)
                ]
                if worst is None or len(found) < len(worst):
                    worst = found
            else:
                return True
        for inner, message, hint in worst or ():
            self.complain((*at, *inner[1:]), message, hint, mark)
        return False

    def sentences(
        self, at: SequenceType[str], detail: ErrorDetails, field: Field
    ) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """What is wrong with a value of a field: paths begin with `value`."""
        where = place(holder(field), detail["loc"])
        node = locate(self.tree, at)[1]
        standing = Mapping(node.mark, {"value": node}, {"value": node.mark})
        yield from sentences(detail, where, standing)

    def axis(self, part: str, path: str, axis: Any) -> list[Setting]:
        at = ("sweep", part, path)
        fields = self.name(at, path)
        if isinstance(axis, Ratio):
            return self.ratio(at, fields, axis)
        if isinstance(axis, Range):
            return self.range(at, fields, axis)
        if len(axis) > MAX_VALUES:
            self.complain(at, f"has {len(axis):,} values; {MAX_VALUES:,} are the most")
            return []
        settings = [Setting(path, value, self.value_mark(at, i), part) for i, value in enumerate(axis)]
        seen: dict[str, Any] = {}
        for i, setting in enumerate(settings):
            if fields and not self.value((*at, str(i)), fields, setting.value, setting.mark):
                continue
            token = repr(_as_taken(setting.value, fields))
            if token in seen and part == "grid":  # paired values may come again, their pairs may not
                same = seen[token] == setting.value
                text = f"{setting.value!r} is {'in the list twice' if same else f'{seen[token]!r} here'}"
                self.complain((*at, str(i)), text, "remove one", setting.mark)
            seen[token] = setting.value
        return settings

    def range(self, at: SequenceType[str], fields: SequenceType[Field], axis: Range) -> list[Setting]:
        mark = locate(self.tree, at)[0]
        if axis.to <= axis.from_:
            message = f"to ({number_text(axis.to)}) must be larger than from ({number_text(axis.from_)})"
            self.complain((*at, "to"), message)
            return []
        if takes_whole(fields) and axis.to >= EXACT:
            self.complain((*at, "to"), _TOO_LARGE, "write a list")
            return []
        steps = math.log10(axis.to / axis.from_) * axis.per_decade
        if steps > MAX_VALUES:
            self.complain((*at, "per_decade"), f"makes {steps:,.0f} values; {MAX_VALUES:,} are the most")
            return []
        if round(steps) < 1 or abs(steps - round(steps)) > 0.02:
            decades = [k / axis.per_decade for k in (math.floor(steps), math.ceil(steps))]
            reached = [axis.from_ * 10**d for d in decades if d > 0 and d + math.log10(axis.from_) < 308]
            reached = [to for to in reached if self.whole_range(fields, axis.from_, to, axis.per_decade)]
            hint = f"write to: {' or '.join(f'{value:.6g}' for value in reached)}" if reached else ""
            ends = f"from {number_text(axis.from_)} do not meet {number_text(axis.to)}"
            message = f"{axis.per_decade:g} values per decade {ends}"
            self.complain((*at, "to"), message, hint)
            return []
        settings = []
        for value in values_of(axis):
            whole = int(value) if value.is_integer() and takes_whole(fields) else value
            if fields and not self.value(at, fields, whole, mark):
                break
            settings.append(Setting(at[2], whole, mark, at[1]))
        return settings

    def whole_range(self, fields: SequenceType[Field], start: float, to: float, per_decade: float) -> bool:
        """Whether one of the fields takes every value of a range up to `to` as a hint shows it."""
        values = values_of(
            Range.model_validate({"from": start, "to": float(f"{to:.6g}"), "per_decade": per_decade})
        )
        shown = [int(v) if v.is_integer() and takes_whole(fields) else v for v in values]
        return not fields or any(all(takes(field.info, value) for value in shown) for field in fields)

    def ratio(self, at: SequenceType[str], fields: SequenceType[Field], axis: Ratio) -> list[Setting]:
        of = cell_fields().get(axis.of, ())
        if not of:
            numbers = [path for path, some in cell_fields().items() if _is_number(some) and path != at[2]]
            hint = field_hint(axis.of, self.tree, numbers)
            self.complain((*at, "of"), f"{axis.of} is no field of a cell", hint)
        elif not _is_number(of):
            self.complain((*at, "of"), f"{axis.of} is not a number")
        elif axis.of == at[2]:
            self.complain((*at, "of"), "a field cannot be a multiple of itself")
        if fields and not _is_number(fields):
            self.complain(at, f"{at[2]} is not a number, so it cannot be a multiple of {axis.of}")
        settings: list[Setting] = []
        for i, ratio in enumerate(axis.ratios):
            mark = self.value_mark((*at, "ratios"), i)
            if ratio <= 0:
                self.complain((*at, "ratios", str(i)), f"must be more than 0, not {ratio:g}", "", mark)
            elif ratio >= EXACT:
                self.complain((*at, "ratios", str(i)), _TOO_LARGE, "write a list", mark)
            if ratio in axis.ratios[:i]:
                text = f"{number_text(ratio)} is in the list twice"
                self.complain((*at, "ratios", str(i)), text, "remove one", mark)
            settings.append(Setting(at[2], Decimal(repr(ratio)), mark, at[1], axis.of))
        return settings


def _as_taken(value: Any, fields: SequenceType[Field]) -> Any:
    """2 and 2.0 are the same value of a sweep; whole numbers beyond 2^53 are, where a field takes floats only."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if takes_whole(fields):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    return float(value)


def _types(fields: SequenceType[Field]) -> set[Any]:
    return {t for f in fields for t in (get_args(f.info.annotation) or (f.info.annotation,))}


def _is_number(fields: SequenceType[Field]) -> bool:
    return all(not literals(f.info.annotation) for f in fields) and bool(_types(fields) & {int, float})


def takes_whole(fields: SequenceType[Field]) -> bool:
    return int in _types(fields) and _is_number(fields)


def factors_of(sweep: Sweep, tree: Mapping) -> tuple[Factors, list[Problem]]:
    """The factors of a sweep, first axis first, and what is wrong with its axes and values."""
    check = _Check(tree)
    factors: list[Factor] = []
    for path, axis in sweep.grid.items():
        factors.append([Choice((setting,)) for setting in check.axis("grid", path, axis)])
    paired = {path: check.axis("zip", path, axis) for path, axis in sweep.zip.items()}
    lengths = {path: len(settings) for path, settings in paired.items() if settings}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{path} has {n}" for path, n in lengths.items())
        check.complain(
            ("sweep", "zip"), f"axes of unequal length: {counts}", "paired axes need as many values"
        )
    elif lengths:
        pairs = zip(*paired.values(), strict=True) if len(lengths) == len(paired) else ()
        factors.append([Choice(settings) for settings in pairs])
    if sweep.cases:
        factors.append(_cases(check, "cases", sweep.cases))
    beside = _cases(check, "beside", sweep.beside)
    _empty(check, tree)
    _overlaps(check, sweep)
    return Factors(factors, beside), check.problems


def case_fields(case: MappingType[str, Any]) -> dict[str, Any]:
    """What an item of `cases` or `beside` sets: all but its name."""
    return {path: value for path, value in case.items() if path not in Case.model_fields}


def _cases(check: _Check, part: str, cases: SequenceType[dict[str, Any]]) -> Factor:
    made = [_case(check, ("sweep", part, str(i)), case) for i, case in enumerate(cases)]
    _case_names(check, part, cases)
    return made


def _case(check: _Check, at: Path, case: dict[str, Any]) -> Choice:
    if not case:
        check.complain(at, "sets nothing", "give it a field, or remove it")
    settings = []
    for path, value in case_fields(case).items():
        here = (*at, path)
        mark = check.mark(here)
        if fields := check.name(here, path):
            check.value(here, fields, value, mark)
        settings.append(Setting(path, value, mark, at[1]))
    label = CaseLabel(case["name"], ".".join(at), locate(check.tree, at)[0]) if "name" in case else None
    return Choice(tuple(settings), label)


def _case_names(check: _Check, part: str, cases: SequenceType[dict[str, Any]]) -> None:
    """All cases have a name or none has; each is one line and another."""
    field = Field("name", Case, Case.model_fields["name"])
    named = any("name" in case for case in cases)
    first: dict[str, int] = {}
    for i, case in enumerate(cases):
        at = ("sweep", part, str(i))
        if "name" in case:
            name, here = case["name"], (*at, "name")
            mark = check.mark(here)
            if check.value(here, (field,), name, mark) and first.setdefault(name, i) != i:
                message = f"{name} is the name of sweep.{part}.{first[name]} too"
                check.complain(here, message, "give it another", mark)
        elif named and case:
            check.complain(at, "has no name, and other cases have one", "name all cases or none")


def _empty(check: _Check, tree: Mapping) -> None:
    for at in (("sweep",), ("sweep", "grid"), ("sweep", "zip"), ("sweep", "cases"), ("sweep", "beside")):
        _, node, whole = locate(tree, at)
        if whole and isinstance(node, Mapping | Sequence) and not node.items:
            check.complain(at, "is empty", "give it a value, or remove it")


def _overlaps(check: _Check, sweep: Sweep) -> None:
    """A field set from two sides, or a field inside a section that is itself set."""
    axes: list[tuple[Path, str]] = [(("sweep", "grid", path), path) for path in sweep.grid]
    axes += [(("sweep", "zip", path), path) for path in sweep.zip]
    for i, (at, path) in enumerate(axes):
        _clashes(check, at, path, axes[:i])
    for part, cases, others in (("cases", sweep.cases, axes), ("beside", sweep.beside, [])):
        for i, case in enumerate(cases):
            here: list[tuple[Path, str]] = [
                (("sweep", part, str(i), path), path) for path in case_fields(case)
            ]
            for j, (inner, path) in enumerate(here):
                _clashes(check, inner, path, others + here[:j])


def _clashes(check: _Check, at: Path, path: str, others: list[tuple[Path, str]]) -> None:
    for other, earlier in others:
        if path == earlier:
            message = f"is also set by sweep.{other[1]}"
        elif path.startswith(f"{earlier}."):
            message = f"is inside {earlier}, which the sweep sets too"
        elif earlier.startswith(f"{path}."):
            message = f"holds {earlier}, which the sweep sets too"
        else:
            continue
        check.complain(at, message, "set it in one place", locate(check.tree, at)[0])
