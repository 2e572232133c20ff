"""`saespec stage measure`: the tables of a spec from its trained cells."""

from __future__ import annotations

from pathlib import Path

from saespec.plan import planfile
from saespec.plan.project import group_folder
from saespec.results import parquet, schema
from saespec.results.provenance import provenance


def measure(plan_path: Path) -> None:
    """Write every tracked table of the plan's spec."""
    plan = planfile.read(plan_path)
    import torch

    from saespec.measure.tables import tables
    from saespec.measure.trained import load

    from .device import device

    chosen = device()
    folder = plan_path.parent
    stacks = load([(group.cells, group_folder(folder, group.name)) for group in plan.groups], chosen)
    found = dict(tables(plan.spec.name, plan.cells, plan.spec.measure, stacks))
    found["cells"] = schema.declared_part(plan.spec, found["cells"])
    trained_on = "+".join(sorted({kind for stack in stacks for kind in stack.trained_on}))
    made = provenance(
        plan.spec.name,
        plan.measures_sha,
        trained_on,
        torch=torch.__version__,
        root=Path.cwd(),
        sources=plan.sources,
    )
    for name, columns in schema.tables(plan.spec).items():
        if name not in schema.UNTRACKED:
            parquet.write(folder / "tables" / f"{name}.parquet", name, columns, found.get(name, {}), made)
