"""From a loaded spec to its plan."""

from __future__ import annotations

from pathlib import Path

from saespec.spec.load import LoadedSpec

from .cells import resolve_cells
from .groups import groups
from .model import Plan
from .project import refuse_clash, relative
from .stages import stages


def plan(loaded: LoadedSpec, root: Path) -> Plan:
    """Resolve a spec into cells, groups and stages.

    Raises SpecError for sweep points that make no valid cell, and CallError for spec files outside the
    project `root` and for a name that another spec of the project has.
    """
    sources = tuple(relative(file, root) for file in loaded.files)
    refuse_clash(loaded.spec.name, sources[0], root)
    cells = resolve_cells(loaded)
    grouped = groups(cells)
    return Plan(
        spec=loaded.spec,
        sources=sources,
        cells=cells,
        groups=grouped,
        stages=stages(loaded.spec, sources, cells, grouped),
    )
