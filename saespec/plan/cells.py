"""The cells of a spec: its sweep's points, each with its identity."""

from __future__ import annotations

from saespec.spec.language.load import LoadedSpec
from saespec.spec.language.sweep import applier, apply, base_config, points
from saespec.spec.spec import Spec

from .identity import cell_id
from .model import Cell

__all__ = ["applier", "apply", "base_config", "resolve_cells"]


def resolve_cells(source: LoadedSpec | Spec) -> tuple[Cell, ...]:
    """Every cell, in the order of the sweep: first grid axis slowest, then zip, cases fastest.

    Raises SpecError for a `Spec` made in Python whose sweep is wrong; a loaded one has been checked.
    """
    found = source.points if isinstance(source, LoadedSpec) else points(source)
    return tuple(Cell(cell_id(p.config), p.config, p.swept, p.case) for p in found)
