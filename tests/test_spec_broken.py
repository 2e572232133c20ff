"""Two thousand broken specs: each loads, or is refused with places inside the file; nothing else escapes."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from spec_sample import GOOD, write

from saespec.errors import SpecError
from saespec.spec import load
from saespec.spec.language.schema import json_schema
from saespec.spec.language.yaml import lines, parse, plain

TEMPORARY = tempfile.TemporaryDirectory(prefix="saespec-broken-")
FOLDER = Path(TEMPORARY.name)
SCHEMA = jsonschema.Draft202012Validator(json_schema())

PIECES = [
    "1",
    "0",
    "-1",
    "1.5",
    "1e400",
    ".nan",
    "-.inf",
    "true",
    "null",
    "~",
    "x",
    '""',
    "[]",
    "{}",
    "[1,2]",
    "{a:1}",
    "{a:",
    "'",
    '"',
    "*a",
    "&a",
    "!!int",
    "!x",
    "2020-01-01",
    "0o7",
    "9e99",
    "99999999999999999999999",
    "-|?",
    "?|:",
    "|-",
    ">-",
    "#",
    "%",
    "@",
    "`",
    "<<",
    "=",
    "...",
    "---",
    "kind",
    "rule",
    "none",
    "random",
    "relu",
    "seed",
    "sae",
    "data",
    "sae.latents",
    "extends",
    "name",
    "{of:|seed,|ratios:|[1]}",
    "{from:|1,|to:|2,|per_decade:|1}",
    "é",
    "😀",
    "ྀ",
]
PIECES = [piece.replace("|", " ") for piece in PIECES]
PIECES += [": ", "- ", "\t", "\x00", "\ufeff", "\u2028", "\x85", "\r", "\r\n", "\n", "\n\n  ", "|\n", ""]


def words(text: str) -> list[re.Match[str]]:
    return list(re.finditer(r"[\w.]+", text)) or list(re.finditer("", text))


def delete_line(text: str, i: int, j: int) -> str:
    rows = text.split("\n")
    del rows[i % len(rows)]
    return "\n".join(rows)


def double_line(text: str, i: int, j: int) -> str:
    rows = text.split("\n")
    rows.insert(i % len(rows), rows[j % len(rows)])
    return "\n".join(rows)


def reindent(text: str, i: int, j: int) -> str:
    rows = text.split("\n")
    rows[i % len(rows)] = " " * (j % 7) + rows[i % len(rows)].strip()
    return "\n".join(rows)


def cut(text: str, i: int, j: int) -> str:
    return text[: i % (len(text) + 1)]


def remove(text: str, i: int, j: int) -> str:
    i %= len(text) + 1
    return text[:i] + text[i + 1 + j % 9 :]


def insert(text: str, i: int, j: int) -> str:
    i %= len(text) + 1
    return text[:i] + PIECES[j % len(PIECES)] + text[i:]


def change_value(text: str, i: int, j: int) -> str:
    rows = text.split("\n")
    rows[i % len(rows)] = re.sub(
        r": .*", lambda _: f": {PIECES[j % len(PIECES)]}", rows[i % len(rows)], count=1
    )
    return "\n".join(rows)


def change_word(text: str, i: int, j: int) -> str:
    word = words(text)[i % len(words(text))]
    return text[: word.start()] + PIECES[j % len(PIECES)] + text[word.end() :]


def copy_word(text: str, i: int, j: int) -> str:
    found = words(text)
    word = found[i % len(found)]
    return text[: word.start()] + found[j % len(found)][0] + text[word.end() :]


def any_character(text: str, i: int, j: int) -> str:
    i %= len(text) + 1
    return text[:i] + chr(j * 7919 % 0xD800) + text[i:]


TEXT: list[Callable[[str, int, int], str]] = [
    delete_line,
    double_line,
    reindent,
    cut,
    remove,
    insert,
    change_value,
    change_word,
    copy_word,
    any_character,
]

VALUES: list[Any] = [
    0, 1, -1, 2, 1.5, 1e-9, 1e300, True, False, None, "", "x", "random", "none", "multiply", "seed", [], {}, [1, 1],
    ["a", None], {"kind": "random"}, {"kind": "none", "rank": 1}, {"kind": 3}, {"of": "data.dim", "ratios": [1, 2]},
    {"of": "seed", "ratios": [0.3]}, {"from": 1, "to": 100, "per_decade": 1}, {"from": 1e-9, "to": 3, "per_decade": 9},
    [{}], [[]], {"a": {"b": {"c": 1}}}, 2**62, "data.features", ["losses"], {"seed": [1, 2]}, [{"seed": 1}, {"sae": 2}],
]  # fmt: skip


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a tree."""
    if isinstance(tree, dict):
        return [(tree, k) for k in tree] + [p for v in tree.values() for p in places(v)]
    if isinstance(tree, list):
        return [(tree, k) for k in range(len(tree))] + [p for v in tree for p in places(v)]
    return []


def mutate_tree(tree: Any, how: int, i: int, j: int) -> None:
    found = places(tree)
    if not found:
        return
    holder, key = found[i % len(found)]
    other_holder, other_key = found[j % len(found)]
    match how % 5:
        case 0:
            del holder[key]
        case 1 | 2:
            holder[key] = json.loads(json.dumps(VALUES[j % len(VALUES)]))
        case 3:
            holder[key] = json.loads(json.dumps(other_holder[other_key]))
        case _ if isinstance(holder, dict) and isinstance(other_key, str):
            holder[other_key] = holder.pop(key)


def check(data: bytes) -> None:
    """Load a text; it is good, or every problem stands inside it."""
    path = write(FOLDER, data)
    rows = lines(data.decode(errors="replace").removeprefix("\ufeff"))
    try:
        load(path, root=FOLDER)
    except SpecError as error:
        assert str(error)
        for problem in error.problems:
            assert problem.file == "spec.yaml"
            assert problem.message
            assert 1 <= problem.line <= len(rows), problem
            assert 1 <= problem.column <= len(rows[problem.line - 1]) + 1, problem
    else:
        root = parse(data.decode(), "f").root
        assert root is not None
        if len(data) % 8 == 0:  # slow
            assert SCHEMA.is_valid(plain(root)), "the schema refuses what load takes"


numbers = st.tuples(st.integers(0, 9), st.integers(0, 4095), st.integers(0, 4095))
quick = settings(deadline=None, suppress_health_check=list(HealthCheck))
edits = st.lists(numbers, min_size=1, max_size=4)


@settings(quick, max_examples=1200)
@given(edits, st.none() | st.tuples(st.integers(0, 4095), st.integers(0, 255)))
@example([], (0, 0))
def test_broken_texts(mutations: list[tuple[int, int, int]], byte: tuple[int, int] | None) -> None:
    text = GOOD
    for how, i, j in mutations:
        text = TEXT[how](text, i, j)
    data = text.encode()
    if byte is not None:
        at = byte[0] % (len(data) + 1)
        data = data[:at] + bytes([byte[1]]) + data[at:]
    check(data)


GOOD_TREE = json.dumps(plain(parse(GOOD, "f").root))  # type: ignore[arg-type]


@settings(quick, max_examples=700)
@given(edits)
def test_broken_trees(mutations: list[tuple[int, int, int]]) -> None:
    tree = json.loads(GOOD_TREE)
    for how, i, j in mutations:
        mutate_tree(tree, how, i, j)
    check(json.dumps(tree, indent=1).encode())


@settings(quick, max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    check(data)
