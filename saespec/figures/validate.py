"""What is wrong with a spec's figures and claims, found before anything is trained."""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable, Iterator
from typing import Any, get_args

from saespec.errors import Problem
from saespec.plan.stages import DRAWINGS
from saespec.results import schema
from saespec.results.query import Rows, SpecConnection, SqlError, select
from saespec.results.remembered import Remembered, hashed
from saespec.results.views import RESERVED, empty_connection
from saespec.spec.language.load import LoadedSpec
from saespec.spec.measures import Measure
from saespec.spec.report import Claim, Figure
from saespec.spec.spec import Spec

from .chart import complaint, refused
from .claims import evaluate
from .fields import unknown_fields
from .picture import Picture, picture
from .theme import CONFIG
from .trial import Trials
from .vega import versions

CHECKS = 3
"""Raised by hand when more is refused in figures and claims than was."""


def problems(loaded: LoadedSpec) -> list[Problem]:
    """Run every query of a spec on empty tables of its schemas; return what is wrong, in file order.

    Found are SQL that does not run, columns that no table has (with what was meant, or the measure that
    would write them), chart fields that the query does not give, and charts that Vega-Lite refuses or cannot draw.
    What had nothing wrong is remembered, and not looked at again until it changes.
    """
    remembered = Remembered(loaded.path)
    key = _key(loaded.spec)
    if remembered.knows(key):
        return []
    found = sorted(set(_Checker(loaded, remembered).run()))
    if not found:
        remembered.add(key)
    remembered.save()
    return found


def _key(spec: Spec) -> str:
    """What the figures and claims of a spec are judged by before there are results: their words, tables, libraries."""
    from importlib.metadata import version

    tables = {
        name: [[column.name, column.type] for column in columns]
        for name, columns in schema.tables(spec).items()
        if name not in schema.UNTRACKED
    }
    shown = {"name", "queries", "labels", "figures", "claims"}
    said = spec.model_dump(mode="json", by_alias=True, exclude_unset=True, include=shown)
    cases = [case.get("name") for case in spec.sweep.cases]
    return hashed(
        [
            [*versions(), version("duckdb")],
            CHECKS,
            DRAWINGS,
            CONFIG,
            tables,
            [*map(list, said.items())],
            cases,
        ]
    )


_TAKEN = "{} is a table already"
_NUMERIC = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL|BOOLEAN|INTERVAL)\b")


class _Checker:
    def __init__(self, loaded: LoadedSpec, remembered: Remembered) -> None:
        self.loaded = loaded
        self.spec = loaded.spec
        self.trials = Trials(remembered)
        self.tables: Container[str] = ()

    def run(self) -> Iterator[Problem]:
        if self.spec.name in RESERVED:
            yield self.problem(
                "name", f"{self.spec.name} already means something in SQL", "choose another name"
            )
            return
        if not self.spec.figures and not self.spec.claims and not self.spec.queries:
            return
        connection = empty_connection(self.spec)
        self.tables = connection.tables
        for name in self.spec.queries:
            yield from self.query(name, connection)
        for name in self.spec.figures:
            yield from self.figure(name, connection)
        for name, claim in self.spec.claims.items():
            yield from self.claim(f"claims.{name}", claim, connection)

    def query(self, name: str, connection: SpecConnection) -> Iterator[Problem]:
        if name in connection.tables:
            yield self.problem(f"queries.{name}", _TAKEN.format(name), "choose another name")
            return
        try:
            select(connection, f'from "{name}"')
        except SqlError as error:
            yield self.sql_problem(f"queries.{name}", error)

    def figure(self, name: str, connection: SpecConnection) -> Iterator[Problem]:
        path, drawn = f"figures.{name}", picture(self.spec, name)
        rows: Rows | None = None
        try:
            rows = select(connection, drawn.sql)
        except SqlError as error:
            yield self.sql_problem(f"{path}.sql", error)
        if self.spec.figures[name].vega_lite is not None:
            yield from self.vega_lite(path, drawn, rows)
        elif rows is not None:
            yield from self.chart(path, self.spec.figures[name], drawn, rows)

    def vega_lite(self, path: str, drawn: Picture, rows: Rows | None) -> Iterator[Problem]:
        """What is wrong with a chart that the spec has as Vega-Lite."""
        path = f"{path}.vega_lite"
        refusals = list(refused(drawn.vega_lite))
        for refusal in refusals:
            below = ".".join(str(key) for key in refusal.keys)
            yield self.problem(f"{path}.{below}", refusal.message)
        if refusals:
            return
        known = rows is not None and self.trials.knows(drawn, rows)
        message = "" if known else complaint(drawn.vega_lite)
        if message:
            yield self.problem(path, f"Vega-Lite refuses the chart: {message}")
        if rows is None:
            return
        unknown = unknown_fields(drawn.vega_lite, rows.columns)
        for keys, field in unknown:
            yield self.no_column(f"{path}.{'.'.join(str(key) for key in keys)}", field, rows)
        if known or message or unknown:
            return
        said, remedy = self.trials.complaint(drawn, rows)
        if said:
            yield self.problem(path, f"the chart cannot be drawn: {said}", remedy)

    def chart(self, path: str, figure: Figure, drawn: Picture, rows: Rows) -> Iterator[Problem]:
        """What is wrong with a chart of a kind: columns that the query does not give, or words that Vega has not."""
        unknown = [(below, column) for below, column in figure.shown_columns() if column not in rows.columns]
        for below, column in unknown:
            yield self.no_column(f"{path}.{below}", column, rows)
        kinds = dict(zip(rows.columns, rows.types, strict=True))
        odd = [
            (below, column) for below, column in figure.shown_columns() if re.search(r"""['"\\]""", column)
        ]
        for below, column in odd:
            lack = f"a chart cannot show a column with a quote or a backslash in its name: {column}"
            yield self.problem(f"{path}.{below}", lack, "rename it with `as`")
        wordy = [
            (below, column, kinds[column])
            for below, column in figure.number_columns()
            if column in kinds and not _NUMERIC.match(kinds[column])
        ]
        for below, column, kind in wordy:
            yield self.problem(f"{path}.{below}", f"{column} is {kind.lower()}, and numbers are shown here")
        unknown = [*unknown, *odd, *((below, column) for below, column, _ in wordy)]
        rows = drawn.of_interest(rows)
        faults = [] if unknown else list(refused(drawn.vega_lite))
        lowest = f"{path}.{figure.plotted()[0][0]}"
        for fault in faults:
            yield self.problem(lowest, fault.message)
        if unknown or faults or self.trials.knows(drawn, rows):
            return
        said, remedy = self.trials.complaint(drawn, rows)
        if said:
            yield self.problem(lowest, f"the chart cannot be drawn: {said}", remedy)

    def no_column(self, path: str, column: str, rows: Rows) -> Problem:
        """A column that a chart shows and its query does not give."""
        hint = _meant(column, rows.columns) or f"it gives {', '.join(rows.columns)}"
        return self.problem(path, f"the query gives no column {column}", hint)

    def claim(self, path: str, claim: Claim, connection: SpecConnection) -> Iterator[Problem]:
        try:
            rows = select(connection, claim.sql)
        except SqlError as error:
            yield self.sql_problem(f"{path}.sql", error)
            return
        try:
            # Values are made up as NULL, since the empty tables may give no row or several.
            evaluate(Rows(rows.columns, rows.types, ((None,) * len(rows.columns),)), claim.holds, connection)
        except SqlError as error:
            hint = _meant(error.missing, rows.columns) or (
                f"the query gives {', '.join(rows.columns)}" if error.missing else ""
            )
            yield self.problem(f"{path}.holds", error.message, hint, error.line)

    def sql_problem(self, path: str, error: SqlError) -> Problem:
        """What is wrong with SQL, at its place; what is wrong with a query that it reads, at the query."""
        path = f"queries.{error.query}" if error.query else path
        if error.query in self.tables:
            return self.problem(path, _TAKEN.format(error.query), "choose another name")
        return self.problem(path, error.message, _sql_hint(self.spec, error), error.line)

    def problem(self, path: str, message: str, hint: str = "", line: int | None = None) -> Problem:
        """A problem at a field, or at the nearest field above it that a file sets.

        `line` counts within the field's text, and is found in the file if that is a literal block (`|`).
        """
        place = path
        origin = self.loaded.origin(place)
        while origin.kind == "default" and "." in place:
            place = place.rpartition(".")[0]
            origin = self.loaded.origin(place)
        at, column = origin.line, origin.column
        lines = self.loaded.texts[origin.file].splitlines()
        if line and at + line <= len(lines) and re.search(r":\s*\|[-+0-9]*\s*(#.*)?$", lines[at - 1]):
            at += line
            column = len(lines[at - 1]) - len(lines[at - 1].lstrip()) + 1
        return Problem(origin.file, at, column, path, message, hint)


def _sql_hint(spec: Spec, error: SqlError) -> str:
    """What to do about a name that SQL does not know."""
    if not error.missing:
        return ""
    if error.kind not in ("column", "table"):
        return _meant(error.missing, error.candidates)
    tables = {name: columns for name, columns in schema.tables(spec).items() if name not in schema.UNTRACKED}
    if error.kind == "table":
        if error.missing in schema.UNTRACKED:
            return "timings differ from run to run, so no figure or claim may read them"
        writers = _writers(spec, lambda measure: measure.columns)
        there = [*spec.queries, *tables]
        return writers.get(error.missing) or _meant(error.missing, there) or f"there are {', '.join(there)}"
    writers = _writers(
        spec, lambda measure: [c.name for columns in measure.columns.values() for c in columns]
    )
    declared = [column.name for columns in tables.values() for column in columns]
    return writers.get(error.missing) or _meant(error.missing, [*error.candidates, *declared])


def _writers(spec: Spec, names: Any) -> dict[str, str]:
    """Hint by name for what only measures that the spec does not ask for would write."""
    asked = {measure.kind for measure in spec.measure}
    hints: dict[str, str] = {}
    for measure in get_args(get_args(Measure)[0]):
        (kind,) = get_args(measure.model_fields["kind"].annotation)
        if kind not in asked:
            for name in names(measure):
                hints.setdefault(name, f"the measure {kind} writes it, which this spec does not ask for")
    return hints


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.lower(), list(dict.fromkeys(known)), n=1)
    return f"did you mean {close[0]}?" if close else ""
