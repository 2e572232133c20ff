"""The tables of a spec, for stages that ask them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saespec.results import parquet, schema
from saespec.results.provenance import common
from saespec.spec.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa


def tables_of(spec: Spec, folder: Path) -> dict[str, pa.Table]:
    """Every tracked table in a results folder, by name."""
    names = [name for name in schema.tables(spec) if name not in schema.UNTRACKED]
    return {name: parquet.read(folder / "tables" / f"{name}.parquet") for name in names}


def made_by(tables: dict[str, pa.Table]) -> dict[str, str]:
    """What they say of where they came from; where they disagree, each value."""
    return common(parquet.footer(table) for table in tables.values())
