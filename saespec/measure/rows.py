"""Rows that measures produce, by table and column."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any


class Rows:
    """Columns of several tables; every row names its cell."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))

    def add(self, table: str, **columns: Iterable[Any]) -> None:
        """Append rows; all columns of one table have the same length."""
        for name, values in columns.items():
            self.tables[table][name].extend(values)
        assert len({len(values) for values in self.tables[table].values()}) == 1
