"""What a column of a result table is. Config fields and measures declare theirs with these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["string", "int64", "float64", "float32", "bool"]


@dataclass(frozen=True)
class Column:
    """One column of a result table."""

    name: str
    type: ColumnType
    unit: str
    description: str


@dataclass(frozen=True)
class Stored:
    """Marks a config field (in `Annotated`) as a column of the `cells` table.

    The column's type follows from the field's annotation, its description from `Field`.
    """

    column: str
    unit: str = "1"


@dataclass(frozen=True)
class Added:
    """Marks a config field (in `Annotated`) that the language did not always have.

    Where it has its default it stays out of a cell's identity: cells that were trained before it are the same cells.
    """


@dataclass(frozen=True)
class ByRow:
    """Marks a config field (in `Annotated`) in which the cells of one stack may differ: its code takes a value a cell.

    All other fields of `sae`, `loss` and `train` are shared by the cells of a stack (`saespec.plan.groups`).
    """
