"""What pydantic finds, said in plain sentences, at the place in the YAML that has to change."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingType
from collections.abc import Sequence as SequenceType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from saespec.errors import Problem

from .base import Conflict, ConflictError, Consistent
from .fields import Field, Place, cell_fields, holder, key, literals, place, tag
from .yaml import Mapping, Mark, Node, Sequence


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean latents?`, or the possibilities when they are few, or nothing."""
    options = list(dict.fromkeys(known))
    close = difflib.get_close_matches(word.lower(), [o.lower() for o in options], n=1)
    if close:
        return f"did you mean {next(o for o in options if o.lower() == close[0])}?"
    return f"known: {', '.join(options)}" if 0 < len(options) <= 12 else ""


def elsewhere(word: str) -> str:
    """A field of that name in another place of the spec, for keys at the wrong level."""
    paths = [path for path in cell_fields() if path.rpartition(".")[2] == word and "." in path]
    paths.sort(key=lambda path: path.count("."))
    return f"did you mean {' or '.join(paths)}?" if 0 < len(paths) <= 3 else ""


def field_hint(path: str) -> str:
    """The field of a cell that somebody may have meant by a dotted path."""
    hint = did_you_mean(path, cell_fields())
    return hint if "did you mean" in hint else elsewhere(path.rpartition(".")[2])


def locate(tree: Mapping, path: SequenceType[str | int]) -> tuple[Mark, Node, bool]:
    """The key's mark, the node, and whether the whole path is there; otherwise the nearest parent."""
    node: Node = tree
    mark = tree.mark
    whole = True
    for part in path:
        if isinstance(node, Mapping) and str(part) in node.items:
            mark, node = node.marks[str(part)], node.items[str(part)]
        elif isinstance(node, Sequence) and str(part).isdecimal() and int(part) < len(node.items):
            node = node.items[int(part)]
            mark = node.mark
        elif (inner := _shorthand(node)) is not None and part in inner.items:
            mark, node = inner.marks[str(part)], inner.items[str(part)]
        else:
            whole = False
    return mark, node, whole


def _shorthand(node: Node) -> Mapping | None:
    """The inside of `{dead_latents: {window: 100}}`."""
    if isinstance(node, Mapping) and len(node.items) == 1:
        (inner,) = node.items.values()
        return inner if isinstance(inner, Mapping) else None
    return None


def explain(error: ValidationError, tree: Mapping, top: type[BaseModel]) -> list[Problem]:
    """Every error as a problem of the file that set the value."""
    return explain_details(error.errors(include_url=False), tree, top)


def explain_details(details: Iterable[ErrorDetails], tree: Mapping, top: type[BaseModel]) -> list[Problem]:
    found: list[Problem] = []
    for detail in details:
        at = place(top, detail["loc"])
        for path, message, hint in sentences(detail, at):
            if detail["type"] == "union_tag_invalid" and locate(tree, (*path, _tag_name(detail)))[2]:
                path = (*path, _tag_name(detail))
            mark, node, whole = locate(tree, path)
            points_at_key = (
                detail["type"] in ("missing", "extra_forbidden", "union_tag_not_found") or not whole
            )
            if not points_at_key and not isinstance(node, Mapping):
                mark = node.mark
            found.append(Problem(mark.file, mark.line, mark.column, ".".join(path), message, hint))
    return found


def sentences(detail: ErrorDetails, at: Place) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Path, message and hint of one error; several where a model has several conflicts."""
    conflicts = (detail.get("ctx") or {}).get("error")
    if isinstance(conflicts, ConflictError):
        for conflict in conflicts.conflicts:
            yield (*at.path, *conflict.field.split(".")), conflict.message, conflict.hint
        return
    path = tuple(part for part in at.path if part != "[key]")
    if detail["type"] == "union_tag_not_found":
        path = (*path, _tag_name(detail))
    yield path, *_sentence(detail, at)


def _sentence(detail: ErrorDetails, at: Place) -> tuple[str, str]:
    kind, value, loc = detail["type"], detail["input"], detail["loc"]
    ctx: MappingType[str, Any] = detail.get("ctx") or {}
    name = str(loc[-1]) if loc else ""
    if kind == "missing":
        return "is missing", (at.info.description or "").rstrip(".") if at.info else ""
    if kind == "extra_forbidden":
        known = [key(n, f) for owner in at.owners for n, f in owner.model_fields.items()]
        hint = did_you_mean(name, known)
        return "is not a known key", hint if "did you mean" in hint else elsewhere(name) or hint
    if kind in ("union_tag_invalid", "literal_error"):
        return _not_one_of(value, kind, ctx)
    if kind == "union_tag_not_found":
        return "is missing", _tags_of(at)
    if value is None:
        return "has no value", "write one, or remove the key"
    if kind in ("int_type", "int_from_float"):
        return f"must be a whole number, not {describe(value)}", _whole_number_hint(value)
    if kind == "float_type":
        return f"must be a number, not {describe(value)}", _number_hint(value)
    if kind == "string_type":
        return f"must be text, not {describe(value)}", f'write "{_yaml(value)}"' if _is_scalar(value) else ""
    if kind == "bool_type":
        return f"must be true or false, not {describe(value)}", ""
    if kind == "list_type":
        return f"must be a list, not {describe(value)}", f"write [{_yaml(value)}]" if _is_scalar(
            value
        ) else ""
    if kind == "model_attributes_type":
        return f"must be a name or a section of `key: value` lines, not {describe(value)}", _tags_of(at)
    if kind in ("model_type", "dict_type"):
        return f"must be a section of `key: value` lines, not {describe(value)}", _section_hint(at)
    if kind == "string_pattern_mismatch":
        return (
            f"{describe(value)} is not a valid name",
            "lower-case letters, digits and _ only, beginning with a letter",
        )
    if kind == "string_too_long":
        return f"has {len(value)} characters; {ctx.get('max_length')} are the most", ""
    if kind == "too_short":
        return "is empty", "give at least one, or remove the key"
    bounds = {
        "greater_than": ("gt", "more than"),
        "greater_than_equal": ("ge", "at least"),
        "less_than": ("lt", "less than"),
        "less_than_equal": ("le", "at most"),
    }
    if kind in bounds:
        bound, words = bounds[kind]
        return f"must be {words} {_bound(ctx[bound])}, not {_yaml(value)}", ""
    message = detail["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:], ""


def _not_one_of(value: Any, kind: str, ctx: MappingType[str, Any]) -> tuple[str, str]:
    if kind == "union_tag_invalid":
        expected, value = str(ctx["expected_tags"]), ctx["tag"]
    else:
        expected = str(ctx["expected"])
    options = re.findall(r"'([^']*)'", expected)
    if value is None:
        return "has no value", f"one of: {', '.join(options)}" if options else f"write {expected}"
    if not options:  # version: 1, tied: false
        return f"must be {expected.lower()}, not {describe(value)}", ""
    if len(options) == 1:
        return f"must be {options[0]}, not {describe(value)}", f"write {options[0]}"
    hint = did_you_mean(value, options) if isinstance(value, str) else ""
    return f"must be one of {', '.join(options)}, not {describe(value)}", hint if "did you" in hint else ""


def _tag_name(detail: ErrorDetails) -> str:
    return str((detail.get("ctx") or {}).get("discriminator", "kind")).strip("'")


def _tags_of(at: Place) -> str:
    names = [
        str(value)
        for owner in at.owners
        if (name := tag(owner))
        for value in literals(owner.model_fields[name].annotation)
    ]
    return f"one of: {', '.join(names)}" if names else ""


def _section_hint(at: Place) -> str:
    names = [key(n, f) for owner in at.owners[:1] for n, f in owner.model_fields.items()]
    return f"with keys such as {', '.join(names[:4])}" if names else ""


def describe(value: Any) -> str:
    """A value in words, for `not …`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else f"{value[:37]}…"
        return f'the text "{shown}"'.replace("\n", " ")
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a section"
    return _yaml(value)


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return str(value).replace("\n", " ")[:40]


def _bound(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _number(value: Any) -> int | float | None:
    """The number that a text spells."""
    if not isinstance(value, str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if number != number or abs(number) >= 1e15:
        return None
    return int(number) if number.is_integer() else number


def _whole_number_hint(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"write {int(value)}"
    number = _number(value)
    return f"write {number} without quotes" if isinstance(number, int) else ""


def _number_hint(value: Any) -> str:
    number = _number(value)
    return f"write {number} without quotes" if number is not None else ""


def conflicts_despite(error: ValidationError, data: Any, top: type[BaseModel]) -> list[ErrorDetails]:
    """Conflicts in models that pydantic did not ask, because others of their fields are wrong.

    Returned as error details, so that they are explained like all others.
    """
    wrong: dict[tuple[str | int, ...], set[str]] = {}
    for detail in error.errors(include_url=False, include_context=False):
        for cut in range(len(detail["loc"])):
            wrong.setdefault(detail["loc"][:cut], set()).add(str(detail["loc"][cut]))
    found: list[ErrorDetails] = []
    for loc, names in wrong.items():
        at = place(top, loc)
        value = _inside(data, at.path)
        if len(at.owners) != 1 or not isinstance(value, dict):
            continue
        (owner,) = at.owners
        for conflict in _partial_conflicts(owner, value, names):
            ctx = {"error": ConflictError([conflict])}
            found.append({"type": "value_error", "loc": loc, "msg": "", "input": value, "ctx": ctx})
    return found


def _inside(data: Any, path: SequenceType[str]) -> Any:
    for part in path:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        elif (
            isinstance(data, dict) and len(data) == 1 and isinstance(inner := next(iter(data.values())), dict)
        ):
            data = inner.get(part)
        else:
            return None
    return data


def _partial_conflicts(owner: type[BaseModel], value: dict[str, Any], wrong: set[str]) -> list[Conflict]:
    if not issubclass(owner, Consistent):
        return []
    good: dict[str, Any] = {}
    for name, info in owner.model_fields.items():
        written = key(name, info)
        if written in value and written not in wrong:
            good[name] = holder(Field(written, owner, info))(value=value[written]).value  # type: ignore[attr-defined]
    partial = owner.model_construct(**good)
    for name in owner.model_fields:  # a wrong value is absent, not its default
        if name in wrong and name in partial.__dict__:
            del partial.__dict__[name]
    found: list[Conflict] = []
    with contextlib.suppress(AttributeError):  # a conflict with a field that is wrong or missing
        found.extend(partial.conflicts())
    return found
