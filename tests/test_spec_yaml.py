"""YAML with positions: what is read, what is refused, and where."""

from __future__ import annotations

import time

import pytest

from saespec.spec.language.yaml import Mapping, parse, plain


def read(text: str) -> object:
    document = parse(text, "f")
    assert document.problems == []
    assert document.root is not None
    return plain(document.root)


def complaint(text: str) -> tuple[int, int, str]:
    (problem,) = parse(text, "f").problems
    assert problem.file == "f"
    return problem.line, problem.column, problem.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        ("1_000", 1000),
        ("-3", -3),
        ("0o17", 15),
        ("0x1F", 31),
        ("+.5", 0.5),
        ("on", "on"),
        ("yes", "yes"),
        ("True", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("1:30", "1:30"),
        ("é 😀", "é 😀"),
        ("a#b", "a#b"),
        ("|\n  x\n  y", "x\ny\n"),
        ("&a {b: [1]}", {"b": [1]}),
    ],
)
def test_yaml_1_2_values(text: str, value: object) -> None:
    found = read(f"a: {text}\n")
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


def test_every_key_and_value_knows_its_position() -> None:
    root = parse("a:\n  b: [1,\n    x]\n", "f").root
    assert root is not None
    inner = root.items["a"]
    assert isinstance(inner, Mapping)
    assert (root.marks["a"].line, root.marks["a"].column) == (1, 1)
    assert (inner.marks["b"].line, inner.marks["b"].column) == (2, 3)
    values = inner.items["b"]
    assert not isinstance(values, Mapping)
    assert [(n.mark.line, n.mark.column) for n in values.items] == [(2, 7), (3, 5)]  # type: ignore[union-attr]


def test_an_alias_stands_for_the_value() -> None:
    assert read("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}


def test_byte_order_mark_and_windows_lines_do_not_shift_positions() -> None:
    assert complaint("\ufeffa: 1\r\nb: .nan\r\n")[:2] == (2, 4)


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("", 1, 1, "empty"),
        ("# only a comment\n", 1, 1, "empty"),
        ("- a\n- b\n", 1, 1, "a spec is a mapping"),
        ("word", 1, 1, "a spec is a mapping"),
        ("a: 1\n\na: 2\n", 3, 1, "given twice"),
        ("a: {b: 1, b: 2}", 1, 11, "given twice"),
        ("a: 2020-01-01\n", 1, 4, "is a date"),
        ("a: .nan", 1, 4, "not a finite number"),
        ("a: [1, -.inf]", 1, 8, "not a finite number"),
        ("a: 1e999", 1, 4, "not a finite number"),
        ("a: 99999999999999999999", 1, 4, "too large"),
        (f"a: {'9' * 5000}", 1, 4, "not a number"),
        ("a: !!python/object:os.system x", 1, 4, "tag"),
        ("a: !!int 3", 1, 4, "tag"),
        ("a: &x 1\nb: &x 2", 2, 4, "defined twice"),
        ("a: *nowhere", 1, 4, "no &nowhere"),
        ("a: &x [*x]", 1, 8, "inside"),
        ("&x a: 1", 1, 1, "anchor"),
        ("<<: {a: 1}", 1, 1, "merge keys"),
        ("1: a", 1, 1, "a key must be text"),
        ("true: a", 1, 1, "a key must be text"),
        ("? [a]\n: 1", 1, 3, "a key must be text"),
        ("? {a: 1}\n: 1", 1, 3, "a key must be text"),
        ("%YAML 1.1\n---\na: 1", 1, 1, "directives"),
        ("a: 1\n---\nb: 1", 2, 1, "second document"),
        ("a: b\x00c", 1, 5, "U+0000"),
        ("a:\u2028b", 1, 3, "U+2028"),
        ("a:\n\tb: 1", 2, 1, "tab"),
        ("a: b: c", 1, 5, "colon"),
        ("a: [1,\n\n", 1, 4, "not closed"),
        ("a: {b: 1\nc: 2", 1, 4, "not closed"),
        ("a: 'b\nc: d\n", 1, 4, "never closed"),
        ("a: @b", 1, 4, "cannot begin with @"),
        ("a: 1\n b\nc: 2\n  d: 3\n", 4, 4, "colon"),
        ("a: 1\nb\n", 2, 1, "no `key: value`"),
        ("a:\n- b\n  - c: d\n -e", 3, 6, "colon"),
    ],
)
def test_refused_with_the_place_and_plain_words(text: str, line: int, column: int, said: str) -> None:
    found = complaint(text)
    assert said in found[2]
    assert found[:2] == (line, column)


def test_all_problems_of_a_readable_file_at_once() -> None:
    text = "a: .nan\na: 1\n<<: {}\nb: !x 1\nc: 2020-01-01\n? [k]\n: 1\n"
    assert [p.line for p in parse(text, "f").problems] == [1, 2, 3, 4, 5, 6]


def test_a_problem_says_which_field_it_is_in() -> None:
    (problem,) = parse("a:\n  b:\n    - 1\n    - .nan\n", "f").problems
    assert problem.path == "a.b.1"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a: " + "{b: " * 50_000,
        "- " * 50_000,
        "a: &a [1]\n" + "".join(f"k{i}: &a{i} [{','.join(['*a'] * 9)}]\n" for i in range(3)),
        "a0: &a0 [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)),
        "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 5000)),
        "x" * 3_000_000,
        "\x01" * 100_000,
        "a: 'x\n" * 20_000,
        "".join(f"k{i}: 1\n" for i in range(20_000)),
    ],
)
def test_what_harms_other_readers_is_read_quickly(text: str) -> None:
    started = time.process_time()
    parse(text, "f")
    assert time.process_time() - started < 2


def test_aliases_that_explode_are_refused() -> None:
    text = "a0: &a0 [1,1,1,1,1,1,1,1,1]\n"
    text += "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
    assert "aliases written out" in parse(text, "f").problems[0].message
