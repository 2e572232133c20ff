"""YAML with positions: a text becomes a tree in which every key and value knows where it stands.

YAML 1.2 as ruamel.yaml reads it (`1e-3` is a number, `on` is text), less what a spec has no use for: tags,
merge keys, dates, NaN and infinity, keys that are not text, several documents. The parser's events are
put together here, without recursion, so that everything wrong is found in one go and nothing that a
file may hold (aliases that explode, ten thousand brackets) harms the reader.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]
from ruamel.yaml.error import YAMLError

from saespec.errors import Problem

from .scalars import KINDS, TAG, in_plain_words, kind_of, number_of, short

MAX_CHARACTERS = 2_000_000
MAX_DEPTH = 64
MAX_NODES = 200_000
_INT64 = 2**63

_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int


@dataclass(slots=True)
class Scalar:
    """Text, a number, true or false, or nothing."""

    value: Any
    mark: Mark
    text: str = ""
    """As it is written, if it stands without quotes."""


@dataclass(slots=True)
class Sequence:
    """A list."""

    mark: Mark
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping: key → value, and where each key stands."""

    mark: Mark
    items: dict[str, Node] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass
class Document:
    """What a text holds; `root` is None when it cannot be read at all."""

    file: str
    text: str
    root: Mapping | None
    problems: list[Problem]


def plain(node: Node) -> Any:
    """The tree as plain Python values."""
    if isinstance(node, Mapping):
        return {key: plain(item) for key, item in node.items.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def lines(text: str) -> list[str]:
    """The lines that positions count, as YAML and editors break them."""
    return _LINE_END.split(text)


def parse(text: str, file: str) -> Document:
    """Read one spec file; never raises, every problem is in the document."""
    text = text.removeprefix("\ufeff")
    if problems := _unreadable(text, file):
        return Document(file, text, None, problems)
    composer = _Composer(text, file)
    root = composer.compose()
    if root is None and not composer.problems:
        composer.complain(Mark(file, 1, 1), "the file is empty", "saespec init writes an example")
    elif root is not None and not isinstance(root, Mapping):
        composer.complain(root.mark, "a spec is a mapping, one `key: value` to a line")
    return Document(file, text, root if isinstance(root, Mapping) else None, composer.problems)


def parse_value(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """Read one YAML value of any kind, such as the right side of `--set`."""
    if problems := _unreadable(text, file):
        return None, problems
    composer = _Composer(text, file)
    return composer.compose(), composer.problems


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of a character."""
    before = lines(text[:offset])
    return len(before), len(before[-1]) + 1


def _unreadable(text: str, file: str) -> list[Problem]:
    if len(text) > MAX_CHARACTERS:
        return [Problem(file, 1, 1, "", f"{len(text):,} characters are too many for a spec")]
    problems = []
    for found in _FORBIDDEN.finditer(text):
        message = f"the character U+{ord(found[0]):04X} is not allowed"
        problems.append(Problem(file, *position(text, found.start()), "", message, "is this a text file?"))
        if len(problems) == 3:
            break
    return problems


_DROP = object()
_NEXT_KEY = object()


@dataclass(slots=True)
class _Frame:
    """A collection that is being read."""

    node: Mapping | Sequence
    anchor: str | None
    size: int = 1
    height: int = 1
    key: Any = _NEXT_KEY
    key_mark: Mark | None = None


class _Composer:
    """Puts the parser's events together."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.lines = lines(text)
        self.last = max((i for i, line in enumerate(self.lines) if line.strip()), default=0)
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.root: Node | None = None
        self.anchors: dict[str, tuple[Node, int, int]] = {}

    def compose(self) -> Node | None:
        try:
            for event in self._events():
                if not self._take(event):
                    return None
        except YAMLError as error:
            self._syntax(error)
            return None
        return self.root

    def _events(self) -> Iterator[Any]:
        parser = CParser(self.text)
        try:
            while parser.check_event():
                yield parser.get_event()
        finally:
            parser.dispose()

    def mark(self, at: Any) -> Mark:
        """A position of the parser, inside the file: errors at the end stand behind the last text."""
        line, column = at.line, at.column
        if line > self.last:
            line, column = self.last, len(self.lines[self.last])
        return Mark(self.file, line + 1, min(column, len(self.lines[line])) + 1)

    def complain(self, mark: Mark, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.file, mark.line, mark.column, self._path(), message, hint))

    def _path(self) -> str:
        parts = []
        for frame in self.stack:
            if isinstance(frame.node, Sequence):
                parts.append(str(len(frame.node.items)))
            elif isinstance(frame.key, str):
                parts.append(frame.key)
        return ".".join(parts)

    def _take(self, event: Any) -> bool:
        """Use one event; False when reading on makes no sense."""
        kind = type(event).__name__
        if kind in ("StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"):
            return True
        mark = self.mark(event.start_mark)
        if kind == "DocumentStartEvent":
            if self.root is not None:
                self.complain(mark, "a second document begins here", "a spec is one document: remove `---`")
                return False
            if event.version or event.tags:
                self.complain(mark, "directives are not part of the spec language", "remove the % line")
            return True
        if kind in ("MappingEndEvent", "SequenceEndEvent"):
            frame = self.stack.pop()
            if frame.anchor:
                self.anchors[frame.anchor] = (frame.node, frame.size, frame.height)
            return self._add(frame.node, mark, frame.size, frame.height)
        if kind == "AliasEvent":
            return self._alias(event.anchor, mark)
        if event.tag:
            tag = event.tag.replace(TAG, "!!")
            self.complain(mark, f"the tag {tag} is not part of the spec language", "remove it; quote text")
        if event.anchor and (
            event.anchor in self.anchors or any(f.anchor == event.anchor for f in self.stack)
        ):
            self.complain(mark, f"the anchor &{event.anchor} is defined twice", "give each its own name")
        if kind == "ScalarEvent":
            return self._scalar(event, mark)
        if len(self.stack) >= MAX_DEPTH:
            self.complain(mark, f"more than {MAX_DEPTH} levels of nesting")
            return False
        node = Mapping(mark) if kind == "MappingStartEvent" else Sequence(mark)
        self.stack.append(_Frame(node, event.anchor))
        return True

    def _scalar(self, event: Any, mark: Mark) -> bool:
        is_plain = not event.style
        if self._wants_key():
            self._key(event.value, is_plain, mark)
            if event.anchor:
                self.complain(mark, "a key cannot have an anchor", f"remove &{event.anchor}")
            return True
        value = self._resolve(event.value, mark) if is_plain else event.value
        node = Scalar(value, mark, event.value if is_plain else "")
        if event.anchor:
            self.anchors[event.anchor] = (node, 1, 0)
        return self._add(node, mark, 1, 0)

    def _wants_key(self) -> bool:
        return (
            bool(self.stack) and isinstance(self.stack[-1].node, Mapping) and self.stack[-1].key is _NEXT_KEY
        )

    def _key(self, text: str, is_plain: bool, mark: Mark) -> None:
        frame = self.stack[-1]
        assert isinstance(frame.node, Mapping)
        kind = kind_of(text) if is_plain else "str"
        frame.key, frame.key_mark = _DROP, mark
        if kind == "merge":
            self.complain(
                mark, "merge keys are not part of the spec language", "write the keys out, or use extends"
            )
        elif kind != "str":
            hint = "put it in quotes" if text else "write a key before the colon"
            self.complain(mark, f"a key must be text, not {KINDS[kind]}", hint)
        elif text in frame.node.items:
            first = frame.node.marks[text]
            frame.key = text
            self.complain(mark, "this key is given twice", f"first in line {first.line}; remove one")
            frame.key = _DROP
        else:
            frame.key = text

    def _resolve(self, text: str, mark: Mark) -> Any:
        kind = kind_of(text)
        if kind in ("str", "merge"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "timestamp":
            self.complain(mark, f"{text} is a date, which no field takes", "quote it if it is text")
            return text
        number = number_of(text, kind)
        if number is None:
            self.complain(mark, f"{short(text)} is not a number", "quote it if it is text")
            return 0
        if isinstance(number, float) and not math.isfinite(number):
            self.complain(mark, f"{short(text)} is not a finite number", "write a number, or null")
            return 0.0
        if isinstance(number, int) and not -_INT64 <= number < _INT64:
            self.complain(mark, f"{short(text)} is too large a whole number", "at most 64 bits")
            return 0
        return number

    def _alias(self, name: str, mark: Mark) -> bool:
        if self._wants_key():
            self.complain(mark, "a key cannot be an alias", f"write the text instead of *{name}")
            self.stack[-1].key = _DROP
            return True
        if name not in self.anchors:
            inside = any(frame.anchor == name for frame in self.stack)
            message = f"*{name} stands inside &{name}" if inside else f"there is no &{name} above this"
            self.complain(mark, message, "write the value here")
            return self._add(Scalar(None, mark), mark, 1, 0)
        node, size, height = self.anchors[name]
        return self._add(node, mark, size, height)

    def _add(self, node: Node, mark: Mark, size: int, height: int) -> bool:
        """Put a finished value where it belongs."""
        if not self.stack:
            self.root = node
            return True
        frame = self.stack[-1]
        frame.size += size
        frame.height = max(frame.height, height + 1)
        if frame.size > MAX_NODES:
            self.complain(mark, f"more than {MAX_NODES:,} values, aliases written out")
            return False
        if len(self.stack) + height > MAX_DEPTH:
            self.complain(mark, f"more than {MAX_DEPTH} levels of nesting, aliases written out")
            return False
        if isinstance(frame.node, Sequence):
            frame.node.items.append(node)
        elif frame.key is _NEXT_KEY:
            self.complain(node.mark, "a key must be text, not a list or mapping", "write `key: value`")
            frame.key = _DROP
        else:
            if frame.key is not _DROP:
                assert frame.key_mark is not None
                frame.node.items[frame.key] = node
                frame.node.marks[frame.key] = frame.key_mark
            frame.key = _NEXT_KEY
        return True

    def _syntax(self, error: YAMLError) -> None:
        problem = getattr(error, "problem", None) or str(error)
        context = getattr(error, "context", None) or ""
        at, began = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
        mark = self.mark(at) if at else Mark(self.file, 1, 1)
        message, hint, at_start = in_plain_words(
            problem, context, self.lines[mark.line - 1][mark.column - 1 :]
        )
        if "flow node" in context and self.stack and not self.lines[mark.line - 1][mark.column - 1 :]:
            mark = self.stack[-1].node.mark  # the text ends inside a bracket
        elif began is not None and at_start:
            mark = self.mark(began)
        self.complain(mark, message, hint)
