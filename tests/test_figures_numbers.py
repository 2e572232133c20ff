"""What tells two numbers apart in a table tells them apart in a drawing."""

from __future__ import annotations

import re

import pytest
from figures_sample import connection, figure

from saespec.figures.draw import draw

LARGE = "select unnest([9007199254740992, 9007199254740993, 9007199254740995]) as seed, 0.5 as mmcs, 1 as g"
NAMED = {"field": "seed", "type": "ordinal"}


@pytest.fixture(scope="module")
def tables():
    return connection()


def svg(tables, sql, **vega_lite):
    return draw(figure(sql, **vega_lite), "f", tables).svg.decode()


@pytest.mark.parametrize("place", ["x", "y", "row", "column", "color", "detail", "facet"])
def test_whole_numbers_beyond_floats_are_three_names(tables, place):
    encoding = {"x": {"field": "mmcs", "type": "quantitative"}, place: NAMED}
    if place == "facet":
        drawn = svg(tables, LARGE, facet=NAMED, spec={"mark": "point", "encoding": {"x": encoding["x"]}})
    else:
        drawn = svg(tables, LARGE, mark="point" if place != "detail" else "line", encoding=encoding)
    if place == "detail":
        assert len(re.findall(r'aria-roledescription="line mark"', drawn)) == 3
    else:
        assert {"9007199254740992", "9007199254740993", "9007199254740995"} <= set(
            re.findall(r">(\d{16})<", drawn)
        )


def test_whole_numbers_on_a_scale_of_numbers_stay_numbers(tables):
    encoding = {"x": {"field": "seed", "type": "quantitative"}, "y": NAMED}
    assert (
        b'"seed": 9007199254740993' in draw(figure(LARGE, mark="point", encoding=encoding), "f", tables).chart
    )


CLOSE = "select unnest([0.12341, 0.12342, 0.5]) as lr, 0.5 as mmcs"


@pytest.mark.parametrize("place", ["x", "y", "row", "column", "color", "shape"])
def test_labels_of_close_numbers_differ(tables, place):
    encoding = {"x": {"field": "mmcs", "type": "quantitative"}, place: {"field": "lr", "type": "ordinal"}}
    drawn = svg(tables, CLOSE.replace("]", "]::double[]"), mark="point", encoding=encoding)
    labels = set(re.findall(r">(0\.\d+)</text>", drawn))
    assert {"0.12341", "0.12342"} <= labels


def test_labels_of_a_sum_and_its_rounded_value_differ(tables):
    sql = "select unnest([0.3::double, 0.1::double + 0.2::double]) as lr"
    drawn = svg(tables, sql, mark="point", encoding={"x": {"field": "lr", "type": "ordinal"}})
    assert {"0.3", "0.30000000000000004"} <= set(re.findall(r">(0\.\d+)</text>", drawn))
