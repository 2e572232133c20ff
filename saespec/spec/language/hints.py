"""What to do about a mistake: what a hint proposes is valid there, and in the words that were written."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as SequenceType
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from saespec.spec.base import Strict
from saespec.spec.spec import Spec

from .fields import Field, Model, Place, cell_fields, holder, key, literals, models, tag
from .yaml import Mapping, Node, Scalar, parse_value, plain

_NOTHING = object()


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean latents?`, or the possibilities when they are few, or nothing."""
    options = list(dict.fromkeys(known))
    if close := _closest(word, options):
        return f"did you mean {close}?"
    return f"known: {', '.join(options)}" if 0 < len(options) <= 12 else ""


def _closest(word: str, options: SequenceType[str]) -> str:
    close = difflib.get_close_matches(word.lower(), [option.lower() for option in options], n=1)
    return next(option for option in options if option.lower() == close[0]) if close else ""


def key_hint(path: SequenceType[str], value: Any, owners: SequenceType[Model], tree: Mapping | None) -> str:
    """What somebody may have meant by a key that is not known here: a field elsewhere, or one of these."""
    word = path[-1]
    known = [key(n, f) for owner in owners for n, f in owner.model_fields.items()]
    dotted = ".".join(path)
    inside_an_axis = path[0] == "sweep" and len(path) > 3
    if tree is not None and not inside_an_axis and (meant := elsewhere(word, tree, (dotted,), value)):
        return meant
    hint = did_you_mean(word, known)
    if "did you mean" in hint:
        return hint
    return _other_kinds(path, owners) or hint


def _other_kinds(path: SequenceType[str], owners: SequenceType[Model]) -> str:
    """`goes with kind: files`, for a key that another member of the section's union has."""
    members = [
        m for field in cell_fields().get(".".join(path[:-1]), ()) for m in models(field.info.annotation)
    ]
    having = [
        m for m in members if m not in owners and path[-1] in (key(n, f) for n, f in m.model_fields.items())
    ]
    kinds = [
        f"{name}: {k}" for m in having if (name := tag(m)) for k in literals(m.model_fields[name].annotation)
    ]
    return f"goes with {' or '.join(kinds)}" if kinds else ""


def elsewhere(word: str, tree: Mapping, but: SequenceType[str] = (), value: Any = _NOTHING) -> str:
    """A field of that name in another place that the spec has, which takes the value if one does."""
    paths = [path for path in cell_fields() if path.rpartition(".")[2] == word and path not in but]
    paths = sorted((path for path in paths if reachable(path, tree)), key=lambda path: path.count("."))
    if value is not _NOTHING:
        taking = [p for p in paths if any(takes(f.info, value) for f in cell_fields()[p])]
        paths = taking or ([] if isinstance(value, dict | list) else paths)
    return f"did you mean {' or '.join(paths)}?" if 0 < len(paths) <= 3 else ""


def field_hint(path: str, tree: Mapping, options: Iterable[str] | None = None) -> str:
    """The field of a cell that somebody may have meant by a dotted path; of some cell, if the spec's own has none."""
    every = list(cell_fields() if options is None else options)
    own = [option for option in every if reachable(option, tree)]
    if (leaf := elsewhere(path.rpartition(".")[2], tree, [p for p in cell_fields() if p not in own])) and own:
        return leaf
    close = _closest(path, own) or _closest(path, every)
    return f"did you mean {close}?" if close else ""


def reachable(path: str, tree: Mapping) -> bool:
    """Whether the spec as it stands may set a field: the sections on the way are of kinds that have it."""
    owners: SequenceType[Model] = (Spec,)
    node: Node | None = tree
    for part in path.split("."):
        found = [f for owner in owners for n, f in owner.model_fields.items() if key(n, f) == part]
        if not found:
            return False
        node = node.items.get(part) if isinstance(node, Mapping) else None
        owners = _members(found[0], node)
    return True


def _members(info: FieldInfo, node: Node | None) -> tuple[Model, ...]:
    """The models of a field that a section is of: one, if its kind is written or its default's; all, if none is."""
    members = models(info.annotation)
    if len(members) < 2:
        return members
    if node is None:
        default = info.get_default(call_default_factory=True) if not info.is_required() else None
        return tuple(m for m in members if isinstance(default, m))
    for member in members:
        name = tag(member)
        inner = node.items.get(name) if isinstance(node, Mapping) and name else node
        if (
            name
            and isinstance(inner, Scalar)
            and inner.value in literals(member.model_fields[name].annotation)
        ):
            return (member,)
    tags = {tag(member) for member in members}
    return (
        () if isinstance(node, Scalar) or (isinstance(node, Mapping) and tags & set(node.items)) else members
    )


def as_written(value: Any, node: Node | None) -> str:
    """A value in the words of the file, if they are at hand."""
    if isinstance(node, Scalar) and node.text and not isinstance(value, str):
        return node.text if len(node.text) <= 40 else f"{node.text[:37]}…"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return str(value).replace("\n", " ")[:40]


def number_hint(value: Any, at: Place) -> str:
    """The number that a text, or a whole number that a float, stands for."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        text = _first_valid([str(int(value))], at)
        return f"write {text}" if text else ""
    if not isinstance(value, str):
        return ""
    text = _first_valid([value.strip(), *_spelt(value)], at)
    return f"write {text} without quotes" if text else ""


def _spelt(text: str) -> Iterator[str]:
    """How the number that a text spells can be written."""
    try:
        number = float(text)
    except ValueError:
        return
    if number == number and abs(number) < 1e15:
        yield str(int(number) if number.is_integer() else number)


def text_hint(value: Any, at: Place, node: Node | None) -> str:
    """A number or a truth value as text."""
    if isinstance(value, bool | int | float) and (
        text := _first_valid([json.dumps(as_written(value, node))], at)
    ):
        return f"write {text}"
    return name_rule(at)


NAME_RULE = "lower-case letters, digits and _ only, beginning with a letter"


def name_rule(at: Place) -> str:
    """What a name may be, for fields that are names."""
    patterned = at.info is not None and any(getattr(m, "pattern", None) for m in at.info.metadata)
    return NAME_RULE if patterned else ""


def list_hint(value: Any, at: Place, node: Node | None) -> str:
    """One value as a list of one."""
    if not isinstance(value, str | int | float):
        return ""
    text = as_written(value, node)
    if _parsed(f"[{text}]") != [value]:
        text = json.dumps(value, ensure_ascii=False)
    axis = cell_fields().get(at.path[2]) if at.path[:2] in (("sweep", "grid"), ("sweep", "zip")) else None
    if axis is not None:
        return f"write [{text}]" if any(takes(field.info, value) for field in axis) else ""
    return f"write [{text}]" if _first_valid([f"[{text}]"], at) else ""


def takes(info: FieldInfo, value: Any) -> bool:
    """Whether a field takes a value."""
    try:
        holder(Field("value", Strict, info))(value=value)
    except ValidationError:
        return False
    return True


def _first_valid(texts: Iterable[str], at: Place) -> str:
    """The first text that, as YAML, the field takes; of a place that is no field's, the first that is YAML."""
    for text in texts:
        value = _parsed(text)
        if value is _NOTHING:
            continue
        if at.is_field and at.info is not None:
            if takes(at.info, value):
                return text
        elif _is_number(value) or text.startswith(('"', "[")):
            return text
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parsed(text: str) -> Any:
    node, problems = parse_value(text, "")
    return _NOTHING if problems or node is None else plain(node)
