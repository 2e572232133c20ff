"""`saespec examples`: latents' top examples as a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saespec.cli import options

if TYPE_CHECKING:
    from saespec.cli.specs import Target


def examples(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec, by path or by name.")],
    cell: Annotated[
        list[str] | None, typer.Option("--cell", metavar="ID", help="Only this cell (repeatable).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write here instead of examples.html.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write latents' top examples as a page, tokens shaded by activation, from the tables as they are.

    The page is examples.html in the spec's results folder. A cell's id may be shortened.

    JSON: {ok, spec, file, cells, latents, examples}
    """
    from saespec.cli import output
    from saespec.cli.specs import shown, targets
    from saespec.figures.examples import page
    from saespec.results.atomic import write_bytes

    (target,) = targets([spec])
    rows = _rows(target, cell or [])
    labels = {
        c.id: ", ".join(
            [*([c.case] if c.case else []), *(f"{path} = {value}" for path, value in c.swept.items())]
        )
        for c in target.plan.cells
    }
    file = out or target.folder / "examples.html"
    write_bytes(file, page(target.plan.spec.title, rows, labels).encode())
    if json:
        counts = {
            "cells": len({r["cell"] for r in rows}),
            "latents": len({(r["cell"], r["latent"]) for r in rows}),
        }
        output.json(
            {
                "ok": True,
                "spec": target.plan.spec.name,
                "file": str(shown(file)),
                **counts,
                "examples": len(rows),
            }
        )
    else:
        output.say(str(shown(file)))


def _rows(target: Target, cells: list[str]) -> list[dict[str, Any]]:
    from saespec.errors import CallError, StageError
    from saespec.results import parquet

    spec, source = target.plan.spec, target.plan.sources[0]
    if not any(measure.kind == "top_examples" for measure in spec.measure):
        raise CallError(f"{spec.name} has no top examples: add top_examples to measure in {source}")
    file = target.root / target.plan.folder / "tables" / "examples.parquet"
    if not file.exists():
        raise StageError(f"{spec.name} has no top examples yet: run `saespec run {source}`")
    rows: list[dict[str, Any]] = parquet.read(file).to_pylist()
    for wanted in cells:
        if not any(row["cell"].startswith(wanted) for row in rows):
            known = ", ".join(dict.fromkeys(row["cell"] for row in rows)) or "none"
            raise CallError(f"cell {wanted} has no top examples; those that have: {known}")
    return [row for row in rows if not cells or row["cell"].startswith(tuple(cells))]
