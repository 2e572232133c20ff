"""What a spec's SQL may say: one SELECT over its result tables, with functions that give the same everywhere.

Promise 3 is that the same tables give the same bytes, so nothing may enter from the clock, chance, the
session, DuckDB's settings or its catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from .query import SqlError, line_of

if TYPE_CHECKING:
    import duckdb

# fmt: off
REFUSED: dict[str, frozenset[str]] = {
    "gives another result each time": frozenset({
        "ago", "current_date", "current_localtime", "current_localtimestamp", "current_time",
        "current_timestamp", "gen_random_uuid", "get_current_time", "get_current_timestamp", "localtime",
        "localtimestamp", "now", "pg_conf_load_time", "pg_postmaster_start_time", "random", "setseed",
        "today", "transaction_timestamp", "uuid", "uuidv4", "uuidv7",
    }),
    "tells of the session or the machine, not of the results": frozenset({
        "current_catalog", "current_connection_id", "current_database", "current_query", "current_query_id",
        "current_role", "current_schema", "current_schemas", "current_setting", "current_transaction_id",
        "current_user", "getenv", "getvariable", "in_search_path", "inet_client_addr", "inet_client_port",
        "inet_server_addr", "inet_server_port", "pg_my_temp_schema", "session_user", "txid_current", "user",
        "version",
    }),
    "tells of DuckDB's storage and plans, not of the results": frozenset({
        "col_description", "format_type", "get_block_size", "json_serialize_plan", "obj_description",
        "pg_get_constraintdef", "pg_get_expr", "pg_get_viewdef", "shobj_description", "stats", "vector_type",
    }),
    "does something besides giving a value": frozenset({
        "currval", "error", "nextval", "pg_sleep", "setval", "sleep_ms", "write_log",
    }),
}
"""Functions whose result is not made of their arguments alone, or that do something besides, by what they do."""
# fmt: on
ESTIMATES = {
    "approx_count_distinct": "count(distinct …)",
    "approx_quantile": "quantile_cont",
    "approx_top_k": "`group by` with `order by` and `limit`",
    "hash": "md5",
    "list_approx_count_distinct": "list_unique",
    "reservoir_quantile": "quantile_cont",
}
"""Functions whose values DuckDB may change from version to version, and what is exact instead."""

TABLE_FUNCTIONS = frozenset({"generate_series", "range", "repeat", "unnest"})
"""Sources that are made of their arguments alone."""

_BY_NAME = frozenset({"aggregate", "array_aggr", "array_aggregate", "list_aggr", "list_aggregate"})
"""Functions that take the name of an aggregate as a text."""
# SQL's functions without parentheses. `user` is the same word everywhere, and may well be a column.
_BARE = ("current_", "local", "session_user")


def check(connection: duckdb.DuckDBPyConnection, sql: str, spec_name: str, tables: Collection[str]) -> None:
    """Raise SqlError unless this is one SELECT over these tables that gives the same each time."""
    tree = parsed(connection, sql)
    if tree["error"]:
        if tree["error_type"] == "parser":
            raise SqlError(tree["error_message"], line_of(sql, tree.get("position")))
        raise SqlError("only a SELECT may be run here (PIVOT needs its values: `on column in (…)`)")
    if len(tree["statements"]) != 1:
        raise SqlError(f"exactly one SELECT is needed, this is {len(tree['statements'])} statements")
    ctes = bound(tree)
    # A CTE hides a catalogue view of its name only where it is in scope, so none may have such a name.
    known = {str(table).lower() for table in tables} | (ctes - _catalogue(connection))
    for node in nodes(tree):
        line = line_of(sql, node.get("query_location"))
        if reason := refusal(node):
            raise SqlError(reason, line)
        if node.get("type") == "BASE_TABLE" and (missing := _unknown(node, known, spec_name)):
            raise SqlError(f"there is no table {missing}", line, missing, "table")


def refusal(node: dict[str, Any]) -> str:
    """Return why a node of a parsed statement may not be there; empty if it may."""
    called = str(node.get("function_name") or "").lower()
    if node.get("class") == "COLUMN_REF" and len(node.get("column_names", ())) == 1:
        called = str(node["column_names"][0]).lower()
        called = called if called.startswith(_BARE) else ""
    arguments = [one["expression"] for one in node.get("arguments") or ()]
    if called in _BY_NAME and len(arguments) > 1:
        called = str((arguments[1].get("literal") or {}).get("text") or "").lower()
        if arguments[1].get("class") != "CONSTANT":
            return "the name of the aggregate must be written out, such as 'median'"
    if called == "age" and len(arguments) == 1:
        return "age of one date gives another result each time: give it two"
    for reason, functions in REFUSED.items():
        if called in functions:
            return f"{called} {reason}"
    if called in ESTIMATES:
        return f"{called} may give another result with another version of DuckDB: use {ESTIMATES[called]}"
    if node.get("type") == "TABLE_FUNCTION":
        source = str(node.get("function", {}).get("function_name", "")).lower()
        if source not in TABLE_FUNCTIONS:
            return f"{source}() may not be read: a spec's SQL sees its result tables only"
    if node.get("type") == "SHOW_REF":
        return "DESCRIBE, SHOW and SUMMARIZE may not be read: a spec's SQL sees its result tables only"
    if (sample := node.get("sample")) and sample.get("seed", -1) == -1:
        return "a sample without a seed is another one each time: `sample 10% (bernoulli, 1)`"
    return ""


def parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """Return the tree of a statement as `json_serialize_sql` gives it; with `error` if it cannot be parsed."""
    (found,) = connection.execute("select json_serialize_sql(?::varchar)", [sql]).fetchall()
    tree: dict[str, Any] = json.loads(found[0])
    return tree


def bound(tree: Any) -> set[str]:
    """Names, in small letters, that a statement's WITH clauses give."""
    return {str(node["key"]).lower() for node in nodes(tree) if "key" in node and "value" in node}


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in what `json_serialize_sql` gives."""
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def _catalogue(connection: duckdb.DuckDBPyConnection) -> set[str]:
    views = connection.execute("select view_name from duckdb_views() where internal").fetchall()
    return {str(view) for (view,) in views}


def _unknown(node: dict[str, Any], known: Collection[str], spec_name: str) -> str:
    """Name of a source that is no result table and no CTE; empty if it is one."""
    catalog, schema, table = (str(node.get(f"{part}_name") or "") for part in ("catalog", "schema", "table"))
    ours = catalog.lower() in ("", "memory") and schema.lower() in ("", "main", spec_name.lower())
    return "" if ours and table.lower() in known else ".".join(filter(None, (catalog, schema, table)))
