"""What a spec's SQL may say: every function and every source of the pinned DuckDB is decided."""

from __future__ import annotations

import json

import duckdb
import pytest

from saespec.results import views
from saespec.results.query import SqlError, select
from saespec.results.statement import ESTIMATES, REFUSED, TABLE_FUNCTIONS, nodes, refusal

CONNECTION = views.SpecConnection(
    "toy", {"cells": "cell varchar, latents bigint, mmcs double"}, views.CHECKING
)


@pytest.fixture(scope="module")
def bare():
    return duckdb.connect()


def parsed(bare, sql):
    ((text,),) = bare.execute("select json_serialize_sql(?::varchar)", [sql]).fetchall()
    return json.loads(text)


def reasons(bare, sql):
    return [reason for node in nodes(parsed(bare, sql)) if (reason := refusal(node))]


def test_every_function_that_duckdb_calls_unstable_is_refused(bare):
    unstable = bare.execute(
        "select distinct function_name from duckdb_functions() "
        "where stability in ('VOLATILE', 'CONSISTENT_WITHIN_QUERY') or has_side_effects order by all"
    ).fetchall()
    assert ("now",) in unstable
    assert [name for (name,) in unstable if not reasons(bare, f'select "{name}"()')] == []


def test_every_macro_that_calls_a_refused_function_or_reads_the_catalogue_is_refused(bare):
    macros = bare.execute(
        "select function_name, macro_definition from duckdb_functions() where function_type = 'macro'"
    ).fetchall()
    assert ("ago", "(current_timestamp - CAST(i AS INTERVAL))") in macros
    let_through = [
        (name, reasons(bare, f"select {definition}"))
        for name, definition in macros
        if reasons(bare, f"select {definition}") and not reasons(bare, f'select "{name}"()')
    ]
    # They stop a query whose condition does not hold, and do nothing else.
    by_error = ["error does something besides giving a value"]
    assert {name for name, why in let_through if why != by_error} == set()
    assert {name for name, _ in let_through} <= {"assert_true", "json_group_object"}


def test_every_table_function_but_those_of_arguments_is_refused(bare):
    found = bare.execute(
        "select distinct function_name from duckdb_functions() "
        "where function_type in ('table', 'table_macro', 'pragma') order by all"
    ).fetchall()
    assert ("duckdb_settings",) in found
    passed = {name for (name,) in found if not reasons(bare, f'select * from "{name}"()')}
    assert passed == TABLE_FUNCTIONS


def test_every_view_of_the_catalogue_is_refused(bare):
    found = bare.execute("select schema_name, view_name from duckdb_views() where internal").fetchall()
    assert ("information_schema", "tables") in found
    for schema, view in found:
        for source in (f"{schema}.{view}", f"system.{schema}.{view}", view):
            with pytest.raises(SqlError, match="there is no table"):
                select(CONNECTION, f"select count(*) as n from {source}")


def test_every_refused_function_is_refused_as_a_bare_word_where_sql_knows_it_so(bare):
    for name in sorted(frozenset().union(*REFUSED.values(), ESTIMATES)):
        try:
            bare.execute(f"select {name} as a")
        except duckdb.Error:
            continue
        assert name == "user" or reasons(bare, f"select {name} as a"), name


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select version() as a", "version tells of the session or the machine, not of the results"),
        ("select current_setting('threads') as a", "current_setting tells of the session or the machine"),
        ("select main.current_user() as a", "current_user tells of the session"),
        ("select session_user as a", "session_user tells of the session"),
        ("select age(timestamp '2020-01-01') as a", "age of one date gives another result each time"),
        ("select hash(cell) as a from cells", "hash may give another result .*: use md5"),
        ("select approx_quantile(mmcs, 0.5) as a from cells", "use quantile_cont"),
        ("select list_aggregate([1], 'approx_count_distinct') as a", "use count"),
        ("select list_aggr([1], 'reservoir_' || 'quantile') as a", "must be written out"),
        ("select * from (describe cells)", "DESCRIBE, SHOW and SUMMARIZE may not be read"),
        ("select * from (summarize cells)", "DESCRIBE, SHOW and SUMMARIZE may not be read"),
        (
            "select latents from cells where mmcs > (select max(mmcs) from system.main.duckdb_tables)",
            "no table",
        ),
        (
            "select a from (with pg_tables as (select 1 as a) select a from pg_tables), pg_tables",
            "there is no table pg_tables",
        ),
        ("select * from temp.cells", "there is no table temp.cells"),
    ],
)
def test_what_does_not_come_from_the_tables_is_refused(sql, message):
    with pytest.raises(SqlError, match=message):
        select(CONNECTION, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) as n from cells",
        "select count(*) as n from TOY.Cells",
        "select count(*) as n from memory.main.cells",
        "with Best as (select max(mmcs) as m from cells) select m from best",
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5) select max(i) as n from n",
        "with a as (select 1 as x), b as (select x from a) select x from b",
        "select x from (with a as (select 1 as x) select x from a)",
        'select "user" from (select 1 as "user")',
        "select list_aggregate([1, 2], 'median') as m",
        "select age(timestamp '2020-01-02', timestamp '2020-01-01') as a",
        "select i from range(3) as r(i)",
        "select unnest([1, 2]) as a",
        "select x from (values (1), (2)) as v(x)",
        "select * from (pivot cells on latents in (8, 16) using max(mmcs))",
        "select list_transform([1, 2], lambda x: x + 1) as a",
    ],
)
def test_what_comes_from_the_tables_is_let_through(sql):
    assert select(CONNECTION, sql).columns
