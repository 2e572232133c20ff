"""What a figure's scales cannot show is left out, and counted in words."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import duckdb
import pytest
from figures_sample import connection, figure
from hypothesis import given, settings
from hypothesis import strategies as st

from saespec.figures.draw import Drawing, draw
from saespec.figures.shown import shown
from saespec.results.query import select

QUANTITATIVE = {"type": "quantitative"}
LOG = {"type": "quantitative", "scale": {"type": "log"}}
POINTS = {"mark": "point", "encoding": {"x": {"field": "i", **QUANTITATIVE}, "y": {"field": "v", **LOG}}}


@pytest.fixture(scope="module")
def tables() -> duckdb.DuckDBPyConnection:
    return connection()


def rows_of(**columns: list[float | None]) -> str:
    """SQL that gives these columns, and a row's number as `i`."""

    def literal(value: float | None) -> str:
        return "null::double" if value is None else f"'{value}'::double"

    lines = [
        f"({i}, {', '.join(map(literal, row))})" for i, row in enumerate(zip(*columns.values(), strict=True))
    ]
    return f"select * from (values {', '.join(lines)}) t(i, {', '.join(columns)})"


def drawn(tables: duckdb.DuckDBPyConnection, sql: str, chart: dict[str, Any], caption: str = "") -> Drawing:
    return draw(replace(figure(sql, **chart), caption=caption), "f", tables)


def told(drawing: Drawing) -> list[str]:
    return json.loads(drawing.chart).get("usermeta", {}).get("saespec", {}).get("not_drawn", [])


def words(drawing: Drawing) -> list[str]:
    """Texts in the picture."""
    return re.findall(r">([^<>\n]+)</(?:text|tspan)>", drawing.svg.decode())


def marks(drawing: Drawing, kind: str) -> int:
    found = re.findall(rf'aria-roledescription="{kind}(?: mark)?"', drawing.svg.decode())
    return len(found)


def test_a_zero_on_a_log_scale_is_left_out_and_said_under_the_caption(tables):
    chart = POINTS | {"mark": {"type": "line", "point": True}}
    drawing = drawn(tables, rows_of(v=[1, 10, 0, 100, 1000]), chart, "A caption.")
    text = "1 of 5 values of v is 0 and not drawn"
    assert told(drawing) == [text]
    assert json.loads(drawing.chart)["title"]["subtitle"] == ["A caption.", text]
    assert words(drawing).index("A caption.") + 1 == words(drawing).index(text)
    assert marks(drawing, "point") == 4
    assert {"1", "10", "100", "1,000"} <= set(words(drawing)), "the axis has its decades"
    (line,) = re.findall(r'aria-roledescription="line mark" d="([^"]+)"', drawing.svg.decode())
    assert line.count("M") == 2, "the line breaks where the 0 is"
    assert "not_drawn" not in drawing.svg.decode()


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (
            [1, 2, 0, 0, -1, None, math.nan, math.inf, -math.inf, 3],
            [
                "1 of 10 values of v is NULL and not drawn",
                "1 of 10 values of v is NaN and not drawn",
                "2 of 10 values of v are infinite and not drawn",
                "2 of 10 values of v are 0 and not drawn",
                "1 of 10 values of v is negative and not drawn",
            ],
        ),
        (
            [-1, -10, 0],
            ["nothing to draw: 1 of 3 values of v is 0; 2 of 3 values of v are negative"],
        ),
        ([1] * 1200 + [None] * 1100, ["1,100 of 2,300 values of v are NULL and not drawn"]),
        ([1, 10], []),
        ([0, math.nan], ["nothing to draw: 1 of 2 values of v is NaN; 1 of 2 values of v is 0"]),
    ],
)
def test_the_words(tables, values, texts):
    assert told(drawn(tables, rows_of(v=values), POINTS)) == texts


def test_a_chart_that_shows_everything_is_the_authors_own(tables):
    assert shown(POINTS, select(tables, rows_of(v=[1, 2]))).chart is POINTS
    linear = {"mark": "point", "encoding": {"y": {"field": "v", **QUANTITATIVE}}}
    with_null = shown(linear, select(tables, rows_of(v=[0, None])))
    assert with_null.chart is linear, "Vega-Lite leaves NULL out by itself"
    assert with_null.not_drawn == ("1 of 2 values of v is NULL and not drawn",)


@pytest.mark.parametrize(
    ("sql", "chart", "text"),
    [
        ("select 1 as i, 2 as v where false", POINTS, "nothing to draw: the query gives no rows"),
        (
            "select 1 as i, 2 as v where false",
            {"facet": {"field": "i", "type": "nominal"}, "spec": POINTS},
            "nothing to draw: the query gives no rows",
        ),
        (rows_of(v=[None, None]), POINTS, "nothing to draw: 2 of 2 values of v are NULL"),
        (
            rows_of(v=[1, 0], w=[None, 1]),
            POINTS | {"encoding": {"x": {"field": "w", **QUANTITATIVE}, "y": {"field": "v", **LOG}}},
            "nothing to draw: 1 of 2 values of w is NULL; 1 of 2 values of v is 0",
        ),
    ],
)
def test_a_picture_without_anything_to_draw_says_so(tables, sql, chart, text):
    drawing = drawn(tables, sql, chart | {"usermeta": {"own": 1}})
    assert told(drawing) == [text]
    assert json.loads(drawing.chart)["usermeta"]["own"] == 1
    found = " ".join(words(drawing))
    assert text in found
    assert "NaN" not in drawing.svg.decode()


def test_literal_rows_are_drawn_though_the_query_gives_none(tables):
    rule = {
        "mark": "rule",
        "data": {"values": [{"y": 0.2}]},
        "encoding": {"y": {"field": "y", **QUANTITATIVE}},
    }
    drawing = drawn(tables, "select 1 as i, 2 as v where false", {"layer": [POINTS, rule]})
    assert told(drawing) == ["the query gives no rows"]
    assert marks(drawing, "rule") == 1


def layer(*layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"layer": list(layers), **more}


def unit(
    mark: str = "point", transform: list[dict[str, Any]] | None = None, **encoding: Any
) -> dict[str, Any]:
    return {"mark": mark, "encoding": encoding} | ({"transform": transform} if transform else {})


V, V_LOG, I = ({"field": "v", **QUANTITATIVE}, {"field": "v", **LOG}, {"field": "i", **QUANTITATIVE})  # noqa: E741
ONE_ZERO = ["1 of 5 values of v is 0 and not drawn"]
ONE_NULL = ["1 of 5 values of v is NULL and not drawn"]
ON_LOG = ["1 of 5 values of v is 0 and not drawn on the log scale"]


@pytest.mark.parametrize(
    ("chart", "texts"),
    [
        pytest.param(unit(y=V_LOG), ONE_NULL + ONE_ZERO, id="log"),
        pytest.param(unit(y=V), ONE_NULL, id="linear"),
        pytest.param(unit(y=V | {"scale": {"type": "symlog"}}), ONE_NULL, id="symlog"),
        pytest.param(unit(y={"field": "v", "scale": {"type": "log"}}), ONE_NULL + ONE_ZERO, id="type by scale"),
        pytest.param(unit(y={"field": "v"}), [], id="nominal by default"),
        pytest.param(unit(y={"field": "v", "type": "ordinal"}), [], id="NULL is a category"),
        pytest.param(unit(y=V | {"scale": None}), [], id="no scale"),
        pytest.param(unit(y=I, text=V, mark="text"), [], id="a text is on no scale"),
        pytest.param(unit(x=I, y=I, color=V_LOG), ONE_NULL + ONE_ZERO, id="color"),
        pytest.param(unit("line", x=I, y=I, color=V), [], id="a line is drawn without its colour"),
        pytest.param(layer(unit("line", x=I), unit(), encoding={"y": V_LOG}), ONE_NULL + ONE_ZERO, id="inherited"),
        pytest.param(
            layer(unit("rule", y={"field": "i", **LOG}), unit(y=V)),
            ["1 of 5 values of i is 0 and not drawn", *ONE_NULL, *ONE_ZERO],
            id="layers share a scale",
        ),
        pytest.param(
            layer(unit(x=I, y={"datum": 3, **LOG}), unit(x=I, y=V), resolve={"scale": {"y": "independent"}}),
            ONE_NULL,
            id="independent scales",
        ),
        pytest.param({"hconcat": [unit(y=V_LOG), unit(y=V)]}, ONE_NULL + ON_LOG, id="shown beside"),
        pytest.param({"hconcat": [unit(y=V_LOG), unit(y=V_LOG)]}, ONE_NULL + ONE_ZERO, id="shown nowhere"),
        pytest.param(
            {"facet": {"field": "i", "type": "nominal"}, "spec": unit(y=V_LOG)}, ONE_NULL + ONE_ZERO, id="facet"
        ),
        pytest.param(unit(y=V | {"aggregate": "mean", "scale": {"type": "log"}}), ONE_NULL, id="a mean has the 0"),
        pytest.param(unit(y=V | {"aggregate": "count"}), [], id="a count has NULL too"),
        pytest.param(unit(x=V | {"bin": True}, y={"aggregate": "count"}), ONE_NULL, id="bins"),
        pytest.param(unit(x=I, y=I, color=V | {"bin": True}), [], id="a bin of NULL has a colour"),
        pytest.param(unit(y=V_LOG, transform=[{"calculate": "datum.v + 1", "as": "v"}]), [], id="made"),
        pytest.param(
            unit(y=V_LOG, transform=[{"calculate": "datum.v + 1", "as": "w"}]), ONE_NULL + ONE_ZERO, id="made beside"
        ),
        pytest.param(
            unit(y=V_LOG, transform=[{"aggregate": [{"op": "mean", "field": "v", "as": "m"}], "groupby": ["v"]}]),
            [],
            id="made rows",
        ),
        pytest.param(
            unit(y=V_LOG, transform=[{"filter": "datum.i < 9"}]),
            ["values of v that are NULL are not drawn", "values of v that are 0 are not drawn"],
            id="filtered",
        ),
        pytest.param(unit(y=V, transform=[{"filter": "isValid(datum.v)"}]), [], id="filtered on purpose"),
        pytest.param(unit({"type": "point", "invalid": None}, y=V_LOG), [], id="the author decides"),
        pytest.param(
            unit(y=V | {"scale": {"type": "log", "domain": [1, 9], "clamp": True}}), ONE_NULL, id="clamped to an end"
        ),
        pytest.param(
            unit(y=V | {"scale": {"type": "log", "domain": [2, 9]}}), ONE_NULL + ONE_ZERO, id="out of a domain"
        ),
        pytest.param(
            unit(y=V | {"scale": {"type": "log", "domain": [-9, -1]}}), ONE_NULL, id="a negative domain"
        ),
        pytest.param(unit("area", x=I, y=V, color={"field": "i", "type": "nominal"}), [], id="NULL stacked is 0"),
        pytest.param(unit("boxplot", y=V_LOG), ONE_NULL, id="a box plot has the 0"),
        pytest.param(
            layer(
                unit(y=I),
                unit(y={"field": "y", **LOG}) | {"data": {"values": [{"y": 0}, {"y": 1}]}},
                resolve={"scale": {"y": "independent"}},
            ),
            ["1 of 2 values of y is 0 and not drawn"],
            id="literal rows",
        ),
    ],
)  # fmt: skip
def test_what_is_judged(tables, chart, texts):
    assert told(drawn(tables, rows_of(v=[1, 10, None, 0, 100]), chart)) == texts


def test_a_range_with_one_end_is_not_drawn(tables):
    ends = {"x": {"field": "a", **LOG}, "x2": {"field": "b"}, "y": {"field": "i", "type": "ordinal"}}
    sql = rows_of(a=[1, 1, 1, 0, 10], b=[10, None, 0, 10, 100])
    drawing = drawn(tables, sql, {"mark": "rule", "encoding": ends})
    assert told(drawing) == [
        "1 of 5 values of a is 0 and not drawn",
        "1 of 5 values of b is NULL and not drawn",
        "1 of 5 values of b is 0 and not drawn",
    ]
    assert marks(drawing, "rule") == 2


def test_columns_of_any_name(tables):
    sql = 'select unnest([0, 1, 10]) as "a.b ""c"" [d]é"'
    drawing = drawn(tables, sql, unit(y={"field": r'a\.b "c" \[d\]é', **LOG}))
    assert told(drawing) == ["""1 of 3 values of a.b "c" [d]é is 0 and not drawn"""]
    assert marks(drawing, "point") == 2


def test_long_words_wrap(tables):
    names = ["a" * 60, "b" * 60]
    chart = unit(x={"field": names[0], **LOG}, y={"field": names[1], **LOG})
    drawing = drawn(tables, rows_of(**{name: [0, 1] for name in names}), chart)
    lines = json.loads(drawing.chart)["title"]["subtitle"]
    assert " ".join(lines) == " ".join(f"1 of 2 values of {name} is 0 and not drawn" for name in names)
    assert max(map(len, lines)) <= 84
    nothing = drawn(tables, rows_of(**{name: [0, 0] for name in names}), chart)
    assert max(map(len, words(nothing))) <= 75
    assert "; ".join(f"2 of 2 values of {name} are 0" for name in names) in " ".join(words(nothing))


VALUES = st.sampled_from([1.5, 20.0, 300.0, 0.0, -2.0, None, math.nan, math.inf])


@settings(max_examples=60, deadline=None)
@given(
    mark=st.sampled_from(["point", "tick", "rule", "bar", "line"]),
    channel=st.sampled_from(["x", "y", "color", "size", "opacity"]),
    kind=st.sampled_from(["quantitative", "nominal", "ordinal"]),
    scale=st.sampled_from([None, "linear", "log", "symlog", "sqrt"]),
    values=st.lists(VALUES, min_size=1, max_size=7),
    around=st.sampled_from(["unit", "layer", "facet", "concat"]),
)
def test_what_is_drawn_and_what_is_counted_are_all_rows(mark, channel, kind, scale, values, around):
    place = {"field": "v", "type": kind}
    is_number = kind == "quantitative"
    if is_number and scale:
        place["scale"] = {"type": scale}
    if mark == "line" and channel not in ("x", "y"):
        mark = "point"
    one = {
        "mark": {"type": "line", "point": True} if mark == "line" else mark,
        "encoding": {"x": {"field": "i", "type": "nominal"}, "y": I, channel: place},
    }
    wrapped = {
        "unit": one,
        "layer": layer(one),
        "facet": {"facet": {"field": "i", "type": "nominal"}, "spec": one},
        "concat": {"vconcat": [one]},
    }
    drawing = drawn(connection(), rows_of(v=values), wrapped[around])

    def is_shown(value: float | None) -> bool:
        if not is_number:
            return True
        return value is not None and math.isfinite(value) and (scale != "log" or value > 0)

    left = [value for value in values if is_shown(value)]
    counts = [int(number) for text in told(drawing) for number in re.findall(r"(\d+) of \d+ values", text)]
    assert sum(counts) == len(values) - len(left)
    assert marks(drawing, "point" if mark == "line" else mark) == len(left)
    assert any("nothing to draw" in text for text in words(drawing)) == (not left)
