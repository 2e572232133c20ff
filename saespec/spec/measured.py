"""The base of all measures' configurations."""

from __future__ import annotations

from typing import ClassVar, Literal

from .base import Consistent
from .columns import Column


class Measured(Consistent):
    """The base of all measures."""

    columns: ClassVar[dict[str, tuple[Column, ...]]]
    """Table → the columns that the measure adds to it."""
    needs: ClassVar[Literal["truth", "transformer"] | None] = None
    """What the data must offer, if anything."""
