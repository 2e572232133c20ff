"""A spec's own `queries`: views that its figures and claims, and each other, see as tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from . import statement
from .locked import name
from .query import SqlError, sql_error

if TYPE_CHECKING:
    import duckdb


def create(
    connection: duckdb.DuckDBPyConnection, queries: Mapping[str, str], spec: str, tables: Collection[str]
) -> dict[str, SqlError]:
    """Create a view for each query in the spec's schema; return what is wrong with those that cannot be.

    What reads one of those has the same error: it is that query's.
    """
    import duckdb

    wrong: dict[str, SqlError] = {}
    reads = {query: _sources(connection, sql) & queries.keys() for query, sql in queries.items()}
    for query in _ordered(reads, wrong):
        broken = next((wrong[one] for one in sorted(reads[query]) if one in wrong), None)
        if broken:
            wrong.setdefault(query, broken)
        if query in wrong:
            continue
        sql = queries[query]
        known = [*tables, *(one for one in queries if one not in wrong)]
        view = f"create view {name(spec)}.{name(query)} as\n{sql.rstrip().rstrip(';')}"
        try:
            statement.check(connection, sql, spec, known)
            connection.execute(view)
        except SqlError as error:
            wrong[query] = error.of(query)
        except duckdb.Error as error:
            found = sql_error(error, view).of(query)
            if found.line:
                found.line -= 1  # the view begins a line above its query
            wrong[query] = found
    return wrong


def broken_in(
    connection: duckdb.DuckDBPyConnection, sql: str, wrong: Mapping[str, SqlError]
) -> SqlError | None:
    """Return the error of a query that a statement reads; None if it reads none that is wrong."""
    if not wrong:
        return None
    return next((wrong[one] for one in sorted(_sources(connection, sql)) if one in wrong), None)


def _sources(connection: duckdb.DuckDBPyConnection, sql: str) -> set[str]:
    """Names of all that a statement reads, in small letters; none if it cannot be parsed."""
    tree = statement.parsed(connection, sql)
    tables = {str(n["table_name"]).lower() for n in statement.nodes(tree) if n.get("type") == "BASE_TABLE"}
    return tables - statement.bound(tree)


def _ordered(reads: Mapping[str, set[str]], wrong: dict[str, SqlError]) -> list[str]:
    """Queries, each after those that it reads; those that read themselves in a circle become wrong."""
    graph = {query: set(sources) for query, sources in reads.items()}
    while True:
        try:
            return [
                *TopologicalSorter(graph).static_order(),
                *(query for query in reads if query not in graph),
            ]
        except CycleError as error:
            circle = error.args[1]
            said = SqlError(f"it reads itself in a circle: {' → '.join(reversed(circle))}")
            for query in circle:
                wrong[query] = said.of(query)
                graph.pop(query, None)
            graph = {query: sources - set(circle) for query, sources in graph.items()}
