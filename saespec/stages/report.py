"""`saespec stage figures`, `claims` and `report`: what people look at, from the tables."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from saespec.figures import claims as verdicts
from saespec.figures import draw
from saespec.plan import planfile
from saespec.plan.orphans import results_folders
from saespec.results import parquet, schema
from saespec.results.atomic import write_bytes
from saespec.results.views import spec_connection
from saespec.spec.spec import Spec


def figures(plan_path: Path) -> None:
    """Draw every figure of the plan's spec."""
    draw_figures(planfile.read(plan_path).spec, plan_path.parent)


def claims(plan_path: Path) -> None:
    """Judge every claim of the plan's spec: `claims.json`."""
    found = judge_claims(planfile.read(plan_path).spec, plan_path.parent)
    write_bytes(plan_path.parent / "claims.json", verdicts.to_json(found))


def draw_figures(spec: Spec, folder: Path) -> list[Path]:
    """Draw a spec's figures from the tables in its results folder: SVG, PNG, Vega-Lite; return the PNGs."""
    connection = _connection(spec, folder)
    drawn = []
    for name, figure in spec.figures.items():
        drawing = draw.draw(figure, name, connection)
        target = folder / "figures" / name
        for suffix, data in ((".svg", drawing.svg), (".png", drawing.png), (".vl.json", drawing.chart)):
            write_bytes(target.with_name(name + suffix), data)
        drawn.append(target.with_name(f"{name}.png"))
    return drawn


def judge_claims(spec: Spec, folder: Path) -> list[verdicts.Verdict]:
    """Judge a spec's claims by the tables in its results folder."""
    return verdicts.check(spec.claims, _connection(spec, folder))


def _connection(spec: Spec, folder: Path) -> duckdb.DuckDBPyConnection:
    names = [name for name in schema.tables(spec) if name not in schema.UNTRACKED]
    read = {name: parquet.read(folder / "tables" / f"{name}.parquet") for name in names}
    return spec_connection(read, spec.name)


def report(root: Path) -> Path:
    """Write `results/report.md`: every claim of every spec below `results/` that `specs/*.yaml` made.

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
        lines += [
            f"## {plan.spec.title} (`{plan.spec.name}`)",
            "",
            "| claim | verdict | numbers |",
            "|---|---|---|",
        ]
        for claim in json.loads(path.read_text()).values():
            numbers = ", ".join(f"{key} = {_short(value)}" for key, value in claim["numbers"].items())
            lines.append(f"| {_cell(claim['says'])} | {_word(claim['holds'])} | {_cell(numbers)} |")
        lines.append("")
    target = root / "results" / "report.md"
    write_bytes(target, "\n".join(lines).encode())
    return target


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "NULL" if value is None else str(value)


def _word(holds: bool | None) -> str:
    return {True: "holds", False: "does not hold", None: "undecided"}[holds]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
