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
