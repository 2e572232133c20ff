"""What a page says of one spec, gathered from its results folder."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saespec.plan.stages import claims_hash, figures_hash
from saespec.results import diverged, document, parquet, schema
from saespec.results.provenance import common
from saespec.spec.language.fields import scope, stored_fields
from saespec.spec.spec import Spec

from . import packed
from .interactive import interactive

if TYPE_CHECKING:
    import pyarrow as pa

MOST_LATENTS = 100_000
"""Latents on a page, of all cells of a spec; of more, those of the first cells."""
MOST_EXAMPLES = 20_000
"""Top examples on a page, counted likewise."""

_NO_CURVE = ("cell",)
_NO_LATENT = ("cell", "encoder_norm")


@dataclass(frozen=True)
class Shown:
    """A figure on a page."""

    name: str
    title: str
    svg: str
    """Its picture, as base64."""


@dataclass(frozen=True)
class Section:
    """What a page says of one spec."""

    spec: Spec
    source: str
    """The spec file."""
    figures: list[Shown]
    claims: list[dict[str, Any]]
    made: dict[str, str]
    """Where the tables came from."""
    notes: list[str]
    """What the page leaves out."""
    data: dict[str, Any] = field(repr=False)
    """What the page's script reads: charts, cells, curves, latents, examples."""


def section(spec: Spec, folder: Path, source: str) -> Section:
    """Gather a spec's figures, claims and tables from its results folder.

    What was not made yet is left out; only the table of cells must be there. Raises DamagedFileError if a file is not
    what saespec wrote.
    """
    tables = {
        name: parquet.read(path)
        for name in schema.tables(spec)
        if name not in schema.UNTRACKED and (path := folder / "tables" / f"{name}.parquet").exists()
    }
    ids: list[str] = tables["cells"]["cell"].to_pylist()
    tables = {**diverged.left_out(tables)[0], "cells": tables["cells"]}
    notes: list[str] = []
    figures, charts = _figures(spec, folder)
    data = {"charts": charts, "cells": _cells(spec, tables["cells"])}
    if "curves" in tables:
        data["curves"] = _numbers(tables["curves"], ids, _NO_CURVE)
    if "latents" in tables:
        table, first = _first(tables["latents"], ids, MOST_LATENTS, "latents", notes)
        data["latents"] = _numbers(table, first, _NO_LATENT)
    if "examples" in tables:
        table, first = _first(tables["examples"], ids, MOST_EXAMPLES, "examples", notes)
        data["examples"] = _examples(table, first)
    notes += _outdated(spec, folder)
    made = common(parquet.footer(table) for table in tables.values())
    return Section(spec, source, figures, _claims(spec, folder), made, notes, data)


def _figures(spec: Spec, folder: Path) -> tuple[list[Shown], dict[str, Any]]:
    found, charts = [], {}
    for name, figure in spec.figures.items():
        drawn, written = (folder / "figures" / f"{name}{suffix}" for suffix in (".svg", ".vl.json"))
        if drawn.exists() and written.exists():
            found.append(Shown(name, figure.title, base64.b64encode(drawn.read_bytes()).decode()))
            charts[name] = interactive(document.read(written, document.CHART)[0])
    return found, charts


def _claims(spec: Spec, folder: Path) -> list[dict[str, Any]]:
    path = folder / "claims.json"
    if not path.exists():
        return []
    verdicts, _ = document.verdicts(path)
    return [{"name": name, **verdicts[name]} for name in spec.claims if name in verdicts]


def _outdated(spec: Spec, folder: Path) -> list[str]:
    """What was drawn or judged before the spec was changed."""
    old = []
    for name in spec.figures:
        path = folder / "figures" / f"{name}.vl.json"
        if path.exists() and document.read(path, document.CHART)[1].get("figure_hash") != figures_hash(
            spec, [name]
        ):
            old.append(f"figure {name}")
    claims = folder / "claims.json"
    if claims.exists() and document.verdicts(claims)[1].get("claims_hash") != claims_hash(spec):
        old.append("the verdicts")
    return (
        [f"Made before the spec was changed: {', '.join(old)}. Run the spec to bring them up to date."]
        if old
        else []
    )


def _cells(spec: Spec, table: pa.Table) -> dict[str, Any]:
    """The table of cells: what the spec sets before what was measured."""
    settings = ["case_name", *(column.name for _, column in stored_fields(scope(spec)))]
    ahead = [name for name in settings if name in table.column_names]
    derived = [name for name in table.column_names if name not in (*ahead, "cell", "spec")]
    kept, shared = packed.columns(table, [*ahead, *derived])
    about = {c.name: [c.unit, c.description] for c in schema.columns_of(table.schema)}
    return {
        "ids": table["cell"].to_pylist(),
        "columns": kept,
        "settings": [name for name, _ in kept if name in ahead],
        "shared": shared,
        "about": {
            name: about[name] for name in ("cell", *(name for name, _ in kept), *shared) if name in about
        },
    }


def _numbers(table: pa.Table, cells: Sequence[str], without: Sequence[str]) -> dict[str, Any]:
    return packed.by_cell(table, cells, [name for name in table.column_names if name not in without])


def _first(
    table: pa.Table, cells: Sequence[str], most: int, name: str, notes: list[str]
) -> tuple[pa.Table, list[str]]:
    """The first cells that have no more rows than a page may have, in all; of a first one with more, its first rows."""
    counts: dict[str, int] = {}
    for cell in table["cell"].to_pylist():
        counts[cell] = counts.get(cell, 0) + 1
    largest = next((cell for cell in cells if cell in counts), None)
    if largest is not None and counts[largest] > most:
        at = [row for row, cell in enumerate(table["cell"].to_pylist()) if cell == largest][:most]
        notes.append(
            f"Of the {name} of all cells the first {most:,} are on this page: the table {name} has the rest."
        )
        return table.take(at), list(cells[: cells.index(largest) + 1])
    sums = itertools.accumulate(counts.get(cell, 0) for cell in cells)
    kept = [cell for cell, rows in zip(cells, sums, strict=True) if rows <= most]
    if lost := sum(1 for cell in cells if cell in counts) - sum(1 for cell in kept if cell in counts):
        notes.append(f"The {name} of {lost:,} cells are not on this page: the table {name} has them.")
    return table, kept


def _examples(table: pa.Table, cells: Sequence[str]) -> dict[str, list[Any]]:
    """Cell → latent, activation, context, position and tokens of each example; a token is a text, or text and code."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[str, list[Any]] = {}
    wanted = table.select(["cell", "latent", "activation", "context", "position", "tokens"])
    for row in wanted.filter(pc.is_in(wanted["cell"], pa.array(cells, pa.string()))).to_pylist():
        tokens = [
            text if not code else [text, float(f"{code:.3g}")] for text, code in json.loads(row["tokens"])
        ]
        at = [row["latent"], packed.short(row["activation"]), row["context"], row["position"]]
        found.setdefault(row["cell"], []).append([*at, tokens])
    return found
