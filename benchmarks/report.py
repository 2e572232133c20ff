"""The tables and figures of docs/speed.md: saespec's own figure machinery over the benchmarks' Parquet.

The page's text is written by hand; what stands between `<!-- table NAME -->` or `<!-- figure NAME -->` and
`<!-- end -->` is made here. The same Parquet gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from saespec.figures.draw import draw
from saespec.figures.picture import of
from saespec.results import parquet
from saespec.results.query import select
from saespec.results.views import spec_connection
from saespec.spec.columns import Column
from saespec.spec.report import Figure

from . import (
    architectures,
    extraction,
    generation,
    latency,
    machine,
    quality,
    record,
    scaling,
    storage,
    sweep,
    throughput,
    topk,
)

if TYPE_CHECKING:
    import pyarrow as pa

BENCHMARKS: Mapping[str, Sequence[Column]] = {
    "throughput": throughput.COLUMNS,
    "architectures": architectures.COLUMNS,
    "topk": topk.COLUMNS,
    "quality": quality.COLUMNS,
    "scaling": scaling.COLUMNS,
    "latency": latency.COLUMNS,
    "data": generation.COLUMNS,
    "sweep": sweep.COLUMNS,
    "extraction": extraction.COLUMNS,
    "store": storage.COLUMNS,
}
"""Columns of each benchmark's table; its results are `benchmarks/results/NAME.parquet` and `NAME-….parquet`."""

SOURCES = (
    Column("benchmark", "string", "name", "The benchmark."),
    Column("device_name", "string", "name", "What computed."),
    Column("threads", "string", "threads", "Threads that torch might use."),
    Column("torch", "string", "version", "torch."),
    Column("version", "string", "version", "saespec."),
    Column("commit", "string", "hash", "The last commit that touched what was measured."),
    Column("dirty", "string", "bool", "Whether the code was not as committed."),
    Column("others", "float64", "cores", "The most that other processes kept busy during a measurement."),
)

PAGE = machine.ROOT / "docs" / "speed.md"
NOTHING = "*Not measured yet.*"
_BLOCK = re.compile(r"(<!-- (table|figure) (\w+) -->\n).*?(<!-- end -->)", re.S)


@dataclass(frozen=True)
class Table:
    """A table of the page: a query whose columns are texts."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def markdown(self) -> str:
        """The table, with its heading."""
        lines = [f"**{self.heading}**", ""] if self.heading else []
        lines += [_line(self.columns), _line(["---", *["---:"] * (len(self.columns) - 1)])]
        return "\n".join([*lines, *(_line(row) for row in self.rows)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


class Report:
    """All results, ready to be asked."""

    def __init__(self, results: Mapping[str, pa.Table], sources: pa.Table) -> None:
        loaded = YAML(typ="safe").load(Path(__file__).with_name("speed.yaml"))
        self._tables: dict[str, str] = {name: table["sql"] for name, table in loaded["tables"].items()}
        self._figures = {name: Figure.model_validate(f) for name, f in loaded["figures"].items()}
        given = {**results, "sources": sources}
        self._connection = spec_connection(given, "speed")

    @property
    def table_names(self) -> list[str]:
        """Names of the tables."""
        return list(self._tables)

    @property
    def figure_names(self) -> list[str]:
        """Names of the figures."""
        return list(self._figures)

    def tables(self, name: str) -> list[Table]:
        """One table of `speed.yaml`, split by its headings."""
        rows = select(self._connection, self._tables[name])
        split = rows.columns[0] == "heading"
        by_heading: dict[str, list[tuple[str, ...]]] = {}
        for row in rows.values:
            heading, *cells = map(str, row) if split else ("", *map(str, row))
            by_heading.setdefault(heading, []).append(tuple(cells))
        columns = rows.columns[1:] if split else rows.columns
        return [Table(heading, columns, tuple(cells)) for heading, cells in by_heading.items()]

    def figure(self, name: str) -> tuple[Figure, bytes, bytes] | None:
        """A figure of `speed.yaml`, its SVG and PNG; None if nothing was measured that it could show."""
        figure = self._figures[name]
        if not select(self._connection, figure.sql).values:
            return None
        drawn = draw(of(figure), name, self._connection)
        return figure, drawn.svg, drawn.png

    def files(self, page: str) -> dict[Path, bytes]:
        """The page with its blocks made anew, and the figures beside it."""
        made: dict[Path, bytes] = {}

        def block(match: re.Match[str]) -> str:
            begin, kind, name, end = match.groups()
            if kind == "table":
                text = "\n\n".join(table.markdown for table in self.tables(name))
            elif drawn := self.figure(name):
                figure, made[Path("speed", f"{name}.svg")], _ = drawn
                text = f"![{figure.title}](speed/{name}.svg)"
            else:
                text = ""
            return f"{begin}{text or NOTHING}\n{end}"

        made[Path(PAGE.name)] = _BLOCK.sub(block, page).encode()
        return made


def report(folder: Path = record.RESULTS) -> Report:
    """The report of a folder's results; a benchmark that has none is an empty table.

    Raises DamagedFileError where a file is not what saespec wrote.
    """
    import pyarrow as pa

    results: dict[str, pa.Table] = {}
    sources: list[dict[str, Any]] = []
    for name, columns in BENCHMARKS.items():
        parts = []
        for file in sorted([*folder.glob(f"{name}.parquet"), *folder.glob(f"{name}-*.parquet")]):
            part = parquet.read(file)
            sources.append(_source(name, part))
            parts.append(part.replace_schema_metadata(None))
        empty = parquet.table([*columns, *record.WHERE], [])
        results[name] = pa.concat_tables([empty, *parts]) if parts else empty
    return Report(results, parquet.table(SOURCES, sources))


def unwritten(columns: Sequence[Column], name: str, rows: Sequence[Mapping[str, Any]]) -> Report:
    """The report of one benchmark's rows that were just measured."""
    results = {other: parquet.table([*c, *record.WHERE], []) for other, c in BENCHMARKS.items()}
    results[name] = parquet.table([*columns, *record.WHERE], rows)
    return Report(results, parquet.table(SOURCES, []))


def _source(name: str, part: pa.Table) -> dict[str, Any]:
    footer = parquet.footer(part)
    rows = part.to_pylist()
    threads = sorted({str(row["threads"]) for row in rows if row.get("threads")})
    return {
        "benchmark": name,
        "device_name": rows[0].get("device_name") or rows[0]["processor"],
        "threads": ", ".join(threads),
        "torch": footer["saespec.torch"],
        "version": footer["saespec.version"],
        "commit": footer["saespec.git_commit"],
        "dirty": footer["saespec.git_dirty"],
        "others": max((row["others"] for row in rows if row["others"] is not None), default=None),
    }
