"""The tables of a spec, from its trained cells: what the configuration says and what the measures find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    directions,
    language_model,
    larger_dictionaries,
    latents,
    losses,
    model,
    monosemanticity,
    movement,
    neuron_basis,
    nonlinearity,
    recovery,
    response,
    sparse_coding,
    top_examples,
)
from .columns import Columns, Table, append, blanked, from_rows, join, ordered
from .trained import Trained

MEASURES: dict[str, Callable[[Any, Sequence[Trained]], Columns]] = {
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
    "response": response.measure,
    "monosemanticity": monosemanticity.measure,
    "directions": directions.measure,
    "nonlinearity": nonlinearity.measure,
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

_KEYS = (
    *("cell", "step", "latent", "feature", "other_cell", "other_latents", "bin_low", "bin_high", "rank"),
    *("magnitude", "pre", "of", "number", "axis"),
)
"""Columns that say what a row is of."""


def tables(
    spec_name: str, cells: Sequence[Cell], measures: Sequence[Measure], stacks: Sequence[Trained]
) -> Mapping[str, Table]:
    """Columns of every table but `runs`, rows in the order of the cells; rows that are no cell's as they come."""
    diverged = {
        cell.id: how
        for trained in stacks
        for cell, how in zip(trained.cells, trained.diverged, strict=True)
        if how
    }
    found = {
        "cells": from_rows(
            [{**cell_row(cell, spec_name), **_status(diverged.get(cell.id))} for cell in cells]
        ),
        "curves": _curves(stacks),
    }
    for measure in measures:
        for table, columns in MEASURES[measure.kind](measure, stacks).tables.items():
            # To count what is not finite is to count wrongly.
            finite = blanked(columns, diverged, _KEYS)
            if table in _SHARED:
                join(found.setdefault(table, {}), finite, _SHARED[table])
            else:
                append(found.setdefault(table, {}), finite)
    position = {cell.id: n for n, cell in enumerate(cells)}
    return {name: ordered(table, position) for name, table in found.items()}


def _status(how: Mapping[str, Any] | None) -> dict[str, Any]:
    if how is None:
        return {"status": FINISHED}
    return {"status": DIVERGED, "diverged_at": how["at"], "diverged_by": how["why"]}


def _curves(stacks: Sequence[Trained]) -> Table:
    found: Table = {name: [] for name in ("cell", *CURVE)}
    for trained in stacks:
        for cell, curve in zip(trained.cells, trained.curves, strict=True):
            points = {"cell": [cell.id] * len(curve["step"]), **{name: curve[name] for name in CURVE}}
            append(found, {**points, "step": [int(step) for step in curve["step"]]})
    return found
