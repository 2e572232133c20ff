"""The page: a template, a style, scripts and Vega, all in one file that asks nothing of the network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from saespec.figures.theme import CONFIG
from saespec.figures.vega import VEGA_LITE

from .content import Section

_SCRIPTS = ("data", "figures", "grid", "cells", "latents", "main")
"""Files in `script/`, in the order in which they need each other."""


def page(sections: Sequence[Section]) -> str:
    """Return the HTML of these specs' results: the same results give the same bytes."""
    import jinja2

    here = files(__package__)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (here / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"json": _json, "number": _number, "paragraphs": _paragraphs}
    scripts = "\n".join((here / "script" / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    return environment.get_template("page.html.jinja").render(
        sections=sections,
        style=(here / "style.css").read_text(encoding="utf-8"),
        look={**CONFIG, "background": "transparent"},
        script=scripts,
        vega=_vega(),
    )


def _vega() -> str:
    """Vega, Vega-Lite and what embeds charts, as they come with what draws the figures."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("globalThis.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    assert "</script" not in bundle.lower()
    return bundle


def _json(value: Any) -> Any:
    """JSON that may stand in a script element, whatever the texts in it say."""
    import markupsafe

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return markupsafe.Markup(text)


def _number(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "NULL" if value is None else str(value).lower()
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
    )


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
