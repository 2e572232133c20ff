"""Putting specs together: `extends` and `--set`, on trees, so that every value keeps its position."""

from __future__ import annotations

from collections.abc import Sequence as SequenceType

from saespec.errors import Problem

from .fields import cell_fields, ousted
from .yaml import Mapping, Mark, Node, Scalar, Sequence, parse_value, plain

SET = "--set"
"""The file name of overrides in positions; the line is the number of the override."""

_AXES = (("sweep", "grid"), ("sweep", "zip"))
_NAMED = (("queries",), ("figures",), ("claims",), *_AXES)
_REMOVABLE = (("sweep",), ("sweep", "cases"), ("sweep", "beside"), *_NAMED)


def merge(base: Mapping, over: Mapping, problems: list[Problem], path: tuple[str, ...] = ()) -> Mapping:
    """`base` with the keys of `over`, deep; lists, scalars and sweep axes replace.

    A section whose `kind` or `rule` changes replaces the base's, and one that makes another choice (a site by name
    instead of by place) drops what went with the base's. `null` for a query, a figure, a claim, a sweep axis
    or a part of the sweep removes the base's.
    """
    is_set = over.mark.file == SET
    merged = Mapping(base.mark if is_set else over.mark, dict(base.items), dict(base.marks))
    for key, node in over.items.items():
        here = (*path, key)
        old = merged.items.get(key)
        if _is_null(node) and (path in _NAMED or here in _REMOVABLE):
            if old is None:
                _complain(
                    problems, over.marks[key], here, "there is nothing to remove", "the base has no such key"
                )
            merged.items.pop(key, None)
            merged.marks.pop(key, None)
            continue
        if isinstance(node, Mapping) and path not in _AXES:
            old = _written_out(old, node, here)
            if isinstance(old, Mapping) and not _other_kind(old, node):
                node = merge(_without_ousted(old, node, here), node, problems, here)
                if not node.items and old.items:  # all was removed
                    merged.items.pop(key)
                    merged.marks.pop(key)
                    continue
                merged.items[key] = node
                if is_set and key in merged.marks:  # a section stays where it is; the value in it moves
                    continue
        merged.items[key] = node
        merged.marks[key] = over.marks[key]
    return merged


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _discriminator(path: tuple[str, ...]) -> str | None:
    for field in cell_fields().get(".".join(path), ()):
        if isinstance(field.info.discriminator, str):
            return field.info.discriminator
    return None


def _written_out(old: Node | None, over: Mapping, path: tuple[str, ...]) -> Node | None:
    """`random` as `{kind: random}` where a mapping is to be merged onto it."""
    name = _discriminator(path)
    if name is None or not isinstance(old, Scalar) or not isinstance(old.value, str) or name in over.items:
        return old
    return Mapping(old.mark, {name: old}, {name: old.mark})


def _other_kind(old: Mapping, over: Mapping) -> bool:
    for name in ("kind", "rule"):
        was, now = old.items.get(name), over.items.get(name)
        if isinstance(was, Scalar) and isinstance(now, Scalar) and was.value != now.value:
            return True
    return False


def _without_ousted(old: Mapping, over: Mapping, path: tuple[str, ...]) -> Mapping:
    """The base's section without the keys that do not go with what is put over it."""
    gone = {k for key, node in over.items.items() for k in ousted(".".join(path), key, plain(node))}
    if not gone & old.items.keys():
        return old
    kept = [key for key in old.items if key not in gone]
    return Mapping(old.mark, {key: old.items[key] for key in kept}, {key: old.marks[key] for key in kept})


def _complain(
    problems: list[Problem], mark: Mark, path: SequenceType[str], message: str, hint: str = ""
) -> None:
    problems.append(Problem(mark.file, mark.line, mark.column, ".".join(path), message, hint))


def override(tree: Mapping, settings: SequenceType[str]) -> tuple[Mapping, list[Problem]]:
    """The tree with `a.b=value` settings applied, left to right; values are YAML."""
    problems: list[Problem] = []
    for number, setting in enumerate(settings, 1):
        mark = Mark(SET, number, 1)
        path, equals, text = setting.partition("=")
        parts = _parts(path.strip())
        if not equals or not all(parts):
            _complain(problems, mark, (), f"{setting!r} is no `key=value`", "such as train.steps=100")
            continue
        value, found = parse_value(text, SET)
        problems += [Problem(SET, number, 1, path, p.message, p.hint) for p in found]
        if found:
            continue
        node = _moved(value, mark) if value is not None else Scalar(None, mark)
        if blocked := _blocked(tree, parts):
            _complain(
                problems,
                mark,
                parts,
                f"{'.'.join(blocked)} is a list",
                f"set the whole list: {'.'.join(blocked)}=[…]",
            )
            continue
        for part in reversed(parts):
            node = Mapping(mark, {part: node}, {part: mark})
        assert isinstance(node, Mapping)
        tree = merge(tree, node, problems)
    return tree, problems


def _parts(path: str) -> tuple[str, ...]:
    """Keys of a dotted path; a sweep's axes have dots of their own."""
    parts = tuple(path.split("."))
    return (*parts[:2], ".".join(parts[2:])) if parts[:2] in _AXES and len(parts) > 2 else parts


def _blocked(tree: Mapping, parts: SequenceType[str]) -> SequenceType[str]:
    node: Node = tree
    for i, part in enumerate(parts):
        if isinstance(node, Sequence):
            return parts[:i]
        if not isinstance(node, Mapping) or part not in node.items:
            return ()
        node = node.items[part]
    return ()


def _moved(node: Node, mark: Mark) -> Node:
    """The same value as if all of it stood at one place."""
    if isinstance(node, Mapping):
        items = {key: _moved(item, mark) for key, item in node.items.items()}
        return Mapping(mark, items, dict.fromkeys(items, mark))
    if isinstance(node, Sequence):
        return Sequence(mark, [_moved(item, mark) for item in node.items])
    return Scalar(node.value, mark, node.text)
