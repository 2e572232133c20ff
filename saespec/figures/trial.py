"""Drawing a chart before there are results: on made-up rows of the types that its query gives.

Much that Vega-Lite's schema allows fails only when it is drawn: a colour scheme, an expression, a format that does
not exist. A chart that was drawn once is remembered, so it costs nothing again.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from saespec.results.query import Rows
from saespec.results.remembered import Remembered, hashed

from . import vega
from .chart import EXPRESSIONS
from .draw import dressed
from .picture import Picture

ROWS = 12
MOST_SECONDS = 20.0
"""A chart that takes longer to draw is refused; a usual one takes 20 ms."""

_HINTS = (
    ("Unrecognized signal name", "a column is written `datum.NAME`; other names are those of `params`"),
    ("Unrecognized function", "Vega's expressions know its own functions only"),
    ("Unrecognized scheme name", "Vega's schemes are viridis, blues, redblue, tableau10 and others"),
    ("invalid format", "numbers take a format such as .2f or ,d; dates need `type: temporal`"),
    (
        "Invalid SVG path",
        "a shape is circle, square, cross, diamond, triangle-up or the like, or an SVG path",
    ),
)
_HINT = "change that part of the chart; it was drawn on made-up rows of the query's columns"


class Trials:
    """Drawings of a spec's charts; those that went well are remembered."""

    def __init__(self, remembered: Remembered) -> None:
        self._remembered = remembered

    def knows(self, figure: Picture, rows: Rows) -> bool:
        """Whether this chart was drawn already: Vega-Lite's schema had nothing against it either."""
        return self._remembered.knows(_key(figure, rows))

    def complaint(self, figure: Picture, rows: Rows) -> tuple[str, str]:
        """Return why a chart cannot be drawn, and what to do about it; two "" if it can be.

        `rows` are those that the query gives on empty tables: their types count.
        """
        text = _text(figure, _made_up(rows, figure.vega_lite))
        said = _artist.complaint(text)
        if said and _reads_texts(figure.vega_lite, rows) and not _artist.complaint(_text(figure, rows)):
            said = ""  # texts that are really there may go well
        if not said:
            self._remembered.add(_key(figure, rows))
            return "", ""
        return said, next((hint for start, hint in _HINTS if said.startswith(start)), _HINT)


def _text(figure: Picture, rows: Rows) -> str:
    # Words above a chart change often, and cannot be wrong.
    plain = replace(figure, title="T", caption="")
    return json.dumps(dressed(plain, figure.vega_lite, rows), sort_keys=True)


def _key(figure: Picture, rows: Rows) -> str:
    """What a drawing depends on: chart, columns and their types, the house look, the libraries."""
    told = [vega.versions(), rows.types, _text(figure, Rows(rows.columns, rows.types, ()))]
    return hashed(told)


def _made_up(rows: Rows, vega_lite: Mapping[str, Any]) -> Rows:
    """Rows with the same columns; none if a column has a type that nothing is made up for."""
    # A bin far smaller than the values would make millions of them.
    unit = min([0.25, *_bin_steps(vega_lite)])
    columns = [_values(kind, unit) for kind in rows.types]
    return Rows(rows.columns, rows.types, tuple(zip(*columns, strict=True)) if all(columns) else ())


def _values(kind: str, unit: float) -> list[Any]:
    if kind.endswith("[]"):
        return [[value] * 3 for value in _values(kind[:-2], unit)]
    numbers = range(1, ROWS + 1)
    match kind.partition("(")[0]:
        case "BOOLEAN":
            return [n % 2 == 0 for n in numbers]
        case "FLOAT" | "DOUBLE" | "DECIMAL" | "INTERVAL":
            return [n * unit for n in numbers]
        case "VARCHAR" | "ENUM" | "UUID":
            return ["abc"[n % 3] for n in numbers]
        case "DATE":
            return [f"2000-01-{n:02}" for n in numbers]
        case "TIME":
            return [f"00:00:{n:02}" for n in numbers]
    if kind.startswith("TIMESTAMP"):
        return [f"2000-01-01T00:00:{n:02}" for n in numbers]
    if kind.endswith(("INT", "INTEGER")):
        return [4 ** (n % 4) for n in numbers]
    return []


def _bin_steps(part: Any) -> Iterator[float]:
    for keys, value in _leaves(part, ()):
        if keys[-2:] == ("bin", "step") and isinstance(value, int | float) and value > 0:
            yield value


def _reads_texts(vega_lite: Mapping[str, Any], rows: Rows) -> bool:
    """Whether drawing may depend on what the texts of the rows are: they are shapes, or an expression reads them."""
    if not any(re.match("VARCHAR|ENUM|.*[])]$", kind) for kind in rows.types):
        return False
    return any(
        (keys[-1] == "scale" and value is None) or EXPRESSIONS.intersection(map(str, keys))
        for keys, value in _leaves(vega_lite, ())
    )


def _leaves(part: Any, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    items = part.items() if isinstance(part, Mapping) else enumerate(part) if isinstance(part, list) else None
    if items is None:
        yield keys, part
        return
    for key, value in items:
        yield from _leaves(value, (*keys, key))


class _Artist:
    """The process that draws: started when first needed, ended with this one or when it has long been idle."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def complaint(self, text: str) -> str:
        """Return why a chart cannot be drawn; "" if it can."""
        answer, process = self._asked(text)
        if not answer and process.returncode == 0:
            answer, process = self._asked(text)  # it had been idle for too long just then
        if answer:
            said: str = json.loads(answer)
            return said
        if process.returncode > 0:
            return ""  # it did not come to drawing; whoever draws the results will see why
        return f"it takes all memory, or more than {MOST_SECONDS:g} s"

    def _asked(self, text: str) -> tuple[str, subprocess.Popen[str]]:
        process = self._running()
        assert process.stdin
        assert process.stdout
        clock = threading.Timer(MOST_SECONDS, process.kill)
        clock.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(text + "\n")
                process.stdin.flush()
            answer = process.stdout.readline()
        except BaseException:
            process.kill()
            self.close()
            raise
        finally:
            clock.cancel()
        if not answer:
            self.close()
        return answer, process

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", vega.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
            )
        return self._process

    def close(self) -> None:
        """End the process; it ends by itself when nobody can send it a chart."""
        process, self._process = self._process, None
        if process is not None and process.stdin and process.stdout:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
            process.stdout.close()


_artist = _Artist()
atexit.register(_artist.close)
