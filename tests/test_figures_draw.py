"""Drawing: the same bytes always, any shape of chart, errors that name the figure."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from figures_sample import FIGURES, connection, figure

from saespec.errors import QueryError
from saespec.figures import chart as charts
from saespec.figures.draw import chart, draw
from saespec.figures.picture import Picture
from saespec.figures.png import repacked
from saespec.figures.vega import VEGA_LITE
from saespec.results.query import Rows, select

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def tables():
    return connection()


def digests(names, tables):
    drawings = {name: draw(FIGURES[name], name, tables) for name in names}
    return {n: [hashlib.sha256(b).hexdigest() for b in (d.svg, d.png, d.chart)] for n, d in drawings.items()}


@pytest.mark.parametrize("name", ["heatmap", "lines"])
def test_chart_is_the_golden_one(tables, name):
    """To accept a change: delete tests/golden/*.vl.json, run this twice, and look at the difference."""
    found = draw(FIGURES[name], name, tables).chart
    file = GOLDEN / f"{name}.vl.json"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(found)
        pytest.fail(f"{file} was missing and has been written")
    assert found == file.read_bytes()


def test_bytes_depend_on_neither_order_nor_process(tables):
    first = digests(FIGURES, tables)
    assert digests(reversed(FIGURES), tables) == first
    code = f"""
import sys, json; sys.path.insert(0, {os.path.dirname(__file__)!r})
import test_figures_draw as t
print(json.dumps(t.digests(["lines", "facets", "heatmap", "side_by_side"], t.connection())))"""
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(other.stdout) == first


def test_every_id_of_an_svg_is_defined_once_and_used(tables):
    for name in FIGURES:
        svg = draw(FIGURES[name], name, tables).svg.decode()
        defined = re.findall(r'\bid="([^"]+)"', svg)
        assert len(set(defined)) == len(defined)
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) == set(defined)


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_drawn_satisfies_the_schema_theme_included(tables, name):
    whole = json.loads(draw(FIGURES[name], name, tables).chart)
    assert charts.complaint(whole) == ""
    assert whole["title"]["text"] == [FIGURES[name].title]
    assert " ".join(whole["title"]["subtitle"]) == FIGURES[name].caption


def test_the_schema_is_of_the_version_that_draws():
    from altair.vegalite.v6 import SCHEMA_VERSION

    assert SCHEMA_VERSION.startswith(f"v{VEGA_LITE}.")


def test_chart_json_is_canonical(tables):
    text = draw(FIGURES["lines"], "lines", tables).chart.decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def test_a_chart_says_where_it_came_from_and_its_drawing_does_not(tables):
    usermeta = {"embedOptions": {"renderer": "svg"}}
    one = figure(mark="point", encoding={"x": {"field": "mmcs"}}, usermeta=usermeta)
    plain, told = (draw(one, "f", tables, made) for made in (None, {"git_commit": "abc"}))
    assert (told.svg, told.png) == (plain.svg, plain.png)
    whole = json.loads(told.chart)
    assert whole["usermeta"].pop("saespec")["git_commit"] == "abc"
    assert whole == json.loads(plain.chart)
    assert charts.complaint(json.loads(told.chart)) == ""


def test_vega_lite_draws_the_same_from_the_written_chart(tables):
    import vl_convert

    plain, told = (draw(FIGURES["lines"], "f", tables, made) for made in (None, {"git_commit": "abc"}))
    svgs = [vl_convert.vegalite_to_svg(d.chart.decode(), vl_version=VEGA_LITE) for d in (plain, told)]
    assert svgs[0] == svgs[1]


def test_undefined_numbers_are_null_and_decimals_numbers(tables):
    sql = "select 'nan'::double as mmcs, 1.5::decimal(3, 1) as d union all select 1e0 / 0, 2.5"
    drawing = draw(figure(sql), "f", tables)
    assert json.loads(drawing.chart)["data"]["values"] == [{"d": 1.5, "mmcs": None}, {"d": 2.5, "mmcs": None}]


def test_a_chart_without_rows_is_drawn(tables):
    assert draw(figure("select mmcs from cells where false"), "f", tables).png.startswith(b"\x89PNG")


def test_ticks_of_numbers_are_readable(tables):
    svg = draw(FIGURES["heatmap"], "heatmap", tables).svg.decode()
    labels = re.findall(r">([\d.,e−-]+)</text>", svg)
    assert {"0.0316", "0.1", "1", "10"} <= set(labels)
    assert not any(len(label) > 6 for label in labels)
    assert "1,024" in draw(figure("select latents as mmcs from cells"), "f", tables).svg.decode()


def test_log_axes_label_decades(tables):
    svg = draw(FIGURES["lines"], "lines", tables).svg.decode()
    labels = re.findall(r">([\d.]+)</text>", svg)
    assert {"0.01", "0.1", "1", "10"} <= set(labels)
    assert "0.02" not in labels


@pytest.mark.parametrize("type_", ["ordinal", "nominal"])
def test_an_authors_own_format_wins(tables, type_):
    x = {"field": "sparsity_coefficient", "type": type_, "axis": {"format": ".1e"}}
    color = {"field": "sparsity_coefficient", "type": type_, "legend": {"format": ".3f"}}
    sql = "select sparsity_coefficient from cells where sparsity_coefficient > 0.1"
    svg = draw(figure(sql, mark="tick", encoding={"x": x, "color": color}), "f", tables).svg.decode()
    assert "1.8e-1" in svg
    assert "0.178" in svg


def test_an_authors_config_overrides_the_theme():
    whole = chart(figure(mark="bar", config={"axis": {"labelFontSize": 20}}), Rows((), (), ()))
    assert whole["config"]["axis"]["labelFontSize"] == 20
    assert whole["config"]["axis"]["titleFontSize"] == 12


def test_long_captions_are_wrapped_evenly():
    text = "word " * 60
    lines = chart(replace(FIGURES["lines"], caption=text), Rows((), (), ()))["title"]["subtitle"]
    assert max(map(len, lines)) <= 84
    assert max(map(len, lines)) - min(map(len, lines)) <= 5


@pytest.mark.parametrize(
    ("vega_lite", "message"),
    [
        ({"mark": "bar", "data": {"url": "x.csv"}}, "the rows of `sql` are the data"),
        ({"mark": "bar", "title": "T"}, "use the figure's `title`"),
        ({"mark": "bar", "usermeta": {"saespec": {}}}, "saespec writes there where the chart came from"),
        ({"layer": [{"mark": "bar", "data": {"url": "file:///etc/passwd"}}]}, "outside of the results"),
        ({"mark": {"type": "image", "url": "x.png"}}, "outside of the results"),
        ({"mark": "bar", "transform": [{"calculate": "random()", "as": "r"}]}, r"random\(\) gives another"),
        ({"mark": "bar", "transform": [{"sample": 10}]}, "sample"),
        ({"mark": "rekt"}, "'rekt' is none of .*did you mean rect"),
        ({"encoding": {}}, "'mark' is a required property"),
    ],
)
def test_a_refused_chart_names_the_figure_and_the_reason(tables, vega_lite, message):
    with pytest.raises(QueryError, match=f"figure fig9: .*{message}"):
        draw(figure(**vega_lite), "fig9", tables)


@pytest.mark.parametrize(
    ("vega_lite", "message"),
    [
        (
            {"mark": "point", "transform": [{"calculate": "datum.mmcs.b.c", "as": "z"}]},
            r"TypeError: Cannot read properties of undefined \(reading 'c'\)$",
        ),
        (
            {"mark": "text", "encoding": {"text": {"field": "mmcs", "type": "quantitative", "format": "zz"}}},
            "zz$",
        ),
        ({"mark": {"type": "text", "text": "\ud800"}}, "surrogates not allowed$"),
        ({"mark": "point", "usermeta": {"a": {1, 2}}}, "set is not JSON serializable$"),
        ({"mark": "point", "width": 1e5, "height": 1e5}, "pixels large, more than fit an image$"),
    ],
)
def test_what_fails_when_drawn_names_the_figure_and_says_nothing_else(tables, capfd, vega_lite, message):
    with pytest.raises(QueryError, match=f"figure fig9: it cannot be drawn: .*{message}"):
        draw(figure(**vega_lite), "fig9", tables)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["vegalite_to_svg", "svg_to_png"])
@pytest.mark.parametrize("error", [TypeError("odd"), RuntimeError("odd"), BaseException("odd")])
def test_whatever_the_library_raises_names_the_figure(tables, monkeypatch, name, error):
    import vl_convert

    def fail(*arguments, **keywords):
        raise error

    monkeypatch.setattr(vl_convert, name, fail)
    with pytest.raises(QueryError, match="figure fig9: it cannot be drawn: odd"):
        draw(figure(), "fig9", tables)


def test_who_stops_a_drawing_stops_it(tables, monkeypatch):
    import vl_convert

    def stop(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", stop)
    with pytest.raises(KeyboardInterrupt):
        draw(figure(), "fig9", tables)


def test_a_failing_query_names_the_figure(tables):
    with pytest.raises(QueryError, match="figure fig9: line 1 of the SQL: there is no column mmsc"):
        draw(figure("select mmsc from cells"), "fig9", tables)


def test_layers_may_bring_literal_rows(tables):
    rule = {"mark": "rule", "data": {"values": [{"y": 0.2}]}, "encoding": {"y": {"field": "y"}}}
    point = {"mark": "point", "encoding": {"y": {"field": "mmcs", "type": "quantitative"}}}
    assert draw(figure(layer=[point, rule]), "f", tables).svg


def test_repacking_keeps_every_pixel():
    def pixels(png):
        chunks, position = b"", 8
        while position < len(png):
            (length,) = struct.unpack_from(">I", png, position)
            kind, body = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
            (crc,) = struct.unpack_from(">I", png, position + 8 + length)
            assert crc == zlib.crc32(kind + body)
            chunks += body if kind == b"IDAT" else b""
            position += 12 + length
        return zlib.decompress(chunks)

    import vl_convert

    png = vl_convert.svg_to_png(
        '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="40"><rect width="9" height="9"/></svg>'
    )
    assert pixels(repacked(png)) == pixels(png)
    assert len(repacked(png)) < len(png)


def test_a_drawing_does_not_change_the_tables(tables):
    before = select(tables, "select count(*) as n, sum(mmcs) as s from cells")
    draw(FIGURES["heatmap"], "heatmap", tables)
    assert select(tables, "select count(*) as n, sum(mmcs) as s from cells") == before


@pytest.mark.parametrize(("sql", "labels"), [("'jittered'", ["jittered"]), ("0.0177828::double", ["0.0178"])])
def test_facets_are_headed_by_their_value(tables, sql, labels):
    by = Picture(
        title="By case",
        caption="",
        sql=f"select {sql} as case_name, mmcs from cells limit 1",
        vega_lite={
            "facet": {"field": "case_name", "type": "nominal", "title": None},
            "spec": {"mark": "tick", "encoding": {"x": {"field": "mmcs", "type": "quantitative"}}},
        },
    )
    found = re.findall(r">([^<>]+)</text>", draw(by, "facets", tables).svg.decode())
    assert set(labels) <= set(found)
    assert "NaN" not in found
