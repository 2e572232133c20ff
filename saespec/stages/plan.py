"""`saespec stage plan`: resolve a spec into `plan.json`, which all later stages read."""

from __future__ import annotations

from pathlib import Path

from saespec.errors import StageError
from saespec.plan import dvcfile, planfile
from saespec.plan.build import plan as build
from saespec.results.atomic import write_bytes
from saespec.spec.language.load import load


def plan(spec_path: Path) -> None:
    """Write `plan.json` of a spec; refuse if `dvc.yaml` is not what the spec compiles to."""
    root = Path.cwd()
    planned = build(load(spec_path, root=root), root)
    if not dvcfile.is_current(planned, root):
        raise StageError(dvcfile.remedy(planned))
    write_bytes(root / planned.folder / "plan.json", planfile.dump(planned))
