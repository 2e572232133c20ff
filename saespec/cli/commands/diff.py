"""`saespec diff A B`: which cells two specs, or two revisions of one, do not share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saespec.cli import options

if TYPE_CHECKING:
    from saespec.plan.diff import Diff
    from saespec.plan.model import Cell
    from saespec.spec.language.load import LoadedSpec

_Spec = Annotated[
    str, typer.Argument(help="Path or name of a spec, or REV:PATH for one in git.", show_default=False)
]


def diff(a: _Spec, b: _Spec, json: options.Json = False) -> None:
    """Compare the cells of two specs on resolved values. `saespec diff HEAD:specs/x.yaml specs/x.yaml`

    JSON: {ok, added: [{cell, case, set}], removed: [{cell, case, set}], changed: [{before, after, case, set,
    fields: {path: [before, after]}}], renamed: [{cell, before, after}], kept, other: [text]}
    """
    from saespec.cli import output
    from saespec.plan.cells import resolve_cells
    from saespec.plan.diff import diff as compare

    with tempfile.TemporaryDirectory() as scratch:
        old, new = (_load(name, Path(scratch) / str(number)) for number, name in enumerate((a, b)))
    found = compare(resolve_cells(old), resolve_cells(new))
    if json:
        output.json({"ok": True, **_json(found), "other": _other(old, new)})
    else:
        _print(found, _other(old, new))


def _load(name: str, scratch: Path) -> LoadedSpec:
    from saespec.cli.specs import paths
    from saespec.spec.language.load import load

    revision, colon, path = name.rpartition(":")
    if not colon or Path(name).exists():
        return load(paths([name])[0], root=Path.cwd())
    from saespec.cli.revisions import checked_out

    return load(checked_out(revision, path, scratch), root=scratch)


def _other(old: LoadedSpec, new: LoadedSpec) -> list[str]:
    """What differs besides cells, by name."""
    sections = (
        ("measure", {m.kind: m for m in old.spec.measure}, {m.kind: m for m in new.spec.measure}),
        ("figure", old.spec.figures, new.spec.figures),
        ("claim", old.spec.claims, new.spec.claims),
    )
    lines = []
    for word, before, after in sections:
        for name in dict.fromkeys([*before, *after]):
            if name not in before:
                lines.append(f"{word} {name} added")
            elif name not in after:
                lines.append(f"{word} {name} removed")
            elif before[name] != after[name]:
                lines.append(f"{word} {name} changed")
    return lines


def _json(found: Diff) -> dict[str, Any]:
    def cell(one: Cell) -> dict[str, Any]:
        return {"cell": one.id, "case": one.case, "set": one.swept}

    return {
        "added": [cell(one) for one in found.added],
        "removed": [cell(one) for one in found.removed],
        "changed": [
            {
                "before": change.before.id,
                "after": change.after.id,
                "case": change.after.case,
                "set": change.after.swept,
                "fields": {path: list(values) for path, values in change.fields.items()},
            }
            for change in found.changed
        ],
        "renamed": [{"cell": new.id, "before": old.case, "after": new.case} for old, new in found.renamed],
        "kept": len(found.kept),
    }


def _print(found: Diff, other: list[str]) -> None:
    from saespec.cli import output
    from saespec.plan.diff import describe

    counts = {
        "added": found.added,
        "removed": found.removed,
        "changed": found.changed,
        "the same": found.kept,
    }
    output.say(f"cells: {', '.join(f'{len(cells)} {word}' for word, cells in counts.items())}")
    for line in [*describe(found), *other]:
        output.say(f"  {line}")
