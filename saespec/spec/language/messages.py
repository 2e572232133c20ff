"""What pydantic finds, said in plain sentences, at the place in the YAML that has to change."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingType
from collections.abc import Sequence as SequenceType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from saespec.errors import Problem
from saespec.spec.base import Conflict, ConflictError, Consistent

from .fields import Field, Place, holder, key, literals, place, tag
from .hints import NAME_RULE, as_written, did_you_mean, key_hint, list_hint, number_hint, text_hint
from .yaml import Mapping, Mark, Node, Sequence


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
        for path, message, hint in sentences(detail, at, tree):
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


def sentences(
    detail: ErrorDetails, at: Place, tree: Mapping | None = None, below: SequenceType[str] = ()
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Path, message and hint of one error; several where a model has several conflicts.

    `tree` is the spec, for what is written there and what it may set; `below` the keys above the error's own path.
    """
    conflicts = (detail.get("ctx") or {}).get("error")
    if isinstance(conflicts, ConflictError):
        for conflict in conflicts.conflicts:
            yield (*at.path, *filter(None, conflict.field.split("."))), conflict.message, conflict.hint
        return
    path = tuple(part for part in at.path if part != "[key]")
    if detail["type"] == "union_tag_not_found":
        path = (*path, _tag_name(detail))
    _, node, whole = locate(tree, (*below, *path)) if tree is not None else (None, None, False)
    yield path, *_sentence(detail, at, tree, node if whole else None)


def _sentence(detail: ErrorDetails, at: Place, tree: Mapping | None, node: Node | None) -> tuple[str, str]:
    kind, value = detail["type"], detail["input"]
    ctx: MappingType[str, Any] = detail.get("ctx") or {}
    said = describe(value, node)
    if kind == "missing":
        return "is missing", (at.info.description or "").rstrip(".") if at.info else ""
    if kind == "extra_forbidden":
        return "is not a known key", key_hint(at.path, value, at.owners, tree)
    if kind in ("union_tag_invalid", "literal_error"):
        return _not_one_of(value, kind, ctx, node)
    if kind == "union_tag_not_found":
        return "is missing", _tags_of(at)
    if value is None:
        return "has no value", "write one, or remove the key"
    if kind in ("int_type", "int_from_float"):
        return f"must be a whole number, not {said}", number_hint(value, at)
    if kind == "float_type":
        return f"must be a number, not {said}", number_hint(value, at)
    if kind == "string_type":
        return f"must be text, not {said}", text_hint(value, at, node)
    if kind == "bool_type":
        return f"must be true or false, not {said}", ""
    if kind == "list_type":
        return f"must be a list, not {said}", list_hint(value, at, node)
    if kind == "model_attributes_type":
        return f"must be a name or a section of `key: value` lines, not {said}", _tags_of(at)
    if kind in ("model_type", "dict_type"):
        return f"must be a section of `key: value` lines, not {said}", _section_hint(at)
    if kind == "string_pattern_mismatch":
        return f"{said} is not a valid name", NAME_RULE
    if kind == "string_too_long":
        return f"has {len(value)} characters; {ctx.get('max_length')} are the most", ""
    if kind in ("too_short", "too_long") and (length := ctx.get("max_length") or ctx["min_length"]) > 1:
        return f"must be a list of {length}, not of {len(value)}", ""
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
        return f"must be {words} {_bound(ctx[bound])}, not {as_written(value, node)}", ""
    message = detail["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:], ""


def _not_one_of(value: Any, kind: str, ctx: MappingType[str, Any], node: Node | None) -> tuple[str, str]:
    if kind == "union_tag_invalid":
        expected, value, node = str(ctx["expected_tags"]), ctx["tag"], None
    else:
        expected = str(ctx["expected"])
    options = re.findall(r"'([^']*)'", expected)
    if value is None:
        return "has no value", f"one of: {', '.join(options)}" if options else f"write {expected}"
    if not options:  # version: 1, tied: false
        return f"must be {expected.lower()}, not {describe(value, node)}", ""
    if len(options) == 1:
        return f"must be {options[0]}, not {describe(value, node)}", f"write {options[0]}"
    hint = did_you_mean(value, options) if isinstance(value, str) else ""
    return (
        f"must be one of {', '.join(options)}, not {describe(value, node)}",
        hint if "did you" in hint else "",
    )


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


def describe(value: Any, node: Node | None = None) -> str:
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
    return as_written(value, node)


def _bound(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


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
