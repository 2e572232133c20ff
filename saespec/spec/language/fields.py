"""The fields of a spec by dotted path, read off the models: one walk for columns, sweeps and hints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from saespec.spec.base import Strict
from saespec.spec.columns import Added, Column, ColumnType, Stored
from saespec.spec.spec import CellConfig, Spec

Model = type[BaseModel]

SECTIONS = tuple(CellConfig.model_fields)
"""The parts of a spec that cells are made of: data, sae, loss, train, seed."""


@dataclass(frozen=True)
class Field:
    """One field of one model; members of a union may share a path."""

    path: str
    owner: Model
    info: FieldInfo

    @property
    def is_leaf(self) -> bool:
        return not models(self.info.annotation)


def models(annotation: Any) -> tuple[Model, ...]:
    """The models that a value of this annotation may be: one, the members of a union, or none."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return models(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(model for member in get_args(annotation) for model in models(member))
    return (annotation,) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else ()


def key(name: str, info: FieldInfo) -> str:
    """How the field is written in YAML."""
    return info.alias or name


def keys(owners: Sequence[Model]) -> tuple[str, ...]:
    """The keys that at least one of the models knows, in order of declaration."""
    return tuple(dict.fromkeys(key(n, f) for owner in owners for n, f in owner.model_fields.items()))


def walk(model: Model, prefix: str = "") -> Iterator[Field]:
    """Every field below a model, sections before what is in them; lists and mappings are not entered."""
    for name, info in model.model_fields.items():
        path = f"{prefix}{key(name, info)}"
        yield Field(path, model, info)
        for member in models(info.annotation):
            yield from walk(member, f"{path}.")


@cache
def cell_fields() -> dict[str, tuple[Field, ...]]:
    """Path → the fields of a cell with that path: all that a sweep may set."""
    found: dict[str, list[Field]] = {}
    for field in walk(CellConfig):
        found.setdefault(field.path, []).append(field)
    return {path: tuple(fields) for path, fields in found.items()}


def ousted(path: str, key: str, value: Any) -> set[str]:
    """Keys of the section at a path that do not go with one of its keys set to a value (see `Strict.ousted`)."""
    if value is None:
        return set()
    owners = place(Spec, path.split(".")).owners
    known = [o for o in owners if issubclass(o, Strict) and key in o.model_fields]
    return {other for owner in known for other in owner.ousted(key, value)}


def literals(annotation: Any) -> tuple[Any, ...]:
    """The values of a `Literal`, which may be optional, or nothing."""
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return literals(members[0]) if len(members) == 1 else ()
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def tag(model: Model) -> str | None:
    """The key that tells members of a union apart: `kind`, `rule`, or None."""
    for name in ("kind", "rule"):
        if name in model.model_fields and literals(model.model_fields[name].annotation):
            return name
    return None


@dataclass(frozen=True)
class Place:
    """Where a pydantic location leads."""

    owners: tuple[Model, ...]
    """The models there; none at a leaf."""
    info: FieldInfo | None
    """The last field on the way."""
    path: tuple[str, ...]
    """Keys and indices on the way, without the union tags that pydantic adds."""
    is_field: bool = False
    """Whether it is the last field itself, not an item in it."""


def place(model: Model, loc: Sequence[str | int]) -> Place:
    """Follow a pydantic location, which names union members by their tag besides fields by their key."""
    here: Any = model
    last: FieldInfo | None = None
    is_field = False
    path: list[str] = []
    for part in loc:
        owners = models(here)
        named = [f for owner in owners for n, f in owner.model_fields.items() if part in (key(n, f), n)]
        tagged = [m for m in owners if (t := tag(m)) and part in literals(m.model_fields[t].annotation)]
        if tagged and len(owners) > 1:
            here = tagged[0]
        elif named:
            last, here, is_field = named[0], named[0].annotation, True
            path.append(str(part))
        elif get_origin(here) in (list, dict):
            here, is_field = get_args(here)[-1], False
            path.append(str(part))
        elif len(owners) < 2 or part not in ("list", "range", "ratio"):  # forms of an axis
            is_field = False
            path.append(str(part))
    return Place(models(here), last, tuple(path), is_field)


@cache
def holder(field: Field) -> Model:
    """A model with this one field, `value`: checks a single value as the field itself would."""
    annotated: Any = Annotated[field.info.annotation, field.info]
    return create_model("Holder", __base__=Strict, value=(annotated, ...))


def _column_type(annotation: Any) -> ColumnType:
    if values := literals(annotation):
        (kind,) = {type(value) for value in values}
    else:
        optional = get_origin(annotation) in (Union, UnionType)
        (kind,) = {m for m in get_args(annotation) if m is not NoneType} if optional else {annotation}
    types: dict[Any, ColumnType] = {bool: "bool", int: "int64", float: "float64", str: "string"}
    types[tuple[str, ...]] = "string"  # joined
    return types[kind]


def _stored(info: FieldInfo) -> Stored | None:
    return next((mark for mark in info.metadata if isinstance(mark, Stored)), None)


Scope = frozenset[tuple[str, str]]
"""What cells may have: a section with a kind, `("sae", "pca")`, and `("set", path)` for fields gained later."""

_OF_KINDS = ("data", "sae")
"""The sections that are unions."""


@cache
def stored_fields(within: Scope | None = None) -> tuple[tuple[str, Column], ...]:
    """Dotted path and `cells` column of every stored field of a cell, members of unions included.

    `within`: only those of sections of these kinds, and of fields that the language gained later those that are
    set: so tables of specs that do not mention them stay as they are.
    """
    found: list[tuple[str, Column]] = []
    for path, every in cell_fields().items():
        fields = [field for field in every if within is None or _belongs(field, within)]
        marks = {mark for f in fields if (mark := _stored(f.info))}
        if not marks:
            continue
        assert len(marks) == 1, f"{path} is stored in two ways: {marks}"
        (mark,) = marks
        (kind,) = {_column_type(f.info.annotation) for f in fields}
        text = " ".join(dict.fromkeys(f.info.description or "" for f in fields))
        found.append((path, Column(mark.column, kind, mark.unit, text)))
    assert len({column.name for _, column in found}) == len(found), "two fields share a column"
    return tuple(found)


def _belongs(field: Field, within: Scope) -> bool:
    section = field.path.split(".")[0]
    if _is_added(field) and ("set", field.path) not in within:
        return False
    if section not in _OF_KINDS or field.path == section:
        return True
    return any((field.path, field.owner) in _fields_of(*pair) for pair in within if pair[0] == section)


def _is_added(field: Field) -> bool:
    return any(isinstance(mark, Added) for mark in field.info.metadata)


@cache
def _fields_of(section: str, kind: str) -> frozenset[tuple[str, Model]]:
    members = models(CellConfig.model_fields[section].annotation)
    (member,) = (m for m in members if kind in literals(m.model_fields["kind"].annotation))
    return frozenset((field.path, field.owner) for field in walk(member, f"{section}."))


def scope(spec: Spec) -> Scope:
    """What the spec's cells may have, its sweep considered; all that there is for a spec with errors."""
    if not all(hasattr(spec, section) for section in SECTIONS):
        return _everything()
    axes = [*spec.sweep.grid.items(), *spec.sweep.zip.items()]
    settings = [(path, v) for path, axis in axes for v in (axis if isinstance(axis, list) else [None])]
    settings += [item for case in (*spec.sweep.cases, *spec.sweep.beside) for item in case.items()]
    found = {(section, getattr(spec, section).kind) for section in _OF_KINDS}
    for path, value in settings:
        section, _, rest = path.partition(".")
        if section in _OF_KINDS and (rest == "kind" or (isinstance(value, dict) and not rest)):
            found.add((section, str(value["kind"] if isinstance(value, dict) else value)))
    return frozenset(found | {("set", path) for path in _added() if _is_set(path, spec, settings)})


@cache
def _added() -> tuple[str, ...]:
    return tuple(path for path, fields in cell_fields().items() if any(map(_is_added, fields)))


def _is_set(path: str, spec: Spec, settings: list[tuple[str, Any]]) -> bool:
    """Whether a field has another value than its default anywhere in the spec, or is swept."""
    value: Any = spec
    for part in path.split("."):
        value = getattr(value, part, None)
    own = [
        f.info.get_default(call_default_factory=True) for f in cell_fields()[path] if not f.info.is_required()
    ]
    if value is not None and value not in (_default(path), *own):
        return True
    return any(_reaches(path, setter, inner) for setter, inner in settings)


@cache
def _default(path: str) -> Any:
    """The value that a field has where nobody sets it, nor a section on the way to it; None if there is none."""
    owners: tuple[Model, ...] = (CellConfig,)
    value: Any = None
    for part in path.split("."):
        if isinstance(value, BaseModel):  # inside of a section that has a default as a whole
            value = getattr(value, part, None)
            continue
        infos = [owner.model_fields[part] for owner in owners if part in owner.model_fields]
        given = [info.get_default(call_default_factory=True) for info in infos if not info.is_required()]
        value = given[0] if given else None
        owners = tuple(model for info in infos for model in models(info.annotation))
    return value


def _reaches(path: str, setter: str, value: Any) -> bool:
    """Whether setting a field or a section to a value sets what lies at the path."""
    if path == setter:
        return True
    if not path.startswith(f"{setter}."):
        return False
    for part in path[len(setter) + 1 :].split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def _everything() -> Scope:
    members = [(s, m) for s in _OF_KINDS for m in models(CellConfig.model_fields[s].annotation)]
    kinds = {(s, k) for s, m in members for k in literals(m.model_fields["kind"].annotation)}
    return frozenset(kinds | {("set", path) for path in _added()})


@cache
def _columns_of(model: Model) -> tuple[tuple[str, str | None], ...]:
    marks = {name: _stored(info) for name, info in model.model_fields.items()}
    return tuple((name, mark.column if mark else None) for name, mark in marks.items())


def _fill(model: BaseModel, into: dict[str, Any]) -> None:
    for name, column in _columns_of(type(model)):
        value = getattr(model, name)
        if column:
            into[column] = " ".join(value) if isinstance(value, tuple) else value
        elif isinstance(value, BaseModel):
            _fill(value, into)


def row(config: CellConfig) -> dict[str, Any]:
    """The stored fields of one cell by column name; None where its union member lacks the field."""
    values: dict[str, Any] = {column.name: None for _, column in stored_fields()}
    _fill(config, values)
    return values


def flat(config: CellConfig) -> dict[str, Any]:
    """Dotted path → value of every leaf of one cell."""
    found: dict[str, Any] = {}

    def visit(model: BaseModel, prefix: str) -> None:
        for name, info in type(model).model_fields.items():
            value = getattr(model, name)
            path = f"{prefix}{key(name, info)}"
            if isinstance(value, BaseModel):
                visit(value, f"{path}.")
            else:
                found[path] = value

    visit(config, "")
    return found


def meets(config: CellConfig, where: Mapping[str, Any]) -> bool:
    """Whether a cell has these values, by dotted path; 1 and 1.0 are the same, 1 and true are not."""
    values = flat(config)

    def same(path: str, wanted: Any) -> bool:
        value = values.get(path)
        return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)

    return all(same(path, wanted) for path, wanted in where.items())
