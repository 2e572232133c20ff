"""`saespec stage figures`: what people look at, from the tables."""

from __future__ import annotations

from pathlib import Path

from saespec.figures import draw
from saespec.figures.picture import picture
from saespec.plan import planfile
from saespec.plan.stages import figures_hash
from saespec.results import diverged
from saespec.results.atomic import write_bytes
from saespec.results.views import spec_connection
from saespec.spec.spec import Spec

from .tables import made_by, tables_of


def figures(plan_path: Path) -> None:
    """Draw every figure of the plan's spec."""
    draw_figures(planfile.read(plan_path).spec, plan_path.parent)


def draw_figures(spec: Spec, folder: Path) -> list[Path]:
    """Draw a spec's figures from the tables in its results folder: SVG, PNG, Vega-Lite; return the PNGs."""
    tables, left_out = diverged.left_out(tables_of(spec, folder))
    connection, made = spec_connection(tables, spec.name, spec.queries), made_by(tables)
    drawn = []
    for name in spec.figures:
        own = {**made, "figure_hash": figures_hash(spec, [name])}
        drawing = draw.draw(picture(spec, name), name, connection, own, left_out)
        target = folder / "figures" / name
        for suffix, data in ((".svg", drawing.svg), (".png", drawing.png), (".vl.json", drawing.chart)):
            write_bytes(target.with_name(name + suffix), data)
        drawn.append(target.with_name(f"{name}.png"))
    return drawn
