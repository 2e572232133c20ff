"""The tables of a spec, from its trained cells: what the configuration says and what the measures find."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from saespec.plan.model import Cell
from saespec.results.schema import DIVERGED, FINISHED, cell_row
from saespec.sae.train import CURVE
from saespec.spec.measures import Measure

from . import (
    agreement,
    alive_latents,
    cosine_histogram,
    dead_latents,
    language_model,
    larger_dictionaries,
    latents,
    losses,
    model,
    movement,
    neuron_basis,
    recovery,
    sparse_coding,
    top_examples,
)
from .rows import Rows
from .trained import Trained

MEASURES: dict[str, Callable[[Any, Sequence[Trained]], Rows]] = {
    "recovery": recovery.measure,
    "losses": losses.measure,
    "dead_latents": dead_latents.measure,
    "latents": latents.measure,
    "larger_dictionaries": larger_dictionaries.measure,
    "sparse_coding": sparse_coding.measure,
    "agreement": agreement.measure,
    "cosine_histogram": cosine_histogram.measure,
    "alive_latents": alive_latents.measure,
    "movement": movement.measure,
    "neuron_basis": neuron_basis.measure,
    "language_model": language_model.measure,
    "top_examples": top_examples.measure,
    "model": model.measure,
}
"""The code of each kind of measure. Its configuration and columns are in `saespec/spec/measures.py`."""


_SHARED = {
    "cells": ("cell",),
    "curves": ("cell", "step"),
    "latents": ("cell", "latent"),
    "truth": ("cell", "feature"),
}
"""Tables to whose rows several measures add columns, and what tells the rows apart."""

_KEYS = ("cell", "step", "latent", "feature", "other_cell", "other_latents", "bin_low", "bin_high", "rank")
"""Columns that say what a row is of."""


def tables(
    spec_name: str, cells: Sequence[Cell], measures: Sequence[Measure], stacks: Sequence[Trained]
) -> Mapping[str, list[dict[str, Any]]]:
    """Rows of every table but `runs`, in the order of the cells; rows that are no cell's as they come."""
    diverged = {
        cell.id: how
        for trained in stacks
        for cell, how in zip(trained.cells, trained.diverged, strict=True)
        if how
    }
    found: dict[str, list[dict[str, Any]]] = {
        "cells": [{**cell_row(cell, spec_name), **_status(diverged.get(cell.id))} for cell in cells],
        "curves": _curves(stacks),
    }
    for measure in measures:
        for table, columns in MEASURES[measure.kind](measure, stacks).tables.items():
            rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
            rows = [_finite(row, diverged) for row in rows]
            if table in _SHARED:
                _merge(found.setdefault(table, []), rows, _SHARED[table])
            else:
                found.setdefault(table, []).extend(rows)
    position = {cell.id: n for n, cell in enumerate(cells)}
    for rows in found.values():
        if rows and "cell" in rows[0]:
            rows.sort(key=lambda row: position[row["cell"]])
    return found


def _status(how: Mapping[str, Any] | None) -> dict[str, Any]:
    if how is None:
        return {"status": FINISHED}
    return {"status": DIVERGED, "diverged_at": how["at"], "diverged_by": how["why"]}


def _finite(row: dict[str, Any], diverged: Collection[str]) -> dict[str, Any]:
    """The row, without what rests on a cell that diverged: to count what is not finite is to count wrongly."""
    if row.get("cell") in diverged or row.get("other_cell") in diverged:
        return {column: value if column in _KEYS else None for column, value in row.items()}
    return row


def _merge(into: list[dict[str, Any]], rows: list[dict[str, Any]], keys: tuple[str, ...]) -> None:
    """Add each row's columns to the row with its keys, if there is one, else the row."""
    known = {tuple(row[key] for key in keys): row for row in into}
    for row in rows:
        if same := known.get(tuple(row[key] for key in keys)):
            same.update(row)
        else:
            into.append(row)


def _curves(stacks: Sequence[Trained]) -> list[dict[str, Any]]:
    return [
        {"cell": cell.id, **{name: curve[name][r] for name in CURVE}, "step": int(step)}
        for trained in stacks
        for cell, curve in zip(trained.cells, trained.curves, strict=True)
        for r, step in enumerate(curve["step"])
    ]
