"""The other end of `child`: opens the tables that it is sent and runs queries over them, one after another."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from saespec.errors import reason

from . import locked, queries, statement
from .query import MOST_BYTES, MOST_ROWS, SqlError, plain, sql_error

if TYPE_CHECKING:
    import duckdb

_IDLE_SECONDS = 20.0


def main() -> None:
    """Answer what comes through the pipe `sys.argv[2]` until nothing comes any more or the asker has ended."""
    # Ctrl-C reaches every process of the terminal; the asker decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(int(sys.argv[3]),), daemon=True).start()
    pipe = Connection(int(sys.argv[2]))
    database: _Database | None = None
    while pipe.poll(_IDLE_SECONDS):
        try:
            request = json.loads(pipe.recv_bytes())
        except EOFError:
            return
        if "spec" in request:
            database, answer = _opened(request, pipe)
        else:
            assert database is not None
            answer = database.answer(request["sql"])
        try:
            pipe.send_bytes(_encoded(answer))
        except ConnectionError:
            return


def _opened(request: dict[str, Any], pipe: Connection) -> tuple[_Database | None, dict[str, Any]]:
    import duckdb

    tables = dict(request["empty"])
    for table in request["full"]:
        import pyarrow as pa

        tables[table] = pa.ipc.open_stream(pa.py_buffer(pipe.recv_bytes())).read_all()
    try:
        connection = locked.open_locked(request["spec"], tables, request["duckdb_mb"])
        wrong = queries.create(connection, request["queries"], request["spec"], tables)
    except duckdb.OutOfMemoryException:
        return None, {"memory": True}
    return _Database(connection, request["spec"], [*tables, *request["queries"]], wrong), {}


@dataclass
class _Database:
    connection: duckdb.DuckDBPyConnection
    spec: str
    tables: list[str]
    """The spec's queries among them."""
    wrong: Mapping[str, SqlError]
    """Queries that cannot be asked, and why."""

    def answer(self, sql: str) -> dict[str, Any]:
        """What a query gives, or what is wrong with it."""
        import duckdb

        try:
            statement.check(self.connection, sql, self.spec, self.tables)
            if error := queries.broken_in(self.connection, sql, self.wrong):
                return {"error": error.parts()}
            return _rows(self.connection, sql)
        except SqlError as error:
            return {"error": error.parts()}
        except duckdb.OutOfMemoryException:
            return {"memory": True}
        except duckdb.Error as error:
            return {"error": sql_error(error, sql).parts()}
        except MemoryError:
            return {"memory": True}
        except RecursionError:
            return {"error": SqlError("it is nested too deeply").parts()}
        except Exception as error:  # a value that Python cannot hold, such as a date before year 1
            return {"error": SqlError(f"{type(error).__name__}: {reason(error)}").parts()}


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    connection.execute("begin transaction read only")
    try:
        cursor = connection.execute(sql)
        described = [(str(name), str(kind)) for name, kind, *_ in cursor.description or ()]
        rows = cursor.fetchmany(MOST_ROWS + 1)
    finally:
        connection.execute("rollback")
    names = [name for name, _ in described]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SqlError(f"two columns are called {twice[0]}: rename one with `as`")
    if len(rows) > MOST_ROWS:
        raise SqlError(f"more than {MOST_ROWS:,} rows: aggregate or filter them")
    values = [[plain(value) for value in row] for row in rows]
    undefined = [
        (index, name, "NaN" if math.isnan(value) else "infinite")
        for index, row in enumerate(rows)
        for name, value in zip(names, row, strict=True)
        if isinstance(value, float) and not math.isfinite(value)
    ]
    return {
        "columns": names,
        "types": [kind for _, kind in described],
        "values": values,
        "undefined": undefined,
    }


def _encoded(answer: dict[str, Any]) -> bytes:
    content = json.dumps(answer).encode()
    if len(content) <= MOST_BYTES:
        return content
    error = SqlError(f"more than {MOST_BYTES / 1e6:g} MB of values: aggregate or shorten them")
    return json.dumps({"error": error.parts()}).encode()


def _end_with(asker: int) -> None:
    """End this process with the one that asked: killed, it cannot end a query that runs."""
    while os.getppid() == asker:
        time.sleep(0.5)
    os._exit(1)
