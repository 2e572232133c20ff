"""The locked DuckDB that a spec's own SQL runs in: its tables, and nothing else of the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_SAFE: dict[str, str | int | float | list[str]] = {
    # One thread, so that a sum adds its terms in the same order every time.
    "threads": 1,
    # Otherwise `from rows` reads a Python variable called rows in any calling frame.
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "temp_directory": "",
}


def open_locked(
    spec_name: str, tables: Mapping[str, str | pa.Table], memory_mb: int
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection that sees these tables (a content, or SQL's columns of an empty one).

    `memory_mb` is what DuckDB may hold in its own buffers, the tables included.
    """
    import duckdb

    # An absolute number: DuckDB's own default is a share of the machine's memory.
    connection = duckdb.connect(":memory:", config={**_SAFE, "memory_limit": f"{memory_mb}MiB"})
    connection.execute(f"create schema {name(spec_name)}")
    for table, content in tables.items():
        target = f"{name(spec_name)}.{name(table)}"
        if isinstance(content, str):
            connection.execute(f"create table {target}({content})")
        else:
            connection.register("_arrow", content)
            connection.execute(f"create table {target} as from _arrow")
            connection.unregister("_arrow")
    union_views(connection, {t: {spec_name: f"{name(spec_name)}.{name(t)}"} for t in tables})
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"set search_path = {text(f'{name(spec_name)},main')}")
    connection.execute("set errors_as_json = true")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def union_views(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Mapping[str, str]]) -> None:
    """Create `main.<table>` from each spec's source; `spec` is added where the table lacks it."""
    for table, by_spec in sources.items():
        keyed = table in ("cells", "runs")
        parts: Iterable[str] = [
            f"select {'' if keyed else f'{text(spec)} as spec, '}* from {source}"
            for spec, source in by_spec.items()
        ]
        connection.execute(f"create view main.{name(table)} as {' union all by name '.join(parts)}")


def name(identifier: str) -> str:
    """Return an identifier as SQL quotes it."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a text as SQL quotes it."""
    return "'" + value.replace("'", "''") + "'"
