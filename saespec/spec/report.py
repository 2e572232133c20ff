"""Figures and claims: presentation, so they never enter a cell's identity."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .base import Strict


class Figure(Strict):
    """One SQL query and one Vega-Lite chart over its rows."""

    title: str = Field(description="Title above the chart.")
    caption: str = Field(
        "", description="What the figure shows and which figure of the document it rebuilds."
    )
    sql: str = Field(description="DuckDB SELECT over this spec's tables; its columns are the chart's fields.")
    vega_lite: dict[str, Any] = Field(description="Vega-Lite chart without data and title.")


class Claim(Strict):
    """One statement, one query and the condition under which the result bears the statement out."""

    says: str = Field(description="The statement, in the document's meaning.")
    source: str = Field("", description="Where the document says it.")
    sql: str = Field(description="DuckDB SELECT that returns one row of numbers.")
    holds: str = Field(description="SQL condition over that row's columns, such as `width >= 5`.")
