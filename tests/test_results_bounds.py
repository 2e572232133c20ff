"""A query that takes too long or too much memory is stopped, whatever it is busy with."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest
from results_sample import cell_rows, spec

from saespec.results import child, parquet, query, schema, views
from saespec.results.query import SqlError, StoppedError, select

TIGHT = child.Bounds(seconds=0.4, memory_mb=300, duckdb_mb=64)
RECURSIVE = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) as n from n"


@pytest.fixture(scope="module")
def tables():
    cells = parquet.table(schema.tables(spec())["cells"], cell_rows())
    return dataclasses.replace(views.spec_connection({"cells": cells}, "toy"), bounds=TIGHT)


@pytest.mark.parametrize(
    "endless",
    [
        "select count(*) as n from range(1000000000000)",
        "select i from range(1000000000000) as r(i) where i < 0",
        "select sum(sin(a.i + b.i)) as s from range(1000000) as a(i), range(1000000) as b(i)",
        RECURSIVE,
        # One call, within which DuckDB does not look for an interrupt.
        "select levenshtein(repeat('a', 200000), repeat('b', 200000)) as n",
    ],
)
def test_a_query_that_does_not_end_is_stopped(tables, endless):
    started = time.monotonic()
    with pytest.raises(StoppedError, match=r"it was stopped after 0\.4 s: bound its ranges"):
        select(tables, endless)
    assert time.monotonic() - started < 5
    assert select(tables, "select count(*) as n from cells").values == ((78,),)


@pytest.mark.parametrize(
    "greedy",
    [
        "select list(i) as l from range(10000000000) as r(i)",
        "select i, count(*) as n from range(10000000000) as r(i) group by i",
        # What DuckDB's `memory_limit` does not count.
        "select len(range(100000000)) as n",
        "select unnest(range(1000000000)) as n",
        "select length(repeat('x', 1000000000)) as n",
        "select len(list_transform(range(100000000), lambda x: x + 1)) as n",
        "select length(printf('%1000000000d', 1)) as n",
        "select length(list_reduce(list_transform(range(60), lambda i: 'xx'), lambda x, y: x || x)) as n",
        "select repeat('x', 1000000) as a from range(1000)",
    ],
)
def test_a_query_that_takes_all_memory_is_stopped(tables, greedy):
    generous = dataclasses.replace(tables, bounds=dataclasses.replace(TIGHT, seconds=30.0))
    with pytest.raises(StoppedError, match=r"it was stopped at (64|300) MB of memory: bound its ranges"):
        select(generous, greedy)
    assert select(generous, "select count(*) as n from cells").values == ((78,),)


def test_tables_larger_than_the_bound_say_so():
    cells = parquet.table(schema.tables(spec())["cells"], cell_rows() * 3000)
    bounds = child.Bounds(seconds=5.0, memory_mb=6000, duckdb_mb=2)
    tables = dataclasses.replace(views.spec_connection({"cells": cells}, "toy"), bounds=bounds)
    with pytest.raises(StoppedError, match="stopped at 2 MB of memory"):
        select(tables, "select count(*) as n from cells")


def test_a_result_larger_than_a_chart_can_show_is_refused(tables):
    generous = dataclasses.replace(tables, bounds=query.DRAWING)
    with pytest.raises(SqlError, match="more than 100 MB of values"):
        select(generous, "select repeat('x', 1200000) as a from range(100)")


def test_duckdb_has_the_same_memory_on_every_machine():
    from saespec.results import locked

    with locked.open_locked("toy", {}, memory_mb=256) as connection:
        assert connection.execute("select current_setting('memory_limit')").fetchone() == ("256.0 MiB",)


def test_two_databases_take_turns(tables):
    other = views.spec_connection({}, "other")
    with pytest.raises(SqlError, match="there is no table cells"):
        select(other, "select * from cells")
    assert select(tables, "select count(*) as n from toy.cells").values == ((78,),)
    with pytest.raises(SqlError, match="there is no table cells"):
        select(other, "select * from cells")


def test_a_process_that_is_killed_from_outside_is_named_and_replaced(tables):
    select(tables, "select 1 as a")
    os.kill(child._child._process.pid, signal.SIGSTOP)
    pid = child._child._process.pid
    killer = subprocess.Popen(["sh", "-c", f"sleep 0.1; kill -KILL {pid}"])
    with pytest.raises(StoppedError, match=r"DuckDB ended on it \(SIGKILL\)"):
        select(tables, "select 1 as a")
    killer.wait()
    assert select(tables, "select 1 as a").values == ((1,),)


def test_a_query_ends_with_the_process_that_asked(tmp_path):
    code = f"""
import sys; sys.path[:] = {sys.path!r}
import threading, time
from saespec.results import child, query
connection = query.SpecConnection("toy", {{}}, query.DRAWING)
threading.Thread(target=query.select, args=(connection, {RECURSIVE!r}), daemon=True).start()
while child._child is None or child._child.holds is None:
    time.sleep(0.01)
print(child._child._process.pid, flush=True)
time.sleep(60)"""
    asker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with asker:
        assert asker.stdout is not None
        pid = int(asker.stdout.readline())
        asker.kill()
    until = time.monotonic() + 10
    while child.resident_mb(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert child.resident_mb(pid) == 0


def test_memory_is_read_where_there_is_no_proc(monkeypatch):
    with_proc = child.resident_mb(os.getpid())
    monkeypatch.setattr(child, "_STATM", "/nowhere/{pid}")
    assert child.resident_mb(os.getpid()) == pytest.approx(with_proc, rel=0.3)
