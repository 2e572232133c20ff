"""Running a spec's own SQL: one SELECT over the result tables, nothing else.

Four gates. The parsed statement must be a single SELECT whose functions give the same result each time
(promise 3) and whose only sources are result tables (`statement`); the connection has no way out (`locked`);
it runs in a read-only transaction that is rolled back, since DuckDB's SELECT may hold an INSERT in a WITH
clause; and all of that happens in a process that is killed when it takes too long or too much (`child`).
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from saespec.errors import QueryError

from . import child

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 100_000
"""A query that gives more rows than this is refused: no chart can show them."""
MOST_BYTES = 100_000_000
"""A query whose values take more than this, as JSON, is refused."""

CHECKING = child.Bounds(seconds=3.0, memory_mb=512, duckdb_mb=256)
"""For a query over empty tables, where every one that ends is done in milliseconds."""
DRAWING = child.Bounds(seconds=120.0, memory_mb=6144, duckdb_mb=4096)
"""For a query over results. Absolute, so that what runs on one machine runs on another of enough memory."""

_REMEDY = "bound its ranges, lists, texts and recursion, and aggregate before joining"


@dataclass(frozen=True, eq=False)
class SpecConnection:
    """Tables that a spec's own SQL sees, and what a query over them may take; ask with `select`.

    It cannot reach files, the network, extensions, Python variables or its own configuration.
    """

    spec_name: str
    tables: Mapping[str, str | pa.Table]
    """By name: its rows, or the columns of an empty one as SQL declares them."""
    bounds: child.Bounds
    queries: Mapping[str, str] = field(default_factory=dict)
    """The spec's own queries, which SQL sees as tables too."""


class SqlError(QueryError):
    """SQL that does not run, with what DuckDB knows about the place and the reason."""

    def __init__(
        self,
        message: str,
        line: int | None = None,
        missing: str = "",
        kind: str = "",
        candidates: tuple[str, ...] = (),
        query: str = "",
    ) -> None:
        self.message = message
        self.line = line
        """Line within the SQL, from 1, if known."""
        self.missing = missing
        """The name of what does not exist, if that is the reason."""
        self.kind = kind
        """What does not exist: column, table, scalar function, …"""
        self.candidates = candidates
        """What exists and has a similar name."""
        self.query = query
        """The spec's query that is wrong, if this is not the SQL that was asked itself."""
        place = f"line {line} of the SQL: " if line else ""
        super().__init__(f"{f'query {query}: ' if query else ''}{place}{message}")

    def parts(self) -> tuple[str, int | None, str, str, tuple[str, ...], str]:
        """What it was made of."""
        return self.message, self.line, self.missing, self.kind, self.candidates, self.query

    def of(self, query: str) -> SqlError:
        """The same as an error of one of the spec's queries."""
        return SqlError(self.message, self.line, self.missing, self.kind, self.candidates, query)


class StoppedError(SqlError):
    """SQL that was stopped at a bound of time or memory: it has no answer, also not that there is none."""


@dataclass(frozen=True)
class Rows:
    """What a query gave, in values that JSON can hold (None for NULL, NaN and infinity)."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """DuckDB's types of the columns."""
    values: tuple[tuple[Any, ...], ...]
    undefined: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """(row, column) → "NaN" or "infinite", where that is why a value is None."""

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as mappings by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.values]


def select(connection: SpecConnection, sql: str) -> Rows:
    """Run a spec's query on a connection made by `spec_connection` or `empty_connection`.

    Raises SqlError (a QueryError) if it is not one SELECT, could give another result next time, gives two
    columns of one name, more than `MOST_ROWS` rows or `MOST_BYTES` of values, or if DuckDB cannot run it;
    StoppedError (a SqlError) if it takes more than the connection's bounds.
    """
    bounds = connection.bounds
    full = {name: table for name, table in connection.tables.items() if not isinstance(table, str)}
    empty = {name: columns for name, columns in connection.tables.items() if isinstance(columns, str)}
    opening = {
        "spec": connection.spec_name,
        "empty": empty,
        "full": list(full),
        "queries": dict(connection.queries),
        "duckdb_mb": bounds.duckdb_mb,
    }
    contents = _Streams(full)
    try:
        answer = child.ask(connection, (opening, contents), {"sql": sql}, bounds)
    except child.ChildEnded as ended:
        raise StoppedError(f"{ended}: {_REMEDY}") from None
    if "memory" in answer:
        raise StoppedError(f"it was stopped at {bounds.duckdb_mb:,} MB of memory: {_REMEDY}")
    if "error" in answer:
        message, line, missing, kind, candidates, query = answer["error"]
        raise SqlError(message, line, missing, kind, tuple(candidates), query)
    return Rows(
        columns=tuple(answer["columns"]),
        types=tuple(answer["types"]),
        values=tuple(tuple(row) for row in answer["values"]),
        undefined={(row, column): word for row, column, word in answer["undefined"]},
    )


class _Streams:
    """Arrow streams of tables, made one at a time and only when they are sent."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = tables

    def __iter__(self) -> Iterator[pa.Buffer]:
        for table in self._tables.values():
            import pyarrow as pa  # here, since validating has no full tables and starts without it

            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            yield sink.getvalue()


def plain(value: Any) -> Any:
    """Return a value that DuckDB gave as one that JSON can hold; what is not finite becomes None."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return float(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return value.total_seconds()
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case bytes():
            return value.hex()
    return str(value)


def sql_error(error: Exception, sql: str) -> SqlError:
    """Read the JSON that DuckDB puts into its messages with `errors_as_json`."""
    text = str(error)
    start = text.find("{")
    try:
        details = json.loads(text[start:]) if start >= 0 else {}
    except ValueError:
        details = {}
    message = str(details.get("exception_message", text))
    # Its own "Did you mean" and candidate lists come as data too, and the caller words them.
    message = message.strip().split("\n")[0]
    missing, kind = "", ""
    if details.get("error_subtype") in ("COLUMN_NOT_FOUND", "MISSING_ENTRY"):
        missing, kind = str(details.get("name", "")), str(details.get("type", "column")).lower()
        message = f"there is no {kind} {missing}"
    candidates = str(details.get("candidates", ""))
    return SqlError(
        message,
        line_of(sql, details.get("position")),
        missing,
        kind,
        tuple(name for name in candidates.split(",") if name),
    )


def line_of(sql: str, position: Any) -> int | None:
    """Line of a byte position, as DuckDB counts them; None if it gave none."""
    encoded = sql.encode()
    if position is None or int(position) > len(encoded):
        return None
    return encoded[: int(position)].count(b"\n") + 1
