"""Verdicts: true, false, or undecided with a reason."""

from __future__ import annotations

import json

import pytest
from figures_sample import connection

from saespec.figures.claims import check, to_json
from saespec.spec.report import Claim


@pytest.fixture(scope="module")
def tables():
    return connection()


def judge(tables, sql, holds):
    claims = {"c": Claim(says="It is so.", source="Section 1", sql=sql, holds=holds)}
    (verdict,) = check(claims, tables)
    return verdict


@pytest.mark.parametrize(("holds", "expected"), [("width >= 5", True), ("width < 5", False)])
def test_a_condition_decides(tables, holds, expected):
    sql = (
        "select max(sparsity_coefficient) / min(sparsity_coefficient) as width "
        "from cells where latents = 128 and mmcs >= 0.8"
    )
    verdict = judge(tables, sql, holds)
    assert verdict.holds is expected
    assert verdict.why == ""
    assert verdict.numbers == {"width": pytest.approx(10, rel=0.01)}
    assert (verdict.name, verdict.says, verdict.source) == ("c", "It is so.", "Section 1")


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select mmcs from cells where false", "the query gives no rows, not one"),
        ("select mmcs from cells", "the query gives 78 rows, not one"),
        ("select max(mmcs) as mmcs from cells where false", "mmcs is NULL"),
        ("select 'nan'::double as mmcs", "mmcs is NULL"),
        ("select 1e0 / 0 as mmcs", "mmcs is NULL"),
        ("select 'a'::int as mmcs", "Could not convert string"),
        ("select [0.5] as mmcs", "numbers, texts or truth values"),
    ],
)
def test_undecided_says_why(tables, sql, why):
    verdict = judge(tables, sql, "mmcs >= 0.9")
    assert verdict.holds is None
    assert why in verdict.why


def test_null_that_does_not_matter_does_not_matter(tables):
    assert judge(tables, "select 1 as a, null as b", "a = 1 or b = 1").holds is True


def test_a_condition_that_is_no_condition(tables):
    verdict = judge(tables, "select 1 as a", "a + 1")
    assert (verdict.holds, verdict.why) == (None, "the condition is integer, not true or false")


@pytest.mark.parametrize(
    ("sql", "holds"),
    [
        ("select 0.1::float as a", "a = 0.1::float"),
        ("select 0.1::double as a", "a = 0.1::double"),
        ("select 0.10::decimal(5, 2) as a", "a = 0.1"),
        ("select sum(170000000000000000000) as a", "a = 170000000000000000000"),
        ("select 9223372036854775807 as a", "a = 9223372036854775807"),
        ("select 'it''s' as a, true as b", "a = 'it''s' and b"),
        ("select date '2020-01-02' as a", "a = date '2020-01-02'"),
        ('select 1 as "a ""b"""', '"a ""b""" = 1 -- a comment'),
    ],
)
def test_values_reach_the_condition_unchanged(tables, sql, holds):
    verdict = judge(tables, sql, holds)
    assert (verdict.holds, verdict.why) == (True, "")


def test_json_is_canonical_exact_and_in_the_specs_words(tables):
    claims = {
        name: Claim(says="S.", sql=f"select {value} as n", holds="n > 0.1")
        for name, value in (("b", "0.1::double + 0.2::double"), ("a", "null"))
    }
    text = to_json(check(claims, tables), {"spec": "toy"}).decode()
    whole = json.loads(text)
    content = whole["claims"]
    assert whole["saespec"].keys() == {"spec", "sha256"}
    assert content["b"]["numbers"] == {"n": 0.1 + 0.2}
    assert content["b"]["holds"] is True
    assert content["a"] == {
        "condition": "n > 0.1",
        "holds": None,
        "numbers": {"n": None},
        "says": "S.",
        "source": "",
        "sql": "select null as n",
        "why": "n is NULL",
    }
    assert text == json.dumps(whole, sort_keys=True, indent=1) + "\n"
