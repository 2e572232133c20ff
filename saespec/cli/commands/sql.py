"""`saespec sql`: a question to the results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    import duckdb

Format = Literal["table", "csv", "json", "parquet"]
_SUFFIXES: dict[str, Format] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


def sql(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="DuckDB SQL; - reads it from standard input.")
    ],
    spec: Annotated[str | None, typer.Option("--spec", help="Let plain `cells` mean this spec's.")] = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="By the ending of --output, else table.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file.", show_default=False)
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option("--project", help="The project's folder, if not around here.", show_default=False),
    ] = None,
) -> None:
    """Ask the results a question in SQL.

    Each spec is a schema (toy_mmcs.cells); plain cells, curves, latents, truth, pairs and runs are those of
    all specs together, with a column `spec`; results whose spec is gone are left out there. `claims` holds
    the verdicts, `columns` what every column means.

    JSON: a list with one object a row.
    """
    import duckdb

    from saespec.errors import CallError, QueryError
    from saespec.plan.project import project_around
    from saespec.results.views import connect

    chosen = format_ or (_SUFFIXES.get(file.suffix, "table") if file else "table")
    if chosen == "parquet" and file is None:
        raise CallError("Parquet goes to a file: name one with --output")
    connection = connect(project or project_around())
    try:
        if spec is not None:
            _plain_names_of(spec, connection)
        found = connection.sql(sys.stdin.read() if query == "-" else query)
        if found is None:
            raise QueryError("the query gives no rows: a SELECT is needed")
        _write(found, chosen, file)
    except duckdb.Error as error:
        raise QueryError(_words(error)) from None


def _plain_names_of(spec: str, connection: duckdb.DuckDBPyConnection) -> None:
    from saespec.errors import CallError

    query = "select distinct schema_name from duckdb_views() where not internal and schema_name <> 'main' order by 1"
    known = [row[0] for row in connection.execute(query).fetchall()]
    if spec not in known:
        raise CallError(f"no spec called {spec} has results; there are {', '.join(known)}")
    connection.execute(f"set search_path = '{spec},main'")


def _write(found: duckdb.DuckDBPyRelation, chosen: Format, file: Path | None) -> None:
    if chosen == "parquet":
        found.write_parquet(str(file), compression="zstd")
        return
    from saespec.results.query import plain

    rows = [[plain(value) for value in row] for row in found.fetchall()]
    text = _text(chosen, found.columns, rows)
    if file is None:
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8")


def _text(chosen: Format, columns: list[str], rows: list[list[Any]]) -> str:
    if chosen == "json":
        import json

        records = [dict(zip(columns, row, strict=True)) for row in rows]
        return json.dumps(records, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    if chosen == "csv":
        import csv
        import io

        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([columns, *rows])
        return stream.getvalue()
    from saespec.cli import output

    return f"{output.table(rows, columns)}\n{output.count(len(rows), 'row')}\n"


def _words(error: Exception) -> str:
    """DuckDB's message without the name of the error class that it puts in front, twice."""
    text = str(error).strip()
    return text.split(": ", 1)[1] if text.split(":", 1)[0].endswith("Error") and ": " in text else text
