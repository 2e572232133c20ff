"""The result tables as DuckDB sees them: a schema per spec, `main` for all specs together.

`toy_mmcs.cells` is one spec's table, `main.cells` the union by name over specs with a `spec` column; within a
spec's own queries plain `cells` is its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saespec.errors import CallError
from saespec.plan.orphans import shown_together
from saespec.spec.spec import Spec

from . import document, parquet, schema
from .locked import name, text, union_views
from .query import CHECKING, DRAWING, SpecConnection

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

RESERVED = frozenset({"information_schema", "main", "memory", "pg_catalog", "system", "temp"})
"""Names that a spec cannot have, because DuckDB has schemas and catalogs of these names."""


def connect(root: Path | str = ".") -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB connection with views on all results under `root`/results.

    - `<spec>.<table>`: a spec's tables, such as `toy_mmcs.cells`, and its `runs` (timings);
    - `main.<table>` or plain `<table>`: the union by name over the project's specs, with a `spec` column. Results
      without a spec (it is gone, or they were copied in) are under their own name alone; where there are no
      others, those that were copied in are here too;
    - `claims`: every statement with its verdict (`spec, claim, says, source, holds, why, numbers,
      condition, sql`; `holds` is NULL if undecided, `numbers` is JSON);
    - `columns`: what every column means (`spec, "table", "column", type, unit, description`).

    Every file's checksum is verified once, here; the views then read only the columns that a query needs.
    It is your connection on your machine: it may read and write files, attach databases and see your
    Python data frames (`from my_frame`). Only a spec's own SQL runs locked in. Views show the files as
    they were checked here: connect again after a run.

    Raises CallError if there are no results, DamagedFileError if a file is not what saespec wrote.
    """
    import duckdb
    import pyarrow as pa

    results = Path(root).resolve() / "results"
    files = sorted([*results.glob("*/tables/*.parquet"), *results.glob("*/runs.parquet")])
    verdicts = sorted(results.glob("*/claims.json"))
    if not files and not verdicts:
        raise CallError(f"no results in {results}: `saespec run SPEC` makes them")
    connection = duckdb.connect(":memory:")
    sources: dict[str, dict[str, str]] = {}
    documented: list[dict[str, str]] = []
    for file in files:
        spec = file.relative_to(results).parts[0]
        documented += [{"spec": spec, "table": file.stem, **column} for column in _documented(file)]
        sources.setdefault(file.stem, {})[spec] = f"read_parquet({text(str(file))})"
    for table, by_spec in sources.items():
        for spec, source in by_spec.items():
            connection.execute(f"create schema if not exists {name(spec)}")
            connection.execute(f"create view {name(spec)}.{name(table)} as from {source}")
    together = shown_together(results.parent)
    union_views(
        connection,
        {
            table: kept
            for table, by_spec in sources.items()
            if (kept := {spec: source for spec, source in by_spec.items() if spec in together})
        },
    )
    # Row by row, these inserts would take most of the time.
    connection.register("_arrow", pa.Table.from_pylist(documented, schema=_documentation()))
    connection.execute("create table main.columns as from _arrow")
    connection.unregister("_arrow")
    _claims(connection, [file for file in verdicts if file.parent.name in together])
    return connection


def spec_connection(
    tables: Mapping[str, pa.Table], spec_name: str, queries: Mapping[str, str] | None = None
) -> SpecConnection:
    """Return a connection that sees these tables, the spec's queries over them and nothing else, for its own SQL.

    Plain `cells`, `<spec>.cells` and `main.cells` all work. It cannot reach files, the network,
    extensions, Python variables or its own configuration. Run queries with `query.select`.
    """
    assert spec_name not in RESERVED, spec_name
    return SpecConnection(spec_name, tables, DRAWING, queries or {})


def empty_connection(spec: Spec) -> SpecConnection:
    """Return `spec_connection` over empty tables of the spec's declared schemas, to validate SQL.

    `runs` is not among them: timings differ from run to run, so nothing tracked may read them.
    """
    assert spec.name not in RESERVED, spec.name
    declared = {
        table: ", ".join(f"{name(c.name)} {schema.SQL_TYPES[c.type]}" for c in columns)
        for table, columns in schema.tables(spec).items()
        if table not in schema.UNTRACKED
    }
    return SpecConnection(spec.name, declared, CHECKING, spec.queries)


def _documented(file: Path) -> list[dict[str, str]]:
    """Verify a table's bytes; return what its columns mean."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = pq.read_schema(pa.BufferReader(parquet.verified(file)))
    return [
        {"column": c.name, "type": c.type, "unit": c.unit, "description": c.description}
        for c in schema.columns_of(found)
    ]


def _documentation() -> pa.Schema:
    import pyarrow as pa

    names = ("spec", "table", "column", "type", "unit", "description")
    return pa.schema([(name, pa.string()) for name in names])


def _claims(connection: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> None:
    connection.execute(
        "create table main.claims(spec varchar, claim varchar, says varchar, source varchar, holds boolean, "
        "why varchar, numbers json, condition varchar, sql varchar)"
    )
    rows: list[tuple[Any, ...]] = []
    for file in files:
        for claim, v in document.verdicts(file)[0].items():
            numbers = json.dumps(v["numbers"], sort_keys=True)
            texts = (v["condition"], v["sql"])
            rows.append(
                (file.parent.name, claim, v["says"], v["source"], v["holds"], v["why"], numbers, *texts)
            )
    if rows:
        connection.executemany("insert into main.claims values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
