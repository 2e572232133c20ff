"""What is wrong with a figure's chart: what Vega-Lite's schema refuses, and what saespec does."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .layers import Keys, faults

# Of Vega's expression functions, those that give another value each time.
_UNSTABLE = re.compile(
    r"\b(?:(random|now|sampleNormal|sampleLogNormal|sampleUniform)\s*\(|(datetime)\s*\(\s*\))"
)
# And those that ask for what is around a chart on a page.
_AROUND = re.compile(r"\b(containerSize|windowSize|screen)\s*\(")
EXPRESSIONS = frozenset({"calculate", "expr", "filter", "labelExpr", "signal", "test"})
"""Fields whose texts are Vega's expressions."""
_LOGIC = ("and", "not", "or")
"""What combines the expressions of `filter` and `test`."""
_LITERAL = ("datasets", "datum", "usermeta", "values")
"""What holds rows, values and notes, whose keys mean nothing to Vega-Lite."""

_OUTSIDE = "nothing may be read from outside of the results"
_NO_PAGE = "there is no page around a drawn figure"

FONT = "Liberation Sans"
"""The only font that comes with what draws; others are those of the machine, if it has them."""


@dataclass(frozen=True)
class Refusal:
    """A part of a chart that a spec may not use."""

    keys: Keys
    """Where, as keys from the chart's root."""
    message: str


def refused(chart: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield what the language does not allow in `vega_lite`, though Vega-Lite might.

    Data comes from the figure's query (layers may bring literal `values`), never from a URL; nothing may
    change from one drawing to the next.
    """
    for key, instead in (("data", "the rows of `sql` are the data"), ("title", "use the figure's `title`")):
        if key in chart:
            yield Refusal((key,), instead)
    if isinstance(other := chart.get("usermeta"), Mapping) and "saespec" in other:
        yield Refusal(("usermeta", "saespec"), "saespec writes there where the chart came from")
    yield from _refused_within(chart, ())
    yield from (Refusal(keys, message) for keys, message in faults(chart))
    named = {*chart.get("datasets", ()), *(name for _, name, own in _data(chart, ()) if own)}
    for keys, name, own in _data(chart, ()):
        if not own and name not in named:
            yield Refusal((*keys, "name"), f"no literal `values` and no `datasets` are called {name}")


def _data(part: Any, keys: Keys) -> Iterator[tuple[Keys, str, bool]]:
    """Where a chart names rows, what it calls them, and whether it has them there."""
    if isinstance(part, list):
        for index, item in enumerate(part):
            yield from _data(item, (*keys, index))
    elif isinstance(part, Mapping):
        for key, value in part.items():
            here = (*keys, key)
            if key == "data" and isinstance(value, Mapping):
                if isinstance(name := value.get("name"), str):
                    yield here, name, not value.keys() <= {"name", "format"}
            elif key not in _LITERAL:
                yield from _data(value, here)


def _refused_within(part: Any, keys: Keys) -> Iterator[Refusal]:
    if isinstance(part, list):
        for index, item in enumerate(part):
            yield from _refused_within(item, (*keys, index))
    if isinstance(part, str) and _is_expression(keys):
        if found := _UNSTABLE.search(part):
            yield Refusal(keys, f"{found[1] or found[2]}() gives another chart each time")
        if found := _AROUND.search(part):
            yield Refusal(keys, f"{found[1]}(): {_NO_PAGE}")
    elif isinstance(part, str) and re.match(r"\s*url\s*\(", part, re.IGNORECASE):
        yield Refusal(keys, _OUTSIDE)  # as a colour: who looks at the SVG would fetch it
    if not isinstance(part, Mapping):
        return
    mark = part.get("mark")
    if mark == "image" or (isinstance(mark, Mapping) and mark.get("type") == "image"):
        yield Refusal((*keys, "mark"), "images come from outside of the results")
    if "sample" in part and keys[-2:-1] == ("transform",):
        yield Refusal((*keys, "sample"), "a sample is another one each time: sample in `sql` with a seed")
    for key, value in part.items():
        here = (*keys, key)
        if message := _unwelcome(here, value):
            yield Refusal(here, message)
        if key not in _LITERAL and not (key == "value" and isinstance(value, list)):
            yield from _refused_within(value, here)


def _unwelcome(keys: Keys, value: Any) -> str:
    """Why a field of a chart is refused, with what to do instead; "" if it is not.

    Besides what reaches outside, that is what a drawn figure has no place for: Vega-Lite's schema allows it,
    and drawing it fails or leaves it out.
    """
    key, above = keys[-1], keys[-2:-1]
    if key == "url":
        return _OUTSIDE
    if key == "href":
        return "a drawn figure has no links: put the address into `caption`"
    if key == "time" and above == ("encoding",):
        return "a drawn figure does not move: use `facet`, `row` or `column`"
    if key == "bind" and isinstance(value, Mapping):
        return "a drawn figure has no controls: leave `bind` out, and the param keeps its `value`"
    if key in ("width", "height") and value == "container":
        return f"{_NO_PAGE}: give a number of pixels"
    if isinstance(key, str) and key.lower().endswith("font") and isinstance(value, str):
        first = value.split(",")[0].strip(" '\"")
        if first != FONT:
            return f"{first} is not the same on every machine, as {FONT} is: leave `{key}` out"
    return ""


def _is_expression(keys: Keys) -> bool:
    """Whether a text at this place is one of Vega's expressions, also within `and`, `or` and `not`."""
    named = [key for key in keys if isinstance(key, str) and key not in _LOGIC]
    return bool(named) and named[-1] in EXPRESSIONS


def complaint(vega_lite: Mapping[str, Any]) -> str:
    """Return what Vega-Lite's schema has against a figure's chart, "" if nothing.

    The chart is judged as the author wrote it: rows, title and theme are added later and known to be right
    (a test draws with them), while each of the schema's many alternatives would check them anew.
    """
    chart = {"data": {"values": []}, **vega_lite}
    if _validator().is_valid(chart):
        return ""
    # Altair finds, among the many alternatives of the schema, the one that was meant; it takes 0.3 s to load.
    import altair
    import jsonschema

    try:
        altair.Chart.from_dict(chart)
    except (jsonschema.ValidationError, altair.utils.schemapi.SchemaValidationError) as error:
        where = ".".join(str(key) for key in error.absolute_path)
        message = _allowed(error, chart) or str(error.message)
        return f"{where}: {message}" if where else message
    return "it is not a Vega-Lite chart"


def _allowed(error: Any, chart: Mapping[str, Any]) -> str:
    """Message about a wrong word with all the right ones, which the schema spreads over alternatives."""
    if error.validator not in ("const", "enum"):
        return ""
    words: dict[str, None] = {}
    for leaf in _leaves(_validator().iter_errors(chart)):
        if leaf.absolute_path == error.absolute_path and leaf.validator in ("const", "enum"):
            allowed = leaf.validator_value if leaf.validator == "enum" else [leaf.validator_value]
            words.update(dict.fromkeys(str(word) for word in allowed))
    close = difflib.get_close_matches(str(error.instance), words, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{error.instance!r} is none of {', '.join(sorted(words))}{hint}"


def _leaves(errors: Iterable[Any]) -> Iterator[Any]:
    for error in errors:
        if error.context:
            yield from _leaves(error.context)
        else:
            yield error


@cache
def _validator() -> Any:
    from jsonschema import Draft7Validator

    return Draft7Validator(json.loads(_schema_file().read_bytes()))


def _schema_file() -> Path:
    """Vega-Lite's JSON Schema, which Altair brings; found without importing Altair."""
    package = find_spec("altair")
    assert package is not None
    assert package.submodule_search_locations
    (file,) = Path(package.submodule_search_locations[0]).glob("vegalite/*/schema/vega-lite-schema.json")
    return file
