"""From a loaded spec to its plan."""

from __future__ import annotations

from pathlib import Path

from saespec.errors import Problem, SpecError
from saespec.spec.language.load import LoadedSpec
from saespec.spec.language.messages import locate

from .cells import resolve_cells
from .groups import groups
from .inputs import disk_bytes
from .model import Cell, Plan
from .project import refuse_clash, refuse_links, relative, results_folder
from .stages import stages


def plan(loaded: LoadedSpec, root: Path) -> Plan:
    """Resolve a spec into cells, groups and stages.

    Raises SpecError for sweep points that make no valid cell and for activations beyond the spec's budget, and
    CallError for spec files outside the project `root` and for a name that another spec of the project has.
    """
    sources = tuple(relative(file, root) for file in loaded.files)
    refuse_clash(loaded.spec.name, sources[0], root)
    refuse_links(results_folder(loaded.spec.name), root)
    cells = resolve_cells(loaded)
    _refuse_large(loaded, cells)
    grouped = groups(cells)
    return Plan(
        spec=loaded.spec,
        sources=sources,
        cells=cells,
        groups=grouped,
        stages=stages(loaded.spec, sources, cells, grouped),
    )


def _refuse_large(loaded: LoadedSpec, cells: tuple[Cell, ...]) -> None:
    size, budget = disk_bytes(cells) / 1e9, loaded.spec.budget_gb
    if size > budget:
        mark = locate(loaded.tree, ("budget_gb",))[0]
        message = f"activations take {size:.3g} GB on disk, more than the budget of {budget:g} GB"
        hint = "take fewer tokens or sites, or raise it"
        raise SpecError([Problem(mark.file, mark.line, mark.column, "budget_gb", message, hint)])
