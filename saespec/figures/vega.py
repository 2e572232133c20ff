"""The drawing library: Vega-Lite to SVG to PNG, here or in a process of its own.

Run as a program, this file draws what comes on standard input, a chart a line, and answers each with a line: "" or
what went wrong. So a chart that takes all memory, or has no end, ends that process and not its caller.
"""

from __future__ import annotations

import json
import os
import re
import select
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

VEGA_LITE = "6.4"
"""Version of Vega-Lite that draws; the schema that validates comes with Altair and is of the same version."""

MOST_PIXELS = 25_000_000
"""Of an SVG: a PNG has four times as many, of four bytes. What is too large ends the process, without an error."""

IDLE_SECONDS = 10.0
"""How long the drawing process waits for another chart before it ends."""


class NotDrawn(Exception):
    """A chart that cannot be drawn, with what the library says about it, in a line."""


@cache
def versions() -> tuple[str, ...]:
    """Versions of the libraries that validate charts and draw them."""
    from importlib.metadata import version

    return version("vl-convert-python"), version("altair")


def svg(chart: str) -> str:
    """Draw a whole Vega-Lite chart, given as JSON. Raises NotDrawn."""
    import vl_convert

    # Of an error while rows are transformed, the library tells standard error only, and draws half a chart.
    with _errors_told() as told:
        try:
            drawn = vl_convert.vegalite_to_svg(chart, vl_version=VEGA_LITE, allowed_base_urls=[])
        except BaseException as error:  # a panic of the library is no Exception
            told.append(_said(error))
    if told:
        raise NotDrawn(_reason(told[0]))
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', drawn)
    if size and float(size[1]) * float(size[2]) > MOST_PIXELS:
        raise NotDrawn(
            f"it is {float(size[1]):,.0f} by {float(size[2]):,.0f} pixels large, more than fit an image"
        )
    return drawn


def png(drawn: str) -> bytes:
    """Paint an SVG at twice its size. Raises NotDrawn."""
    import vl_convert

    try:
        return vl_convert.svg_to_png(drawn, scale=2, ppi=72)
    except BaseException as error:
        raise NotDrawn(_reason(_said(error))) from error


def _said(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    return str(error)


def _reason(said: str) -> str:
    """`Unrecognized scheme name: x` of a message with a stack of calls."""
    lines = [line for line in said.splitlines() if line and not line.endswith("conversion failed:")]
    return re.sub(r"^(ERROR )?(Error: )?", "", lines[0]) if lines else "the library does not say why"


@contextmanager
def _errors_told() -> Iterator[list[str]]:
    """What the library writes to standard error as an error; other lines go where they would have gone."""
    told: list[str] = []
    try:
        before = os.dup(2)
    except OSError:  # closed: nobody hears it
        yield told
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield told
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            lines = file.read().decode(errors="replace").splitlines()
            errors = [line for line in lines if line.startswith("ERROR ")]
            told[:0] = errors
            if lines and not errors:
                sys.stderr.write("\n".join([*lines, ""]))


def _serve() -> None:
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        try:
            png(svg(line))
            answer = ""
        except NotDrawn as error:
            answer = str(error)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
