"""What commands print: text for people, JSON for programs. Standard output is for results alone."""

from __future__ import annotations

import json as json_
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from saespec.errors import Problem, SpecError

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
_SECONDS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def say(text: str = "") -> None:
    """Print a result."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print a diagnostic."""
    print(text, file=sys.stderr, flush=True)


def json(value: Any) -> None:
    """Print JSON as the command's whole output."""
    print(json_.dumps(value, indent=2, ensure_ascii=False, allow_nan=False), flush=True)


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Return text in a colour, if the stream (standard output by default) is a terminal that wants it."""
    stream = stream or sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def width() -> int:
    """Columns of the terminal; 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """Return text in lines that fit, the first one begun with `first`, the others with `rest`."""
    return textwrap.fill(
        " ".join(text.split()),
        max(40, width()),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def table(rows: Iterable[Sequence[Any]], header: Sequence[str] = (), indent: str = "") -> str:
    """Return rows in columns; numbers stand to the right."""
    texts = [[_cell(value) for value in row] for row in rows]
    numeric = [
        all(isinstance(value, int | float) or value is None for value in column)
        for column in zip(*rows, strict=True)
    ]
    lines = [list(header), *texts] if header else texts
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = numeric or [False] * len(widths)
    return "\n".join(
        indent
        + "  ".join(
            text.rjust(w) if right else text.ljust(w)
            for text, w, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return number(value) if isinstance(value, float) else " ".join(str(value).split())


def number(value: Any) -> str:
    """Return a number as a person reads it: four significant digits, all of an integer."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def numbers(row: Mapping[str, Any]) -> str:
    """Return a claim's row: `width = 31.62, best = 0.99`."""
    return ", ".join(f"{key} = {number(value)}" for key, value in row.items())


def count(many: int, word: str) -> str:
    """Return `1 cell`, `65 cells`."""
    return f"{many:,} {word}" if many == 1 else f"{many:,} {word}s"


def duration(seconds: float) -> str:
    """Return `0.8 s`, `12 s`, `1 min 40 s`, `3 h 20 min`."""
    if seconds < 9.5:
        return f"{max(seconds, 0.1):.1f} s"
    left, parts = round(seconds), []
    for length, unit in _SECONDS:
        if left >= length:
            parts.append(f"{left // length} {unit}")
            left %= length
    return " ".join(parts[:2])


def size(count_of_bytes: float) -> str:
    """Return `12 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count_of_bytes < 1000:
            return f"{count_of_bytes:.3g} {unit}"
        count_of_bytes /= 1000
    return f"{count_of_bytes:.3g} TB"


def problems_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems as JSON objects: file, line, column, path, message, hint."""
    keys = ("file", "line", "column", "path", "message", "hint")
    return [{key: getattr(problem, key) for key in keys} for problem in problems]


def coloured_problems(error: SpecError) -> str:
    """Return a spec's problems with their lines; places in bold, carets in red on a terminal."""
    lines = []
    for line in str(error).splitlines():
        if re.fullmatch(r" *\| *\^", line):
            line = line.replace("^", paint("^", "red", sys.stderr))
        elif found := re.match(r"\S+:\d+:\d+(?=  )", line):
            line = paint(found[0], "bold", sys.stderr) + line[found.end() :]
        lines.append(line)
    return "\n".join(lines)
