"""The declared tables of a spec: which columns each has, with types, units and descriptions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from saespec.plan.model import Cell
from saespec.spec.columns import Column, ColumnType
from saespec.spec.language.fields import row, scope, stored_fields
from saespec.spec.spec import CellConfig, Spec

if TYPE_CHECKING:
    import pyarrow as pa

SQL_TYPES: dict[ColumnType, str] = {
    "string": "varchar",
    "int64": "bigint",
    "float64": "double",
    "float32": "float",
    "bool": "boolean",
}

_CELL = Column("cell", "string", "id", "The cell: hash of its resolved configuration.")
_SPEC = Column("spec", "string", "name", "The spec that the row belongs to.")
_CASE = Column(
    "case_name",
    "string",
    "name",
    "Name of the sweep's case that the cell belongs to; NULL without named cases.",
)
_SEED = Column("seed", "int64", "1", "Seed of truth, data and initial weights.")

_MODEL = Column("model", "string", "id", "The model: hash of its section and its corpus, or name@revision.")

FINISHED, DIVERGED = "finished", "diverged"
"""What `status` may be."""

_DERIVED = (
    Column("status", "string", "name", "finished, or diverged: its parameters stopped being finite."),
    Column("diverged_at", "int64", "steps", "The step by which a cell diverged; NULL if it did not."),
    Column("diverged_by", "string", "name", "What was not finite first: input or loss; NULL if all was."),
    Column(
        "latent_ratio",
        "float64",
        "1",
        "Dictionary size over the number of ground-truth features; NULL without ground truth.",
    ),
    Column(
        "canonical_lambda",
        "float64",
        "activation",
        "λ of the same loss written as ‖x−x̂‖² + λ·penalty (sums over dimensions and latents).",
    ),
)

_KEYS: dict[str, tuple[Column, ...]] = {
    "latents": (_CELL, Column("latent", "int64", "index", "The latent, from 0.")),
    "truth": (_CELL, Column("feature", "int64", "index", "The ground-truth feature, from 0.")),
    "pairs": (_CELL,),
    "cosine_histogram": (_CELL,),
    "response": (_CELL,),
    "directions": (_CELL,),
    "nonlinearity": (_CELL,),
    "examples": (_CELL,),
    "models": (_MODEL,),
    "model_curves": (_MODEL,),
}

_CURVES = (
    _CELL,
    Column("step", "int64", "steps", "Optimiser steps taken so far."),
    Column("loss", "float64", "squared activation", "Loss on a held-out batch, as the cell defines it."),
    Column("reconstruction_loss", "float64", "squared activation", "Its reconstruction part."),
    Column("sparsity_loss", "float64", "penalty", "Its penalty, without the coefficient."),
    Column("l0", "float64", "latents per sample", "Mean number of latents that are not zero in the batch."),
    Column("mmcs", "float64", "cosine", "MMCS with the ground truth; NULL without ground truth."),
)

RUNS = (
    Column("cell", "string", "id", "The cell; NULL for work that is not one cell's."),
    _SPEC,
    Column("stage", "string", "name", "The stage that did the work."),
    Column("started", "string", "ISO 8601", "When it started, in UTC."),
    Column("seconds", "float64", "s", "Wall time."),
    Column("steps", "int64", "steps", "Optimiser steps taken in this run, without those resumed from."),
    Column(
        "steps_per_second",
        "float64",
        "steps/s",
        "Optimiser steps per second, summed over the cells that trained together.",
    ),
    Column(
        "benchmark_seconds",
        "float64",
        "s",
        "What these steps were estimated to take on two cores of the benchmark machine.",
    ),
    Column("device", "string", "kind", "Kind of device: cpu or cuda."),
    Column("device_name", "string", "name", "The device as its driver names it."),
    Column("host", "string", "name", "The machine."),
    Column("torch", "string", "version", "torch."),
    Column("saespec", "string", "version", "saespec."),
    Column("python", "string", "version", "Python."),
)
"""The `runs` table: the same for every spec."""

UNTRACKED = ("runs",)
"""Tables that differ from run to run: not in git, and no figure or claim may read them."""


def tables(spec: Spec) -> dict[str, tuple[Column, ...]]:
    """Return the tables that a spec's results consist of, by name: what is measured, `curves` and `runs`.

    Column order is fixed: keys, fields of the configuration, derived ones, then each measure's in the
    order in which the spec asks for them.
    """
    declared: dict[str, dict[str, Column]] = {"cells": {}, "curves": {}}
    _add(
        declared["cells"],
        (_CELL, _SPEC, _CASE, _SEED, *(column for _, column in stored_fields(scope(spec))), *_DERIVED),
    )
    _add(declared["curves"], _CURVES)
    for measure in spec.measure:
        for table, columns in measure.columns.items():
            if table not in declared:
                declared[table] = {}
                _add(declared[table], _KEYS[table])
            _add(declared[table], columns)
    _add(declared.setdefault("runs", {}), RUNS)
    return {table: tuple(columns.values()) for table, columns in declared.items()}


def _add(declared: dict[str, Column], columns: Iterable[Column]) -> None:
    for column in columns:
        declared.setdefault(column.name, column)


def canonical_lambda(config: CellConfig) -> float:
    """λ of ‖x−x̂‖² + λ·penalty that weighs the two terms as this cell's loss does.

    With h the input's dimensions and n the dictionary size: α, times h if the reconstruction loss is a
    mean over dimensions, divided by n if the penalty is per latents.
    """
    scale = config.loss.sparsity_scale(config.sae.latents) / config.loss.reconstruction_scale(config.data.dim)
    return config.loss.coefficient * scale


def cell_row(cell: Cell, spec_name: str) -> dict[str, Any]:
    """Return what `cells` says about a cell before anything is measured, by column."""
    config = cell.config
    return {
        "cell": cell.id,
        "spec": spec_name,
        "case_name": cell.case,
        "seed": config.seed,
        **{column: value for column, value in row(config).items() if value is not None},
        "latent_ratio": config.sae.latents / known if (known := config.data.truth_features) else None,
        "canonical_lambda": canonical_lambda(config),
    }


def declared_part(spec: Spec, row: dict[str, Any]) -> dict[str, Any]:
    """Return what a row, or the columns, of `cells` has that the spec's table has: it leaves out fields of `Added`."""
    names = [{column.name for _, column in stored_fields(within)} for within in (None, scope(spec))]
    return {name: value for name, value in row.items() if name not in names[0] - names[1]}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of a table; each field's metadata holds its unit and description."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(
                c.name, pa.type_for_alias(c.type), metadata={"unit": c.unit, "description": c.description}
            )
            for c in columns
        ]
    )


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """Return the columns that an Arrow schema made by `arrow_schema` declares."""
    return tuple(
        Column(f.name, _alias(str(f.type)), f.metadata[b"unit"].decode(), f.metadata[b"description"].decode())
        for f in schema
    )


def _alias(arrow_type: str) -> ColumnType:
    alias = {"double": "float64", "float": "float32"}.get(arrow_type, arrow_type)
    assert alias in SQL_TYPES, arrow_type
    return alias
