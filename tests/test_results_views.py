"""The result tables as DuckDB sees them, and what a spec's SQL may not do."""

from __future__ import annotations

import json

import pytest
from results_sample import PROVENANCE, cell_rows, spec

from saespec.errors import CallError, DamagedFileError, QueryError
from saespec.results import document, parquet, schema, views
from saespec.results.query import SqlError, select

TABLES = schema.tables(spec())


@pytest.fixture(scope="module")
def connection():
    return views.spec_connection({"cells": parquet.table(TABLES["cells"], cell_rows())}, "toy")


def save(root, name, table="cells", rows=None, where="tables/"):
    rows = [{**row, "spec": name} for row in cell_rows()] if rows is None else rows
    parquet.write(root / f"results/{name}/{where}{table}.parquet", table, TABLES[table], rows, PROVENANCE)


@pytest.mark.parametrize("table", ["cells", "toy.cells", "main.cells"])
def test_a_spec_names_its_tables_in_three_ways(connection, table):
    assert select(connection, f"select count(*) as n, min(spec) as s from {table}").records() == [
        {"n": 78, "s": "toy"}
    ]


def test_curves_of_all_specs_say_whose_they_are():
    curves = parquet.table(TABLES["curves"], [{"cell": "a", "step": 1}])
    connection = views.spec_connection({"curves": curves}, "toy")
    assert select(connection, "select spec, cell from main.curves").records() == [
        {"spec": "toy", "cell": "a"}
    ]


def test_a_spec_may_be_called_like_a_keyword_of_sql():
    cells = parquet.table(TABLES["cells"], cell_rows())
    connection = views.spec_connection({"cells": cells}, "select")
    assert select(connection, 'select count(*) as n from "select".cells').values == ((78,),)


def test_empty_tables_have_the_declared_types_and_no_timings():
    rows = select(views.empty_connection(spec()), "select cell, latents, mmcs, weights from cells")
    assert rows.types == ("VARCHAR", "BIGINT", "DOUBLE", "VARCHAR")
    assert rows.values == ()
    for table in set(TABLES) - {"runs"}:
        names = select(views.empty_connection(spec()), f"select * from {table}").columns
        assert names == tuple(column.name for column in TABLES[table])
    with pytest.raises(SqlError, match="no table runs"):
        select(views.empty_connection(spec()), "select * from runs")


@pytest.mark.parametrize(
    "attack",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from read_blob('/etc/passwd')",
        "select * from read_json('/etc/passwd')",
        "select * from read_parquet('/etc/passwd')",
        "select * from sniff_csv('/etc/passwd')",
        "select * from parquet_metadata('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from 'https://example.com/x.parquet'",
        "select * from glob('/*')",
        "select getenv('HOME') as home",
        "copy cells to '{out}'",
        "copy (select 1) to '{out}'",
        "export database '{out}'",
        "attach '{out}'",
        "install httpfs",
        "load httpfs",
        "set threads = 8",
        "set enable_external_access = true",
        "reset lock_configuration",
        "pragma database_list",
        "call enable_logging(storage = 'file', storage_path = '{out}')",
        "select * from enable_logging()",
        "select * from duckdb_settings()",
        "select * from query('select 1')",
        "use main",
        "create table t as select 1",
        "drop table cells",
        "insert into cells (cell) values ('x')",
        "with x as (insert into cells (cell) values ('x') returning cell) select * from x",
        "with x as (delete from cells returning cell) select * from x",
        "select 1 as a; drop table cells",
        "select 1 as a; select 2 as a",
        "",
        "-- nothing",
        "select * from frame",
        "select $1 as a",
        "pivot cells on latents using avg(mmcs)",
        "select random() as a",
        "select now() as a",
        "select current_timestamp as a",
        "select today()::varchar as a",
        "select uuid() as a",
        "select * from cells using sample 10%",
        "select * from cells, cells as b",
        "select * from range(1000000)",
    ],
)
def test_a_spec_may_not(connection, attack, tmp_path):
    frame = parquet.table(TABLES["cells"], cell_rows())
    with pytest.raises(QueryError):
        select(connection, attack.format(out=tmp_path / "out"))
    assert frame.num_rows == 78
    assert list(tmp_path.iterdir()) == []
    assert select(connection, "select count(*) as n from cells").values == ((78,),)


def test_a_sample_with_a_seed_is_the_same_each_time(connection):
    sql = "select cell from cells using sample 50% (bernoulli, 1)"
    assert select(connection, sql) == select(connection, sql)


def test_sums_have_the_same_bits_each_time():
    cells = parquet.table(TABLES["cells"], cell_rows() * 3000)
    sums = {
        select(views.spec_connection({"cells": cells}, "toy"), "select sum(mmcs) as s from cells").values
        for _ in range(3)
    }
    assert len(sums) == 1


def test_values_come_as_json_can_hold_them(connection):
    rows = select(
        connection,
        """select 1.5::decimal(4, 2) as a, sum(2) as b, date '2020-01-02' as c, 'nan'::double as d,
        1e0 / 0 as e, [1.5, null] as f, {'x': 1.5} as g, null as h, true as i""",
    )
    (values,) = rows.values
    assert values == (1.5, 2, "2020-01-02", None, None, [1.5, None], {"x": 1.5}, None, True)
    json.dumps(rows.records(), allow_nan=False)


def test_an_error_says_line_name_and_candidates(connection):
    with pytest.raises(SqlError, match="line 3 of the SQL: there is no column mmsc") as raised:
        select(connection, "select latents,\n  -- é\n  mmsc\nfrom cells")
    assert (raised.value.line, raised.value.missing, raised.value.kind) == (3, "mmsc", "column")
    assert "mmcs" in raised.value.candidates


def test_an_error_leaves_the_connection_usable(connection):
    with pytest.raises(SqlError):
        select(connection, "select 'a'::int as a")
    assert select(connection, "select 1 as a").values == ((1,),)


def test_connect_sees_all_specs(tmp_path):
    save(tmp_path, "toy")
    save(tmp_path, "toy_full")
    save(tmp_path, "toy_full", "curves", [{"cell": "a", "step": 1}])
    save(tmp_path, "toy_full", "runs", [{"cell": "a", "spec": "toy_full", "seconds": 1.0}], where="")
    connection = views.connect(tmp_path)
    counted = connection.execute("select spec, count(*) from cells group by all order by all").fetchall()
    assert counted == [("toy", 78), ("toy_full", 78)]
    assert connection.execute("select count(*) from toy.cells").fetchone() == (78,)
    assert connection.execute("select spec, step from main.curves").fetchall() == [("toy_full", 1)]
    assert connection.execute("select seconds from toy_full.runs").fetchall() == [(1.0,)]
    described = """select type, unit, description from columns where spec = 'toy' and "column" = 'mmcs'"""
    assert connection.execute(described).fetchone()[:2] == ("float64", "cosine")


def made_from(root, name, source):
    """Write what tells whose results these are."""
    (root / f"results/{name}/plan.json").write_text(f'{{\n"saespec_plan": 1,\n"sources": ["{source}"],\n}}')


def test_results_without_a_spec_are_under_their_own_name_alone(tmp_path):
    for name in ("toy", "gone", "theirs"):
        save(tmp_path, name)
        save(tmp_path, name, "runs", [{"cell": "a", "spec": name, "seconds": 1.0}], where="")
        verdict = {
            "says": "S.",
            "source": "",
            "holds": True,
            "why": "",
            "numbers": {},
            "condition": "",
            "sql": "",
        }
        claims = document.encode({"claims": {"wide": verdict}}, document.CLAIMS, PROVENANCE)
        (tmp_path / f"results/{name}/claims.json").write_bytes(claims)
    made_from(tmp_path, "toy", "specs/toy.yaml")
    made_from(tmp_path, "gone", "specs/gone.yaml")
    save(tmp_path, "gone", "curves", [{"cell": "a", "step": 1}])
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/toy.yaml").write_text("name: toy\n")
    connection = views.connect(tmp_path)
    for table in ("cells", "runs", "claims"):
        assert connection.execute(f"select distinct spec from main.{table}").fetchall() == [("toy",)]
    for name in ("gone", "theirs"):
        assert connection.execute(f"select count(*) from {name}.cells").fetchone() == (78,)
    assert connection.execute("select count(*) from gone.curves").fetchone() == (1,)
    described = "select distinct spec from columns order by all"
    assert connection.execute(described).fetchall() == [("gone",), ("theirs",), ("toy",)]
    (tmp_path / "specs/toy.yaml").unlink()
    copied = views.connect(tmp_path).execute("select distinct spec from cells").fetchall()
    assert copied == [("theirs",)], "with no spec that ran, what was copied in stands together"


def test_specs_with_different_columns_are_united_by_name(tmp_path):
    save(tmp_path, "toy")
    columns = schema.tables(spec(measure=["losses"]))["cells"]
    path = tmp_path / "results/other/tables/cells.parquet"
    parquet.write(path, "cells", columns, [{"cell": "x", "spec": "other", "fvu": 0.5}], PROVENANCE)
    found = views.connect(tmp_path).execute("select fvu, mmcs from cells where spec = 'other'").fetchall()
    assert found == [(0.5, None)]


def test_connect_shows_verdicts(tmp_path):
    verdict = {"says": "S.", "source": "", "holds": None, "why": "w is NULL", "numbers": {"w": 1.5}}
    path = tmp_path / "results/toy/claims.json"
    path.parent.mkdir(parents=True)
    claims = {"wide": {**verdict, "condition": "w > 1", "sql": "select 1.5 as w"}}
    path.write_bytes(document.encode({"claims": claims}, document.CLAIMS, PROVENANCE))
    sql = "select spec, claim, holds, why, (numbers->>'w')::double from claims"
    assert views.connect(tmp_path).execute(sql).fetchall() == [("toy", "wide", None, "w is NULL", 1.5)]
    path.write_bytes(path.read_bytes().replace(b"1.5,", b"2.5,").replace(b"1.5\n", b"2.5\n"))
    with pytest.raises(DamagedFileError, match=r"claims\.json: its bytes are not those that saespec wrote"):
        views.connect(tmp_path)


def test_connect_notices_damage(tmp_path):
    save(tmp_path, "toy")
    path = tmp_path / "results/toy/tables/cells.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamagedFileError, match=r"toy/tables/cells\.parquet"):
        views.connect(tmp_path)


def test_connect_without_results_says_what_makes_them(tmp_path):
    with pytest.raises(CallError, match="saespec run"):
        views.connect(tmp_path)
