"""What is wrong with figures and claims, found on empty tables, with positions."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from saespec.figures.fields import unknown_fields
from saespec.figures.validate import problems
from saespec.spec.language.load import load

HEAD = """\
version: 1
name: toy
title: T
data: {kind: toy, dim: 8, features: 16, active: 1.0}
sae: {kind: relu, latents: 16}
loss: {reconstruction: mean, sparsity: {kind: l1, coefficient: 0.1, per: latents}}
train: {steps: 10, batch: 8, optimizer: {kind: adam, lr: 0.001}}
measure: [losses]
"""


def found(tmp_path, figures="", claims=""):
    text = HEAD
    text += f"figures:\n{textwrap.indent(textwrap.dedent(figures), '  ')}" if figures else ""
    text += f"claims:\n{textwrap.indent(textwrap.dedent(claims), '  ')}" if claims else ""
    path = tmp_path / "toy.yaml"
    path.write_text(text)
    return problems(load(path, root=tmp_path))


def said(tmp_path, **sections):
    return [str(problem) for problem in found(tmp_path, **sections)]


def one_figure(sql, chart="{mark: bar}"):
    return f"f:\n  title: T\n  sql: {sql}\n  vega_lite: {chart}\n"


def test_a_good_spec_has_no_problems(tmp_path):
    chart = "{mark: bar, encoding: {x: {field: latents, type: ordinal}, y: {field: fvu, type: quantitative}}}"
    figures = one_figure("select latents, fvu from cells", chart)
    claims = "c: {says: S, sql: select max(fvu) as worst from cells, holds: worst < 1}\n"
    assert said(tmp_path, figures=figures, claims=claims) == []


def test_an_sql_error_stands_at_its_line_of_a_block(tmp_path):
    figures = "f:\n  title: T\n  sql: |\n    select latents,\n\n      fvv\n    from cells\n  vega_lite: {mark: bar}\n"
    assert said(tmp_path, figures=figures) == [
        "toy.yaml:15:9  figures.f.sql: there is no column fvv (did you mean fvu?)"
    ]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select fvv from cells", "there is no column fvv (did you mean fvu?)"),
        (
            "select mmcs from cells",
            "there is no column mmcs (the measure recovery writes it, which this spec does not ask for)",
        ),
        (
            "select * from latents",
            "there is no table latents (the measure latents writes it, which this spec does not ask for)",
        ),
        ("select * from cels", "there is no table cels (did you mean cells?)"),
        ("select * from x", "there is no table x (there are cells, curves)"),
        (
            "select * from runs",
            "there is no table runs (timings differ from run to run, so no figure or claim may read them)",
        ),
        ("select avgg(fvu) from cells", "there is no scalar function avgg (did you mean avg?)"),
        ("selec 1", 'syntax error at or near "selec"'),
        ("select now()", "now gives another result each time"),
    ],
)
def test_sql_that_does_not_run(tmp_path, sql, message):
    assert said(tmp_path, figures=one_figure(sql)) == [f"toy.yaml:12:5  figures.f.sql: {message}"]
    claims = f"c:\n  says: S\n  sql: {sql}\n  holds: 'true'\n"
    assert said(tmp_path, claims=claims) == [f"toy.yaml:12:5  claims.c.sql: {message}"]


@pytest.mark.parametrize(
    ("chart", "path", "message"),
    [
        ("{mark: rec}", "vega_lite", "Vega-Lite refuses the chart: mark: 'rec' is none of"),
        ("{encoding: {}}", "vega_lite", "Vega-Lite refuses the chart: 'mark' is a required property"),
        (
            "{mark: bar, encoding: {x: {field: latnts}}}",
            "vega_lite.encoding.x.field",
            "the query gives no column latnts (did you mean latents?)",
        ),
        (
            "{layer: [{mark: bar, encoding: {x: {field: q}}}]}",
            "vega_lite.layer.0.encoding.x.field",
            "the query gives no column q (it gives latents, fvu)",
        ),
        ("{mark: bar, data: {values: []}}", "vega_lite.data", "the rows of `sql` are the data"),
        ("{mark: {type: bar, href: a}}", "vega_lite.mark.href", "no links: put the address into `caption`"),
        ("{mark: bar, encoding: {href: {field: fvu}}}", "vega_lite.encoding.href", "no links"),
        ("{mark: bar, config: {style: {a: {href: b}}}}", "vega_lite.config.style.a.href", "no links"),
        ("{mark: bar, encoding: {url: {field: fvu}}}", "vega_lite.encoding.url", "outside of the results"),
        ("{mark: bar, encoding: {time: {field: fvu}}}", "vega_lite.encoding.time", "does not move"),
        ("{mark: bar, width: container}", "vega_lite.width", "give a number of pixels"),
        (
            "{mark: bar, params: [{name: k, value: 1, bind: {input: range, min: 0, max: 2}}]}",
            "vega_lite.params.0.bind",
            "a drawn figure has no controls",
        ),
        (
            "{mark: bar, config: {axis: {labelFont: Georgia}}}",
            "vega_lite.config.axis.labelFont",
            "on every machine",
        ),
        (
            "{mark: bar, transform: [{filter: {not: {and: ['random() < 1']}}}]}",
            "vega_lite.transform.0.filter.not.and.0",
            "random() gives another chart each time",
        ),
        ("{mark: {type: bar, fill: 'URL( http://a)'}}", "vega_lite.mark.fill", "outside of the results"),
        (
            "{mark: bar, transform: [{calculate: 'windowSize()[0]', as: d}]}",
            "vega_lite.transform.0.calculate",
            "windowSize(): there is no page around a drawn figure",
        ),
        (
            "{layer: [{mark: rule, data: {name: q}}, {mark: bar, data: {name: r, values: []}}]}",
            "vega_lite.layer.0.data.name",
            "no literal `values` and no `datasets` are called q",
        ),
        (
            "{mark: bar, transform: [{calculate: datetime ( ), as: d}]}",
            "vega_lite.transform.0.calculate",
            "datetime() gives another chart each time",
        ),
    ],
)
def test_a_chart_that_cannot_be_drawn(tmp_path, chart, path, message):
    (problem,) = found(tmp_path, figures=one_figure("select latents, fvu from cells", chart))
    assert problem.line == 13
    assert problem.path == f"figures.f.{path}"
    assert message in str(problem)


@pytest.mark.parametrize(
    "chart",
    [
        "{mark: bar, config: {font: 'Liberation Sans, sans-serif'}}",
        "{mark: bar, params: [{name: k, select: interval, bind: scales}], encoding: {x: {field: fvu}}}",
        "{mark: bar, usermeta: {href: a}}",
        "{mark: bar, datasets: {q: [{url: 1}]}, transform: [{lookup: fvu, from: {data: {name: q}, key: url}}]}",
        "{encoding: {x: {field: fvu}}, datasets: {q: [{fvu: 1}]}, layer: [{mark: rule, data: {name: q}}, {mark: bar}]}",
        "{layer: [{mark: bar, encoding: {y: {field: fvu}}},"
        " {mark: rule, data: {values: [{href: 1, url: 2}]}, encoding: {x: {field: href}}}]}",
        "{mark: bar, transform: [{calculate: 'datetime(2020, 0)', as: d}]}",
    ],
)
def test_what_only_looks_like_it_is_not_refused(tmp_path, chart):
    assert said(tmp_path, figures=one_figure("select latents, fvu from cells", chart)) == []


@pytest.mark.parametrize(
    ("holds", "message"),
    [
        ("wrst < 1", "there is no column wrst (did you mean worst?)"),
        ("best < 1", "there is no column best (the query gives worst)"),
        ("worst", "the condition is double, not true or false"),
    ],
)
def test_a_condition_that_cannot_be_asked(tmp_path, holds, message):
    claims = f"c:\n  says: S\n  sql: select max(fvu) as worst from cells\n  holds: {holds}\n"
    assert said(tmp_path, claims=claims) == [f"toy.yaml:13:5  claims.c.holds: {message}"]


def test_all_problems_are_reported_at_once(tmp_path):
    figures = one_figure("select fvv from cells", "{mark: rec}")
    claims = "c: {says: S, sql: select 1 as a, holds: b > 1}\n"
    assert len(found(tmp_path, figures=figures, claims=claims)) == 3


@pytest.mark.parametrize(
    "chart",
    [
        {"transform": [{"calculate": "datum.a * 2", "as": "b"}], "encoding": {"x": {"field": "b"}}},
        {"transform": [{"fold": ["a"]}], "encoding": {"x": {"field": "key"}, "y": {"field": "value"}}},
        {
            "transform": [{"density": "a", "as": ["v", "d"]}],
            "encoding": {"x": {"field": "v"}, "y": {"field": "d"}},
        },
        {"transform": [{"pivot": "a", "value": "b"}], "encoding": {"x": {"field": "whatever"}}},
        {"data": {"values": [{"y": 1}]}, "encoding": {"y": {"field": "y"}}},
        {"encoding": {"x": {"field": "a.b"}, "y": {"field": "a[0]"}}},
        {"repeat": {"row": ["a"]}, "spec": {"encoding": {"x": {"field": {"repeat": "row"}}}}},
    ],
)
def test_fields_that_the_chart_makes_are_known(chart):
    assert unknown_fields(chart, ["a"]) == []


def test_validating_loads_no_heavy_library(tmp_path):
    (tmp_path / "toy.yaml").write_text(
        HEAD + "figures:\n  f: {title: T, sql: select 1 as a, vega_lite: {mark: bar}}\n"
    )
    heavy = ["altair", "numpy", "pandas", "pyarrow", "torch", "vl_convert"]
    code = f"""
import sys
from saespec.spec.language.load import load
from saespec.figures.validate import problems
print(problems(load("toy.yaml")), [m for m in {heavy} if m in sys.modules])"""
    path = [p for p in sys.path if p]
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert result.stdout.strip() == "[] []"


def test_what_was_found_right_is_looked_at_again_when_it_changes(tmp_path):
    """Also where only another part of the spec says what a table has."""
    (tmp_path / ".dvc").mkdir()
    right = one_figure("select latents, fvu from cells", "{mark: bar, encoding: {x: {field: fvu}}}")
    for _ in range(2):
        assert said(tmp_path, figures=right) == []
    assert "did you mean fvu?" in said(tmp_path, figures=right.replace("latents, fvu", "latents, fvv"))[0]
    assert said(tmp_path, figures=right) == []
    without = HEAD.replace("measure: [losses]", "measure: [dead_latents]")
    assert without != HEAD
    (tmp_path / "toy.yaml").write_text(without + "figures:\n" + textwrap.indent(right, "  "))
    (problem,) = problems(load(tmp_path / "toy.yaml", root=tmp_path))
    assert "the measure losses writes it" in str(problem)
