"""Chart kinds: what they say is what Vega-Lite is given, drawn once, and what is wrong is pointed at."""

from __future__ import annotations

import json
import re

import pytest
from figures_sample import connection
from test_figures_validate import HEAD

from saespec.errors import SpecError
from saespec.figures.chart import complaint, refused
from saespec.figures.draw import draw
from saespec.figures.picture import of, picture
from saespec.figures.validate import problems
from saespec.plan.stages import claims_hash, figures_hash
from saespec.results.query import SqlError, select
from saespec.results.views import spec_connection
from saespec.spec.language.load import load
from saespec.spec.language.salvage import salvage
from saespec.spec.report import Figure

SQL = "select sparsity_coefficient as l1, latent_ratio as ratio, latents, mmcs, mmcs_chance from cells order by all"
KINDS = {
    "line": {"line": {"x": "l1", "y": "mmcs", "color": "ratio", "log": "x", "domain": [0, 1]}},
    "range": {"line": {"x": "l1", "y": "mmcs", "error": "range"}},
    "stdev": {"line": {"x": "l1", "y": "mmcs", "error": "stdev", "dash": "ratio"}},
    "scatter": {
        "scatter": {"x": "l1", "y": "mmcs", "shade": "ratio", "shape": "latents", "label": "latents"}
    },
    "heatmap": {"heatmap": {"x": "l1", "y": "ratio", "value": "mmcs", "second": "latents", "domain": [0, 1]}},
    "histogram": {"histogram": {"x": "mmcs", "step": 0.1, "color": "ratio"}},
    "histogram under a rule": {"histogram": {"x": "mmcs", "step": 0.1}, "rule": {"y": 3}},
    "counted": {"histogram": {"x": "l1", "y": "mmcs", "step": 0.1}},
    "bar": {"bar": {"x": "ratio", "y": "mmcs", "color": "latents", "beside": True}},
    "box": {"box": {"x": "ratio", "y": "mmcs"}},
    "layers": {
        "layers": [
            {"line": {"x": "l1", "y": "mmcs"}},
            {"line": {"x": "l1", "y": "mmcs_chance", "dashed": True}},
        ],
        "band": {"x": [0.03, "ratio"]},
        "rule": [{"y": "mmcs_chance"}, {"x": 1}],
        "text": {"x": 0.1, "y": 0.5, "says": "here"},
        "facet": "latents",
    },
    "sides": {"scatter": {"x": "l1", "y": "mmcs"}, "facet": {"column": "ratio", "independent": ["y"]}},
}


@pytest.fixture(scope="module")
def tables():
    return connection()


def figure(**chart):
    return Figure.model_validate({"title": "T", "sql": SQL, **chart})


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_a_chart_that_vega_lite_takes_and_draws(tables, name):
    drawn = of(figure(**KINDS[name]))
    assert complaint(drawn.vega_lite) == ""
    assert list(refused(drawn.vega_lite)) == []
    assert draw(drawn, name, tables).png.startswith(b"\x89PNG")


def test_bands_and_rules_are_drawn_once_for_any_number_of_rows(tables):
    def marks(**chart):
        svg = draw(of(figure(**chart)), "f", tables).svg.decode()
        return {
            kind: len(re.findall(rf'aria-roledescription="{kind} mark"', svg)) for kind in ("rect", "rule")
        }

    line = {"line": {"x": "l1", "y": "mmcs", "log": "x"}}
    assert marks(**line) == {"rect": 0, "rule": 0}
    for band, rule in (([0.03, 0.3], 0.5), (["l1", 1], "mmcs_chance")):
        assert marks(**line, band={"x": band}, rule={"y": rule}) == {"rect": 1, "rule": 1}


def test_a_title_is_said_once_a_channel_and_by_label():
    chart = of(figure(**KINDS["layers"]), {"l1": "L1 coefficient α", "mmcs": "MMCS", "latents": ""}).vega_lite
    layers = chart["spec"]["layer"]
    assert {layer["encoding"]["x"]["title"] for layer in layers if "x" in layer["encoding"]} == {
        "L1 coefficient α"
    }
    assert {layer["encoding"]["y"]["title"] for layer in layers if "y" in layer["encoding"]} == {"MMCS"}
    assert chart["facet"]["title"] is None
    assert (
        of(figure(line={"x": "mmcs_chance", "y": "l1"})).vega_lite["encoding"]["x"]["title"] == "Mmcs chance"
    )


def test_numbers_on_a_heatmap_can_be_read_on_dark_and_on_bright_cells(tables):
    svg = draw(of(figure(**KINDS["heatmap"])), "f", tables).svg.decode()
    found = [
        (float(text), ink)
        for ink, text in re.findall(r'<text[^>]* fill="(white|black)"[^>]*>(0\.\d\d)</text>', svg)
    ]
    assert max(value for value, ink in found if ink == "white") < min(
        value for value, ink in found if ink == "black"
    )


def test_a_written_chart_has_the_columns_that_it_shows_and_no_others(tables):
    drawn = draw(of(figure(sql="from cells", line={"x": "latents", "y": "mmcs"})), "f", tables)
    assert {*json.loads(drawn.chart)["data"]["values"][0]} == {"latents", "mmcs"}


def spec(tmp_path, more):
    path = tmp_path / "toy.yaml"
    path.write_text(HEAD + more)
    return load(path, root=tmp_path)


def test_nothing_is_drawn_beyond_a_domain():
    for name, kind in (("line", {}), ("scatter", {"label": "latents"}), ("bar", {})):
        chart = of(figure(**{name: {"x": "l1", "y": "mmcs", "domain": [0.7, 0.8], **kind}})).vega_lite
        assert all(layer["mark"]["clip"] is True for layer in chart.get("layer", [chart]))


def test_layers_share_the_lowest_title():
    layers = [{"histogram": {"x": "mmcs", "step": 0.1}}, {"scatter": {"x": "mmcs", "y": "latents"}}]
    assert list(refused(of(figure(layers=layers)).vega_lite)) == []


def test_cases_stand_in_the_order_of_the_sweep(tmp_path):
    more = (
        "sweep: {cases: [{name: zebra}, {name: ant, train.steps: 7}]}\n"
        "figures: {f: {title: T, sql: from cells, line: {x: latents, y: fvu}, facet: case_name}}\n"
    )
    assert picture(spec(tmp_path, more).spec, "f").vega_lite["facet"]["sort"] == ["zebra", "ant"]


@pytest.mark.parametrize(
    ("chart", "place", "message"),
    [
        ("line: {x: latents, y: fvv}", "line.y", "the query gives no column fvv (did you mean fvu?)"),
        ("line: {x: latents, y: fvu}, rule: {y: fvv}", "rule.0.y", "did you mean fvu?"),
        ("line: {x: latents, y: fvu}, facet: {column: sed}", "facet.column", "did you mean seed?"),
        (
            "heatmap: {x: latents, y: seed, value: fvu, scheme: foo}",
            "heatmap",
            "Unrecognized scheme name: foo",
        ),
        ("histogram: {x: fvu, step: 0.1, color: nope}", "histogram.color", "no column nope"),
        ("line: {x: cell, y: fvu}", "line.x", "cell is varchar, and numbers are shown here"),
        ("bar: {x: latents, y: status}", "bar.y", "status is varchar"),
        ("line: {x: latents, y: fvu}, rule: {y: status}", "rule.0.y", "status is varchar"),
    ],
)
def test_what_a_chart_lacks_is_pointed_at(tmp_path, chart, place, message):
    (problem,) = problems(spec(tmp_path, f"figures:\n  f: {{title: T, sql: from cells, {chart}}}\n"))
    assert problem.path == f"figures.f.{place}"
    assert message in str(problem)
    assert problem.line == HEAD.count("\n") + 2


@pytest.mark.parametrize(
    ("chart", "place", "message"),
    [
        ("caption: a", "", "has no chart"),
        ("line: {x: a, y: b}, bar: {x: a, y: b}", ".bar", "the chart is line already"),
        ("vega_lite: {mark: bar}, rule: {y: 1}", ".rule", "goes with a chart kind"),
        ("heatmap: {x: a, y: b, value: c}, band: {x: [1, 2]}", ".band", "needs axes of numbers"),
        ("line: {x: a, y: b}, band: {}", ".band.0", "needs either x or y"),
        (
            "line: {x: a, y: b}, band: {x: [1, true]}",
            ".band.0.x.1",
            "must be a number or the name of a column",
        ),
        ("line: {x: a, y: b, domain: [1]}", ".line.domain.y", "must be a list of 2, not of 1"),
        ("line: {x: a, y: b, log: z}", ".line.log.0", "must be one of x, y"),
        ("line: {x: a, y: b, colour: c}", ".line.colour", "did you mean color?"),
        (
            "line: {x: a, y: b, log: y, domain: [0, 1]}",
            ".line.domain",
            "no place for 0 or less on the logarithmic y",
        ),
        ("line: {x: a, y: b, log: x, ticks: {x: [0, 1]}}", ".line.ticks", "no place for 0 or less"),
        ("line: {x: a, y: b, log: x}, band: {x: [0, b]}", ".band.0.x.0", "has no place on the logarithmic x"),
        ("line: {x: a, y: b, domain: [1, 1]}", ".line.domain", "both ends of y are the same"),
        ("histogram: {x: a, step: 1, log: y}", ".histogram.log", "bars begin at 0"),
        ("scatter: {x: a, y: b, color: c, shade: d}", ".scatter.shade", "color tells points apart already"),
        (
            "heatmap: {x: a, y: b, value: c}, facet: {by: d, independent: [color]}",
            ".facet.independent",
            "a heatmap's panels share their colours",
        ),
        ("bar: {x: a, y: b, beside: true}", ".bar.beside", "is of bars that color tells apart"),
        ("line: {x: a, y: b}, facet: {by: a, row: b}", ".facet.by", "cannot stand beside column and row"),
        (
            "layers: [{line: {x: a, y: b}, scatter: {x: a, y: b}}]",
            ".layers.0.scatter",
            "a layer is one chart",
        ),
        (
            "layers: [{line: {x: a, y: b, domain: [0, 1]}}, {line: {x: a, y: b, domain: [0, 2]}}]",
            ".layers.1.line.domain",
            "is not what another layer has for y",
        ),
    ],
)
def test_contradictions_are_refused_at_their_place(tmp_path, chart, place, message):
    with pytest.raises(SpecError) as caught:
        spec(tmp_path, f"figures:\n  f: {{title: T, sql: from cells, {chart}}}\n")
    (problem,) = caught.value.problems
    assert problem.path == f"figures.f{place}"
    assert message in str(problem)


def test_whoever_extends_a_figure_by_another_kind_drops_the_first(tmp_path):
    (tmp_path / "base.yaml").write_text(
        HEAD + "figures:\n  f: {title: T, sql: from cells, line: {x: latents, y: fvu}, rule: {y: 1}}\n"
    )
    (tmp_path / "over.yaml").write_text(
        "extends: base.yaml\nname: over\nfigures: {f: {vega_lite: {mark: bar}}}\n"
    )
    assert load(tmp_path / "over.yaml").spec.figures["f"].vega_lite == {"mark": "bar"}


LAYER = "{mark: line, encoding: {x: {field: latents, title: A}, y: {field: fvu}}}"


@pytest.mark.parametrize(
    ("layer", "place", "message"),
    [
        ("{mark: rule, encoding: {y: {datum: 1}}}", "layer.1", "drawn once a row"),
        ("{mark: {type: text, text: a}}", "layer.1", "drawn once a row"),
        ("{mark: rule, encoding: {x: {field: seed, title: B}}}", "layer.1.encoding.x", 'its title is "B" here and "A"'),
        ("{mark: rule, encoding: {x: {field: seed, title: null}}}", "layer.1.encoding.x", "its title is null here"),
        ("{mark: rule, encoding: {x: {datum: 1}, y: {datum: 1, title: B}, size: {field: seed}}}", "layer.1.encoding.y",
         'its title would be fvu, not "B"'),
    ],
)  # fmt: skip
def test_raw_layers_that_cannot_be_meant_are_refused(tmp_path, layer, place, message):
    chart = f"figures:\n  f: {{title: T, sql: from cells, vega_lite: {{layer: [{LAYER}, {layer}]}}}}\n"
    (problem,) = problems(spec(tmp_path, chart))
    assert problem.path == f"figures.f.vega_lite.{place}"
    assert message in str(problem)


QUERIES = """\
queries:
  b: select l, f * 2 as f from a
  a: |
    select latents as l, sparsity_coefficient as f from cells
figures: {f: {title: T, sql: from b, line: {x: l, y: f}}}
claims: {c: {says: s, sql: select max(f) as most from a, holds: most > 0}}
"""


def test_queries_are_tables_to_figures_claims_and_each_other(tmp_path, tables):
    loaded = spec(tmp_path, QUERIES)
    assert problems(loaded) == []
    asked = spec_connection(tables.tables, "toy", loaded.spec.queries)
    (first,) = select(asked, "select max(f) as f from a").values
    assert select(asked, "select max(f) as f from b").values == ((first[0] * 2,),)


@pytest.mark.parametrize(
    ("query", "line", "message"),
    [
        ("a: |\n    select\n      fvv from cells", 3, "there is no column fvv (did you mean fvu?)"),
        ("a: from b\n  b: from a", 1, "it reads itself in a circle"),
        ("a: from a", 1, "it reads itself in a circle: a → a"),
        ("cells: select 1 as a", 1, "cells is a table already"),
        ("a: drop table cells", 1, "only a SELECT may be run here"),
        ("a: select random() as r", 1, "random gives another result each time"),
        ("a: from 'file.csv'", 1, "there is no table file.csv"),
        ("a: select 1 as x; drop table cells", 1, "SELECT"),
    ],
)
def test_a_wrong_query_is_pointed_at_once(tmp_path, query, line, message):
    more = (
        f"queries:\n  {query}\nclaims: {{c: {{says: s, sql: select count(*) as n from a, holds: n > 0}}}}\n"
    )
    found = problems(spec(tmp_path, more))
    first = found[0]
    assert first.path.startswith("queries.")
    assert first.line == HEAD.count("\n") + 1 + line
    assert message in str(first)
    if not query.startswith(("cells", "a: from b")):
        assert len(found) == 1


def test_a_query_cannot_leave_the_tables(tables):
    broken = spec_connection(
        tables.tables, "toy", {"a": "select * from read_csv('/etc/passwd')", "b": "from a"}
    )
    own = spec_connection(tables.tables, "toy", {"best": "with best as (select 2 as n) from best"})
    assert select(own, "from best").values == ((2,),)
    named = spec_connection(tables.tables, "toy", {"select": "select 1 as n"})
    assert select(named, 'from "select"').values == ((1,),)
    for asked in ("from a", "from b"):
        with pytest.raises(SqlError, match=r"query a: .*read_csv"):
            select(broken, asked)
    assert select(broken, "select 1 as n").values == ((1,),)


def test_an_edit_redraws_and_judges_what_reads_it_and_nothing_else(tmp_path):
    def hashes(text):
        loaded = spec(tmp_path, text).spec
        return figures_hash(loaded), claims_hash(loaded)

    figures, claims = hashes(QUERIES)
    assert hashes(QUERIES + "labels: {other: A}\n") == (figures, claims)
    assert hashes(QUERIES + "labels: {f: A}\n")[0] != figures
    assert hashes(QUERIES + "labels: {f: A}\n")[1] == claims
    assert hashes(QUERIES.replace("* 2", "* 3"))[0] != figures
    assert hashes(QUERIES.replace("* 2", "* 3"))[1] == claims
    rows = QUERIES.replace("line: {x: l, y: f}", "histogram: {x: f, step: 1}")
    assert hashes(rows + "labels: {count: A}\n")[0] != hashes(rows)[0]
    again = hashes(QUERIES.replace("coefficient as f", "coefficient + 1 as f"))
    assert again[0] != figures
    assert again[1] != claims


def test_several_bases_merge_in_their_order(tmp_path):
    (tmp_path / "a.yaml").write_text(HEAD + "labels: {x: a, y: a}\n")
    (tmp_path / "b.yaml").write_text("labels: {y: b, z: b}\n")
    (tmp_path / "c.yaml").write_text("extends: b.yaml\nname: other\n")
    (tmp_path / "over.yaml").write_text("extends: [a.yaml, b.yaml, c.yaml]\nname: over\nlabels: {z: own}\n")
    loaded = load(tmp_path / "over.yaml")
    assert loaded.spec.labels == {"x": "a", "y": "b", "z": "own"}
    assert [path.name for path in loaded.files] == ["over.yaml", "a.yaml", "b.yaml", "c.yaml"]


def test_queries_are_known_to_figures_of_a_spec_that_is_wrong_elsewhere(tmp_path):
    (tmp_path / "toy.yaml").write_text(HEAD.replace("steps: 10", "steps: x") + QUERIES)
    with pytest.raises(SpecError):
        load(tmp_path / "toy.yaml")
    found = salvage(tmp_path / "toy.yaml")
    assert found is not None
    assert problems(found) == []
