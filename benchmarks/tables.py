"""Results for people: the tables of docs/speed.md, printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from . import report


def show(name: str, rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print a benchmark's rows as the page would show them."""
    for made in report.unwritten(report.BENCHMARKS[name], name, rows).tables(name):
        table = Table(title=made.heading or None)
        for n, heading in enumerate(made.columns):
            table.add_column(heading, justify="right" if n else "left")
        for row in made.rows:
            table.add_row(*(cell.replace("**", "") for cell in row))
        console.print(table)
