"""`saespec report`: results as one page that opens from disk and can be mailed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saespec.cli import options


def report(
    specs: options.Specs = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write the page.")] = Path(
        "report.html"
    ),
    json: options.Json = False,
) -> None:
    """Write results as one page: figures, claims, cells, latents, and where they came from.

    The page is one file that opens without a network: its figures can be pointed at and zoomed, its tables sort and
    filter. It shows the results as they are; specs without results are left out.

    JSON: {ok, file, bytes, specs: [name], without_results: [name]}
    """
    from saespec.cli import output
    from saespec.cli.redraw import outdated
    from saespec.cli.specs import paths, shown, targets
    from saespec.errors import StageError
    from saespec.report.content import section
    from saespec.report.page import page
    from saespec.results.atomic import write_bytes

    wanted = targets([str(path) for path in paths(specs)])
    there = [t for t in wanted if (t.root / t.plan.folder / "tables" / "cells.parquet").exists()]
    lacking = [t.plan.spec.name for t in wanted if t not in there]
    if not there:
        raise StageError(f"no results of {', '.join(lacking)}: run `saespec run {wanted[0].plan.sources[0]}`")
    made = [section(t.plan.spec, t.root / t.plan.folder, str(t.plan.sources[0])) for t in there]
    for target, one in zip(there, made, strict=True):
        for note in (outdated(target), *one.notes):
            if note:
                output.note(f"{target.plan.spec.name}: {note}")
    data = page(made).encode()
    write_bytes(out, data)
    if json:
        names = [t.plan.spec.name for t in there]
        output.json(
            {
                "ok": True,
                "file": str(shown(out)),
                "bytes": len(data),
                "specs": names,
                "without_results": lacking,
            }
        )
        return
    for name in lacking:
        output.note(f"{name} has no results yet: left out")
    output.say(f"{shown(out)}  {len(data) / 1e6:.1f} MB")
