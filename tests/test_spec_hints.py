"""Hints that propose something: done as they say, the spec has no such mistake there any more."""

from __future__ import annotations

import copy
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_sample import GOOD, edit, problems_of, write
from test_spec_broken import places

from saespec.errors import Problem, SpecError
from saespec.spec import load
from saespec.spec.language.fields import cell_fields
from saespec.spec.language.load import load as load_whole
from saespec.spec.language.yaml import parse, plain

REPOSITORY = Path(__file__).parents[1]
TEMPORARY = tempfile.TemporaryDirectory(prefix="saespec-hints-")
FOLDER = Path(TEMPORARY.name)

RAW = [
    "1", "0", "-3", "1.5", "2.0", "1e3", "1e-3", "1.0e+3", "0x10", "0o17", "1_000", "true", "false", "null", "yes", "x",
    '"1"', "'2.5'", "'1e-3'", "' 7 '", "'0x10'", "'true'", "'1_000'", "'x'", '"12345678901234567890"', "12e400", ".inf",
    "1e15", "123456789012345.0", "9007199254740993", "'9007199254740993'", "2020-01-01", "name", "Random", "adm", "l2",
    "[1]", "['1']", "[x]", "{a: 1}", "''", "'a: b'", '"[1"', "' '", "a#b", "'a #b'", "!!", "'1, 2'", "-", "'é'",
]  # fmt: skip
"""What somebody may write for a value, as it stands in the file."""


class Raw(str):
    """A value as it stands in the file."""


def tree_of(text: str) -> Any:
    root = parse(text, "f").root
    assert root is not None
    return plain(root)


def bases() -> Iterator[Any]:
    yield tree_of(GOOD)
    for name in ("small_transformer_residual", "toy_variations", "full/pythia_70m_mlp"):
        spec = load_whole(REPOSITORY / "specs" / f"{name}.yaml", root=REPOSITORY).spec
        whole = json.loads(spec.model_dump_json(exclude_unset=True, by_alias=True))
        yield {**whole, "figures": {}, "claims": {}}


BASES = [json.dumps(base) for base in bases()]


def dumped(tree: Any) -> str:
    """The tree as a text, one key a line, with raw values as they are."""
    raws: list[str] = []

    def marked(part: Any) -> Any:
        if isinstance(part, Raw):
            raws.append(str(part))
            return f"@{len(raws) - 1}@"
        if isinstance(part, dict):
            return {key: marked(value) for key, value in part.items()}
        return [marked(value) for value in part] if isinstance(part, list) else part

    text = json.dumps(marked(tree), indent=1)
    return re.sub(r'"@(\d+)@"', lambda found: raws[int(found[1])], text)


def problems(tree: Any) -> list[Problem]:
    try:
        load(write(FOLDER, dumped(tree)), root=FOLDER)
    except SpecError as error:
        return error.problems
    return []


def value(tree: Any, i: int, j: int) -> None:
    holder, key = places(tree)[i % len(places(tree))]
    holder[key] = Raw(RAW[j % len(RAW)])


def first_of_list(tree: Any, i: int, j: int) -> None:
    lists = [(holder, key) for holder, key in places(tree) if isinstance(holder[key], list) and holder[key]]
    if lists:
        holder, key = lists[i % len(lists)]
        holder[key] = holder[key][j % len(holder[key])]


def quoted(tree: Any, i: int, j: int) -> None:
    numbers = [
        (h, k) for h, k in places(tree) if isinstance(h[k], int | float) and not isinstance(h[k], bool)
    ]
    holder, key = numbers[i % len(numbers)]
    number = holder[key]
    forms = [f'"{number}"', f"'{number:e}'", f"{float(number)}", f"{float(number):e}", f"' {number}'"]
    holder[key] = Raw(forms[j % len(forms)])


def misspelt(tree: Any, i: int, j: int) -> None:
    keys = [(holder, key) for holder, key in places(tree) if isinstance(holder, dict) and len(key) > 2]
    holder, key = keys[i % len(keys)]
    at = j % (len(key) - 1)
    typos = [
        key[:at] + key[at + 1 :],
        key[:at] + key[at + 1] + key[at] + key[at + 2 :],
        key.upper(),
        f"{key}s",
    ]
    renamed(holder, key, typos[(i + j) % len(typos)])


def another_key(tree: Any, i: int, j: int) -> None:
    keys = [(holder, key) for holder, key in places(tree) if isinstance(holder, dict)]
    holder, key = keys[i % len(keys)]
    other = keys[j % len(keys)][1]
    if other not in holder:
        renamed(holder, key, other)


def at_the_top(tree: Any, i: int, j: int) -> None:
    keys = [(holder, key) for holder, key in places(tree) if isinstance(holder, dict) and holder is not tree]
    holder, key = keys[i % len(keys)]
    if key not in tree:
        tree[key] = holder.pop(key)


def leaf_in_sweep(tree: Any, i: int, j: int) -> None:
    """A field by its last name only, or with a typo."""
    paths = list(cell_fields())
    path = paths[i % len(paths)]
    at = j % len(path)
    name = [path.rpartition(".")[2], path[:at] + path[at + 1 :], path.upper()][j % 3]
    tree["sweep"] = {"grid": {name: [Raw(RAW[j % len(RAW)])]}}


MISTAKES = [value, first_of_list, quoted, misspelt, another_key, at_the_top, leaf_in_sweep]


def renamed(holder: dict[str, Any], key: str, new: str) -> None:
    items = [(new if k == key else k, v) for k, v in holder.items()]
    holder.clear()
    holder.update(items)


def at(tree: Any, path: str) -> tuple[Any, Any] | None:
    """Container and key of a problem's path; keys may have dots."""
    if isinstance(tree, list):
        head, _, rest = path.partition(".")
        if not head.isdigit() or int(head) >= len(tree):
            return None
        return at(tree[int(head)], rest) if rest else (tree, int(head))
    if isinstance(tree, dict):
        for key in sorted(tree, key=len, reverse=True):
            if path == key:
                return tree, key
            if path.startswith(f"{key}.") and (found := at(tree[key], path[len(key) + 1 :])):
                return found
    return None


def done(tree: Any, problem: Problem) -> Iterator[tuple[str, Any]]:
    """The path that a hint leads to, and the tree with what it proposes; one for each of its alternatives."""
    tree = copy.deepcopy(tree)
    hint = problem.hint
    if found := re.fullmatch(r"write (.*) without quotes", hint) or re.fullmatch(
        r'write (".*"|\[.*\]|[-+.\d]\S*)', hint
    ):
        holder, key = at(tree, problem.path) or (None, None)
        if holder is not None:
            holder[key] = Raw(found[1])
            yield problem.path, tree
    elif found := re.fullmatch(r"write to: (.*)", hint):
        for to in found[1].split(" or "):
            holder, key = at(tree, problem.path) or (None, None)
            assert holder is not None
            holder[key] = Raw(to)
            yield problem.path, tree
    elif found := re.fullmatch(r"did you mean (.*)\?", hint):
        for name in found[1].split(" or "):
            if made := _meant(copy.deepcopy(tree), problem, name):
                yield made


def _meant(tree: Any, problem: Problem, name: str) -> tuple[str, Any] | None:
    holder, key = at(tree, problem.path) or (None, None)
    if holder is None or ("is not a known key" not in problem.message and not isinstance(holder, dict)):
        return None
    if "is not a known key" in problem.message or "is no field" in problem.message:
        if "." in name and not problem.path.startswith("sweep."):
            sections = name.split(".")
            inner = tree
            moved = holder.pop(key)
            for section in sections[:-1]:
                if not isinstance(inner.setdefault(section, {}), dict):
                    return None  # a name in place of a section
                inner = inner[section]
            inner[sections[-1]] = moved
            return name, tree
        if case := re.match(r"sweep\.(cases|beside)\.(\d+)\.", problem.path):
            setting = tree["sweep"][case[1]][int(case[2])]
            if "." in name and holder is not setting:
                setting[name] = holder.pop(key)
                return case[0] + name, tree
        if name in holder:
            return None  # the right key is there too
        if key == "of" and "ratios" in holder:
            holder[key] = name
            return problem.path, tree
        renamed(holder, key, name)
        return problem.path[: len(problem.path) - len(str(key))] + name, tree
    if isinstance(holder[key], str):  # a value
        holder[key] = Raw(name)
        return problem.path, tree
    return None


NO_KEY = r"is not a known key|is no field of a cell"
BOUND = r"(at least|at most|more than|less than) (?!2\^53)[-\d]"
WRONG = rf"{NO_KEY}|must be (a |text|one of|true|{BOUND})|.*is not a valid name"
"""Not what fields are together, such as more active features than there are."""


@settings(deadline=None, max_examples=500)
@given(
    st.integers(0, len(BASES) - 1),
    st.integers(0, len(MISTAKES) - 1),
    st.integers(0, 2**30),
    st.integers(0, 2**30),
)
def test_what_a_hint_proposes_is_right(base: int, mistake: int, i: int, j: int) -> None:
    tree = json.loads(BASES[base])
    MISTAKES[mistake](tree, i, j)
    for problem in problems(tree):
        said = [
            [p for p in problems(mended) if p.path == path and re.match(WRONG, p.message)]
            for path, mended in done(tree, problem)
        ]
        wrong = [p for p in said if p]
        if re.match(NO_KEY, problem.message) and not any(left == [] for left in said):
            # A value that no field of that name takes either: it is told of when it stands in its place.
            wrong = [p for p in wrong if re.match(NO_KEY, p[0].message)]
        assert not wrong, (str(problem), wrong)


@pytest.mark.parametrize("tree", BASES)
def test_the_specs_are_right_before(tree: str) -> None:
    assert problems(json.loads(tree)) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: toy_mmcs", "name: 1e3", "must be text, not 1e3 (lower-case letters, digits and _ only,"),
        ("title: Recov", "title: 1.50 # ", 'must be text, not 1.50 (write "1.50")'),
        ("steps: 5000", "steps: 5e3", "must be a whole number, not 5e3 (write 5000)"),
        ("steps: 5000", "steps: 5000.5", "must be a whole number, not 5000.5"),
        ("weights: untied", "weights: 0x1", "must be one of untied, tied, not 0x1"),
        ("dim: 64", 'dim: "0x40"', 'not the text "0x40" (write 0x40 without quotes)'),
    ],
)
def test_messages_are_in_the_words_that_were_written(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in "\n".join(map(str, problems_of(tmp_path, edit(old, new))))
