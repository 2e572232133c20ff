"""`saespec explain`: the way from a spec's lines to a cell, a table, a figure or a claim."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saespec.cli import options

if TYPE_CHECKING:
    from saespec.cli.specs import Target
    from saespec.plan.model import Cell, Stage

_CELL = re.compile(r"[0-9a-f]{4,12}")


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="CELL|TABLE|FIGURE",
            help="A cell's id or its beginning, or SPEC.NAME of a table, figure or claim.",
        ),
    ],
    json: options.Json = False,
) -> None:
    """Show how something came to be: which lines of a spec say so, which stage makes it, where it is.

    JSON: {ok, kind, name, spec, stage, command, files: [path]} and, for a cell {group, case, checkpoint, in_store,
    fields: [{path, value, source, kind}], row}, a table {measures, columns, provenance}, a figure or claim
    {source, sql, tables}, a claim also {says, verdict}.
    """
    from saespec.cli import output

    found = _explained(what)
    if json:
        output.json({"ok": True, **found})
    else:
        _print(found)


def _explained(what: str) -> dict[str, Any]:
    from saespec.errors import CallError
    from saespec.plan.project import project_around, spec_files

    root = project_around()
    files = sorted(spec_files(root), key=lambda path: path.parent != root / "specs")  # the large ones last
    spec, dot, name = what.rpartition(".")
    if dot:
        return _named(name, [_target(path) for path in files if _is(path, spec)], what)
    if _CELL.fullmatch(what):
        for path in files:
            target = _target(path)
            cells = [cell for cell in target.plan.cells if cell.id.startswith(what)]
            if len(cells) > 1:
                raise CallError(f"{what} begins the ids of {len(cells)} cells of {target.plan.spec.name}")
            if cells:
                return _cell(target, cells[0])
    return _named(what, [_target(path) for path in files], what)


def _is(path: Path, spec: str) -> bool:
    from saespec.plan.project import spec_name

    return spec_name(path) == spec


def _target(path: Path) -> Target:
    import os

    from saespec.cli.specs import target
    from saespec.spec.language.load import load

    return target(load(Path(os.path.relpath(path)), root=Path.cwd()))


def _named(name: str, targets: list[Target], what: str) -> dict[str, Any]:
    import difflib

    from saespec.errors import CallError
    from saespec.results import schema

    found = []
    names: list[str] = []
    for target in targets:
        spec = target.plan.spec
        tables = schema.tables(spec)
        names += [f"{spec.name}.{known}" for known in [*tables, *spec.figures, *spec.claims]]
        found += [(target, kind) for kind, known in _kinds(target) if name in known]
    if not found:
        close = difflib.get_close_matches(what, [*names, *(n.rpartition(".")[2] for n in names)], n=1)
        hint = f"did you mean {close[0]}?" if close else "see `saespec plan --cells`, `saespec figures`"
        raise CallError(f"no cell, table, figure or claim is called {what} ({hint})")
    if len(found) > 1:
        several = ", ".join(f"{target.plan.spec.name}.{name} ({kind})" for target, kind in found)
        if len({target.plan.spec.name for target, _ in found}) == len(found):
            raise CallError(f"{name} could be {several}: give the spec too")
    target, kind = found[0]
    return _table(target, name) if kind == "table" else _report(target, name, kind)


def _kinds(target: Target) -> list[tuple[str, Any]]:
    from saespec.results import schema

    spec = target.plan.spec
    return [("table", schema.tables(spec)), ("figure", spec.figures), ("claim", spec.claims)]


def _made_by(target: Target, stage: Stage | None) -> dict[str, Any]:
    command = stage.command if stage else "saespec stage train"
    return {"spec": target.plan.spec.name, "stage": stage.name if stage else "train", "command": command}


def _cell(target: Target, cell: Cell) -> dict[str, Any]:
    from saespec.cli.specs import shown
    from saespec.plan.project import group_folder, store_folder, stored_cell
    from saespec.spec.language.fields import flat

    stage, group = next((s, g) for s in target.plan.stages for g in s.groups if cell in g.cells)
    checkpoint = target.root / group_folder(target.plan.folder, group.name) / f"{cell.id}.safetensors"
    fields = []
    for path, value in flat(cell.config).items():
        origin = target.loaded.origin(path, cell.swept)
        fields.append({"path": path, "value": value, "source": str(origin), "kind": origin.kind})
    return {
        "kind": "cell",
        "name": cell.id,
        **_made_by(target, stage),
        "group": group.name,
        "case": cell.case,
        "checkpoint": str(shown(checkpoint)),
        "in_store": stored_cell(store_folder(target.root), cell.id).exists(),
        "files": [str(shown(checkpoint))] if checkpoint.exists() else [],
        "fields": fields,
        "row": _row(target, cell),
    }


def _row(target: Target, cell: Cell) -> dict[str, Any] | None:
    """What was measured on a cell; None if it was not yet."""
    from saespec.results import parquet
    from saespec.results.query import plain

    path = target.root / target.plan.folder / "tables" / "cells.parquet"
    if not path.exists():
        return None
    measured = {c.name for measure in target.plan.spec.measure for c in measure.columns.get("cells", ())}
    measured |= {"latent_ratio", "canonical_lambda"}
    for row in parquet.read(path).to_pylist():
        if row["cell"] == cell.id:
            return {name: plain(value) for name, value in row.items() if name in measured}
    return None


def _table(target: Target, name: str) -> dict[str, Any]:
    from saespec.cli.specs import shown
    from saespec.results import parquet, schema

    spec = target.plan.spec
    folder = target.root / target.plan.folder
    untracked = name in schema.UNTRACKED
    path = folder / (f"{name}.parquet" if untracked else f"tables/{name}.parquet")
    writers: dict[str, str] = {}
    for measure in spec.measure:
        for column in measure.columns.get(name, ()):
            writers.setdefault(column.name, measure.kind)
    stage = None if untracked else next(s for s in target.plan.stages if s.kind == "measure")
    footer = parquet.footer(parquet.read(path)) if path.exists() else {}
    return {
        "kind": "table",
        "name": name,
        **_made_by(target, stage),
        "files": [str(shown(path))] if path.exists() else [],
        "measures": [
            {"measure": measure.kind, "source": str(target.loaded.origin(f"measure.{number}"))}
            for number, measure in enumerate(spec.measure)
            if name in measure.columns
        ],
        "columns": [
            {
                "name": c.name,
                "unit": c.unit,
                "written_by": writers.get(c.name, "saespec"),
                "description": c.description,
            }
            for c in schema.tables(spec)[name]
        ],
        "provenance": {key.removeprefix("saespec."): value for key, value in footer.items()},
    }


def _report(target: Target, name: str, kind: str) -> dict[str, Any]:
    from saespec.cli import verdicts
    from saespec.cli.specs import shown

    spec, plural = target.plan.spec, f"{kind}s"
    stage = next(stage for stage in target.plan.stages if stage.kind == plural)
    item = spec.figures[name] if kind == "figure" else spec.claims[name]
    outs = [target.root / out.path for out in stage.outs]
    if kind == "figure":
        outs = [path for path in outs if path.name.split(".")[0] == name]
    found: dict[str, Any] = {
        "kind": kind,
        "name": name,
        **_made_by(target, stage),
        "source": _lines(target, f"{plural}.{name}"),
        "sql": item.sql,
        "tables": _tables_read(item.sql),
        "files": [str(shown(path)) for path in outs if path.exists()],
    }
    if kind == "claim":
        verdict = verdicts.read(target.root / target.plan.folder).get(name)
        found |= {"says": spec.claims[name].says, "verdict": dict(verdict) if verdict else None}
    return found


def _lines(target: Target, path: str) -> str:
    """`specs/x.yaml:40-58`: the lines of a section, which end where the indentation does."""
    origin = target.loaded.origin(path)
    lines = target.loaded.texts[origin.file].splitlines()
    last = origin.line
    for number, line in enumerate(lines[origin.line :], origin.line + 1):
        if line.strip() and len(line) - len(line.lstrip()) < origin.column:
            break
        last = number if line.strip() else last
    return f"{origin.file}:{origin.line}-{last}"


def _tables_read(sql: str) -> list[str]:
    import duckdb

    return sorted(duckdb.connect(":memory:").get_table_names(sql))


def _print(found: dict[str, Any]) -> None:
    from saespec.cli import output

    output.say(f"{output.paint(found['name'], 'bold')}: a {found['kind']} of {found['spec']}")
    if says := found.get("says"):
        output.say(output.wrapped(says, "  ", "  "))
    rows = [("stage", found["stage"]), ("command", found["command"])]
    rows += [(key, found[key]) for key in ("group", "case", "source") if found.get(key)]
    if found["kind"] == "cell":
        where = "in the store" if found["in_store"] else "not trained yet"
        rows.append(("checkpoint", f"{found['checkpoint']} ({where})"))
    else:
        rows += [
            ("file" if number == 0 else "", file)
            for number, file in enumerate(found["files"] or ["not made yet"])
        ]
    if tables := found.get("tables"):
        rows.append(("reads", ", ".join(tables)))
    for number, measure in enumerate(found.get("measures", ())):
        rows.append(("" if number else "measures", f"{measure['measure']}  {measure['source']}"))
    output.say(output.table(rows, indent="  "))
    if fields := found.get("fields"):
        output.say()
        output.say(
            output.table([(f["path"], output.number(f["value"]), _source(f)) for f in fields], indent="  ")
        )
    if columns := found.get("columns"):
        output.say()
        cells = [(c["name"], c["unit"], c["written_by"], c["description"]) for c in columns]
        output.say(output.table(cells, ("column", "unit", "written by", "description"), "  "))
    if row := found.get("row"):
        output.say(
            "\n" + output.table([(key, output.number(value)) for key, value in row.items()], indent="  ")
        )
    if provenance := found.get("provenance"):
        output.say("\n" + output.table(list(provenance.items()), indent="  "))
    if sql := found.get("sql"):
        output.say("\n" + "\n".join(f"  {line}" for line in sql.strip().splitlines()))
    if verdict := found.get("verdict"):
        from saespec.cli import verdicts

        output.say("\n" + verdicts.table({found["name"]: verdict}))


def _source(field: dict[str, Any]) -> str:
    note = {"sweep": " (sweep)", "override": " (--set)"}.get(field["kind"], "")
    return f"{field['source']}{note}"
