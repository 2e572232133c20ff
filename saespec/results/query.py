"""Running a spec's own SQL: one SELECT over the result tables, nothing else.

Two gates, besides the locked connection that `saespec.results.views` makes. The parsed statement must
be a single SELECT whose functions give the same result each time (promise 3) and whose only sources
are tables; and it runs in a read-only transaction that is rolled back, since DuckDB's SELECT may hold
an INSERT in a WITH clause.
"""

from __future__ import annotations

import datetime
import json
import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from saespec.errors import QueryError

if TYPE_CHECKING:
    import duckdb

MOST_ROWS = 100_000
"""A query that gives more rows than this is refused: no chart can show them."""
MOST_SECONDS = 120.0
"""A query that takes longer is stopped: a recursive one may never end."""

# fmt: off
_UNSTABLE = frozenset({
    "current_connection_id", "current_date", "current_query_id", "current_time", "current_timestamp",
    "current_transaction_id", "gen_random_uuid", "get_current_time", "get_current_timestamp", "localtime",
    "localtimestamp", "nextval", "now", "random", "setseed", "sleep_ms", "today", "transaction_timestamp",
    "txid_current", "uuid", "uuidv4", "uuidv7", "write_log",
})
# fmt: on
_TABLE_FUNCTIONS = frozenset({"generate_series", "range", "repeat", "unnest"})


class SqlError(QueryError):
    """SQL that does not run, with what DuckDB knows about the place and the reason."""

    def __init__(
        self,
        message: str,
        line: int | None = None,
        missing: str = "",
        kind: str = "",
        candidates: tuple[str, ...] = (),
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
        super().__init__(f"line {line} of the SQL: {message}" if line else message)


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


def select(connection: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    """Run a spec's query on a connection made by `spec_connection` or `empty_connection`.

    Raises SqlError (a QueryError) if it is not one SELECT, could give another result next time, gives two
    columns of one name or more than `MOST_ROWS` rows, takes longer than `MOST_SECONDS`, or if DuckDB cannot run it.
    """
    import duckdb

    _check(connection, sql)
    connection.execute("begin transaction read only")
    clock = threading.Timer(MOST_SECONDS, connection.interrupt)
    clock.start()
    try:
        cursor = connection.execute(sql)
        described = [(str(name), str(kind)) for name, kind, *_ in cursor.description or ()]
        rows = cursor.fetchmany(MOST_ROWS + 1)
    except duckdb.InterruptException:
        raise SqlError(f"it was stopped after {MOST_SECONDS:g} s: does it end?") from None
    except duckdb.Error as error:
        raise _sql_error(error, sql) from error
    finally:
        clock.cancel()
        connection.execute("rollback")
    names = [name for name, _ in described]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SqlError(f"two columns are called {twice[0]}: rename one with `as`")
    if len(rows) > MOST_ROWS:
        raise SqlError(f"more than {MOST_ROWS:,} rows: aggregate or filter them")
    return Rows(
        columns=tuple(names),
        types=tuple(kind for _, kind in described),
        values=tuple(tuple(plain(value) for value in row) for row in rows),
        undefined={
            (index, name): "NaN" if math.isnan(value) else "infinite"
            for index, row in enumerate(rows)
            for name, value in zip(names, row, strict=True)
            if isinstance(value, float) and not math.isfinite(value)
        },
    )


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


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    (parsed,) = connection.execute("select json_serialize_sql(?::varchar)", [sql]).fetchall()
    tree = json.loads(parsed[0])
    if tree["error"]:
        if tree["error_type"] == "parser":
            raise SqlError(tree["error_message"], _line(sql, tree.get("position")))
        raise SqlError("only a SELECT may be run here (PIVOT needs its values: `on column in (…)`)")
    if len(tree["statements"]) != 1:
        raise SqlError(f"exactly one SELECT is needed, this is {len(tree['statements'])} statements")
    for node in _nodes(tree):
        name = str(node.get("function_name") or "").lower()
        if node.get("class") == "COLUMN_REF" and len(node.get("column_names", ())) == 1:
            name = str(node["column_names"][0]).lower()
            # SQL's functions without parentheses; the rest of the names may well be columns.
            name = name if name.startswith(("current_", "local")) else ""
        if name in _UNSTABLE:
            raise SqlError(f"{name} gives another result each time", _line(sql, node.get("query_location")))
        if node.get("type") == "TABLE_FUNCTION":
            source = str(node.get("function", {}).get("function_name", "")).lower()
            if source not in _TABLE_FUNCTIONS:
                raise SqlError(
                    f"{source}() may not be read: a spec's SQL sees its result tables only",
                    _line(sql, node.get("query_location")),
                )
        if (sample := node.get("sample")) and sample.get("seed", -1) == -1:
            raise SqlError("a sample without a seed is another one each time: `sample 10% (bernoulli, 1)`")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _sql_error(error: Exception, sql: str) -> SqlError:
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
        _line(sql, details.get("position")),
        missing,
        kind,
        tuple(name for name in candidates.split(",") if name),
    )


def _line(sql: str, position: Any) -> int | None:
    """Line of a byte position, as DuckDB counts them; None if it gave none."""
    encoded = sql.encode()
    if position is None or int(position) > len(encoded):
        return None
    return encoded[: int(position)].count(b"\n") + 1
