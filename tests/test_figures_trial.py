"""Charts that fail only when drawn: tried on made-up rows, with positions, and what went well is remembered."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from saespec.figures import trial
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
figures:
  f:
    title: T
"""
X = {"field": "latents", "type": "quantitative"}
Y = {"field": "fvu", "type": "quantitative"}
NUMBERS = "select latents, fvu from cells"
TEXTS = "select latents, fvu, 'a-b' as kind from cells"


def chart(mark="point", transform=(), **encoding):
    return {"mark": mark, "transform": list(transform), "encoding": {"x": X, "y": Y, **encoding}}


def calculated(expression):
    return chart(transform=[{"calculate": expression, "as": "z"}])


@pytest.fixture
def said(tmp_path):
    """Validate `specs/toy.yaml` with one chart, given as what JSON can hold."""

    def validate(vega_lite, sql=NUMBERS, folder="specs"):
        path = tmp_path / folder / "toy.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{HEAD}    sql: {json.dumps(sql)}\n    vega_lite: {json.dumps(vega_lite)}\n")
        return [str(problem) for problem in problems(load(path, root=tmp_path))]

    return validate


@pytest.fixture
def drawings(monkeypatch):
    """The charts that are drawn from now on."""
    texts: list[str] = []
    drawn = trial._artist.complaint

    def complaint(text):
        texts.append(text)
        return drawn(text)

    monkeypatch.setattr(trial._artist, "complaint", complaint)
    return texts


@pytest.mark.parametrize(
    ("vega_lite", "message"),
    [
        (
            chart(size={"value": {"expr": "nosuch * 2"}}),
            'Unrecognized signal name: "nosuch" (a column is written `datum.NAME`; other names are those of `params`)',
        ),
        (calculated("foo(1)"), "Unrecognized function: foo (Vega's expressions know its own functions only)"),
        (calculated("datum.fvu +"), f"Unexpected end of input ({trial._HINT})"),
        (
            chart("text", text={**Y, "format": "zz"}),
            "invalid format: zz (numbers take a format such as .2f or ,d; dates need `type: temporal`)",
        ),
        (
            chart(x={**X, "axis": {"format": "%Y"}}),
            "invalid format: %Y (numbers take a format such as .2f or ,d; dates need `type: temporal`)",
        ),
        (
            chart({"type": "point", "shape": "M 0 nosuch"}),
            "Invalid SVG path, incorrect parameter type (a shape is circle, square, cross, diamond, triangle-up or "
            "the like, or an SVG path)",
        ),
        (
            calculated("datum.fvu.b.c"),
            f"TypeError: Cannot read properties of undefined (reading 'c') ({trial._HINT})",
        ),
        (
            {**chart(), "width": 100_000, "height": 100_000},
            f"it is 100,070 by 100,098 pixels large, more than fit an image ({trial._HINT})",
        ),
    ],
)
def test_what_fails_when_drawn_is_refused(said, vega_lite, message):
    assert said(vega_lite) == [
        f"specs/toy.yaml:13:5  figures.f.vega_lite: the chart cannot be drawn: {message}"
    ]


@pytest.mark.parametrize(
    ("vega_lite", "sql"),
    [
        (calculated("split(datum.kind, '-')[1].length"), TEXTS),
        (chart(shape={"field": "kind", "type": "nominal", "scale": None}), TEXTS),
        (chart("bar", x={"field": "fvu", "bin": {"step": 1e-9}}, y={"aggregate": "count"}), NUMBERS),
        (
            chart("line", x={"field": "d", "type": "temporal"}),
            "select date '2020-01-01' as d, fvu from cells",
        ),
        (calculated("datum.s.a"), "select latents, fvu, {'a': fvu} as s from cells"),
        (calculated("datum.l[2] * 2"), "select latents, fvu, [fvu, fvu, fvu] as l from cells"),
    ],
    ids=["texts", "shapes", "fine bins", "dates", "structs", "lists"],
)
def test_what_true_rows_may_draw_is_not_refused(said, vega_lite, sql):
    assert said(vega_lite, sql) == []


def test_every_type_of_column_is_drawn_or_left_alone(said):
    kinds = (
        "boolean",
        "utinyint",
        "hugeint",
        "float",
        "decimal(9, 2)",
        "date",
        "time",
        "timestamptz",
        "interval",
    )
    columns = ", ".join(f"null::{kind} as c{n}" for n, kind in enumerate(kinds))
    fields = {"repeat": [f"c{n}" for n in range(len(kinds))]}
    point = {"mark": "point", "encoding": {"x": {"field": {"repeat": "repeat"}, "type": "nominal"}}}
    assert said({**fields, "spec": point}, f"select {columns} from cells") == []


def test_a_chart_without_an_end_is_refused_and_the_next_one_is_drawn(said, monkeypatch):
    monkeypatch.setattr(trial, "MOST_SECONDS", 1.0)
    (problem,) = said(calculated("length(sequence(0, 1e8))"))
    assert problem.startswith(
        "specs/toy.yaml:13:5  figures.f.vega_lite: the chart cannot be drawn: it takes all memory"
    )
    monkeypatch.undo()
    assert said(chart()) == []


def test_an_idle_process_is_replaced(said):
    assert said(chart()) == []
    process = trial._artist._process
    process.stdin.close()
    process.wait()
    assert said(calculated("foo(1)")) != []


def test_an_unchanged_chart_is_drawn_and_looked_up_in_the_schema_once(said, drawings, monkeypatch):
    assert said(chart()) == []
    assert len(drawings) == 1
    monkeypatch.setattr("saespec.figures.validate.complaint", lambda vega_lite: pytest.fail("looked up"))
    assert said(chart()) == []
    assert len(drawings) == 1


def test_a_changed_chart_and_changed_types_are_drawn_again(said, drawings):
    for vega_lite, sql in (
        (chart(), NUMBERS),
        (chart("bar"), NUMBERS),
        (chart(), "select latents, fvu::float as fvu from cells"),
    ):
        said(vega_lite, sql)
    assert len(drawings) == 3


def test_a_refused_chart_is_not_remembered(said):
    assert said(calculated("foo(1)")) == said(calculated("foo(1)")) != []


@pytest.mark.parametrize("damage", [b"", b"[", b"{}", b"[1]", b"\xff", b"[" * 100_000])
def test_a_damaged_memory_is_made_anew(said, drawings, tmp_path, damage):
    said(chart())
    memory = tmp_path / ".saespec" / "checked.json"
    intact = memory.read_bytes()
    memory.write_bytes(damage)
    assert said(chart()) == []
    assert len(drawings) == 2
    assert memory.read_bytes() == intact


def test_a_work_folder_that_cannot_be_written_to_costs_only_time(said, drawings, tmp_path):
    (tmp_path / ".saespec").write_text("a file")
    assert said(chart()) == said(chart()) == []
    assert len(drawings) == 2


def test_the_memory_is_ignored_by_git_and_leaves_nothing_else(said, tmp_path):
    said(chart())
    assert sorted(os.listdir(tmp_path / ".saespec")) == [".gitignore", "checked.json"]


def test_a_lone_spec_leaves_nothing_behind(said, tmp_path):
    assert said(chart(), folder="elsewhere") == []
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [
        "elsewhere",
        "elsewhere/toy.yaml",
    ]


def test_a_lost_memory_costs_only_time(said, drawings, tmp_path):
    said(chart())
    shutil.rmtree(tmp_path / ".saespec")
    assert said(chart()) == []
    assert len(drawings) == 2
