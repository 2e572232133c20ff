"""Problems as text: where, what, and the offending line with a caret. The CLI adds colour."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from saespec.errors import Problem, SpecError

from .yaml import lines

_WIDTH = 100


class SpecFileError(SpecError):
    """A SpecError that knows the texts its problems point into."""

    def __init__(self, problems: list[Problem], texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        super().__init__(problems)

    def __str__(self) -> str:
        return render(self.problems, self.texts)


def render(problems: Iterable[Problem], texts: Mapping[str, str]) -> str:
    """One paragraph for each problem, without a last newline.

    specs/toy.yaml:5:3  data.dimm: is not a known key (did you mean dim?)
      5 |   dimm: 64
        |   ^
    """
    split = {file: lines(text) for file, text in texts.items()}
    return "\n".join("\n".join([str(problem), *_snippet(problem, split)]) for problem in problems)


def _snippet(problem: Problem, split: Mapping[str, list[str]]) -> list[str]:
    source = split.get(problem.file, [])
    if problem.line > len(source) or not source[problem.line - 1].strip():
        return []
    line = source[problem.line - 1].replace("\t", " ")
    start = max(0, problem.column - _WIDTH + 20)
    shown = line[start : start + _WIDTH]
    number = str(problem.line).rjust(3)
    gap = " " * sum(_cells(c) for c in shown[: problem.column - 1 - start])
    return [f"{number} | {shown.rstrip()}", f"{' ' * len(number)} | {gap}^"]


def _cells(character: str) -> int:
    """Columns that a terminal gives to a character."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
