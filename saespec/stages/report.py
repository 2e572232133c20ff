"""`saespec stage report`: the verdicts of all specs on one page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from saespec.plan import planfile
from saespec.plan.orphans import results_folders
from saespec.results import document
from saespec.results.atomic import write_bytes
from saespec.spec.spec import Spec


def report(root: Path) -> Path:
    """Write `results/report.md`: every claim of every spec below `results/` that `specs/*.yaml` made.

    Below a spec's claims stands what its figures do not show.
    Results whose spec is gone, and those that were copied in, are left out.
    """
    lines = ["# Claims and verdicts", "", "Made by `saespec stage report`; do not edit.", ""]
    for one in results_folders(root):
        path = one.folder / "claims.json"
        if one.state != "spec" or not path.exists():
            continue
        plan = planfile.read(path.parent / "plan.json")
        if Path(plan.source).parent != Path("specs"):
            continue
        found, made = document.verdicts(path)
        lines += [
            f"## {plan.spec.title} (`{plan.spec.name}`)",
            "",
            _origin(made),
            "",
            "| claim | verdict | numbers |",
            "|---|---|---|",
        ]
        for claim in found.values():
            numbers = ", ".join(f"{key} = {_short(value)}" for key, value in claim["numbers"].items())
            lines.append(f"| {_cell(claim['says'])} | {_word(claim['holds'])} | {_cell(numbers)} |")
        lines += ["", *_not_drawn(plan.spec, path.parent)]
    target = root / "results" / "report.md"
    write_bytes(target, "\n".join(lines).encode())
    return target


def _not_drawn(spec: Spec, folder: Path) -> list[str]:
    """A line for each figure that does not show all of its data, and an empty one after them."""
    lines = []
    for name in spec.figures:
        path = folder / "figures" / f"{name}.vl.json"
        if not path.exists():  # the figures stage has not run or has failed; claims have their own
            continue
        _, made = document.read(path, document.CHART)
        if texts := made.get(document.NOT_DRAWN):
            lines.append(f"- Not drawn: {name}: {_cell('; '.join(texts))}")
    return [*lines, ""] if lines else []


def _origin(made: dict[str, Any]) -> str:
    """Where the tables that were asked came from, in a line."""
    commits = [one for one in made.get("git_commit", "").split(", ") if re.fullmatch("[0-9a-f]{40}", one)]
    at = f" at commit {', '.join(f'`{commit[:12]}`' for commit in commits)}" if commits else ""
    dirty = " with changes that are not in it" if commits and "true" in made.get("git_dirty", "") else ""
    return f"Measured{at}{dirty} on {made.get('device')}, with saespec {made.get('version')}."


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "NULL" if value is None else str(value)


def _word(holds: bool | None) -> str:
    return {True: "holds", False: "does not hold", None: "undecided"}[holds]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
