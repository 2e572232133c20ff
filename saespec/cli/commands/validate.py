"""`saespec validate`: everything that is wrong with specs, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from saespec.cli import options

if TYPE_CHECKING:
    from saespec.errors import Problem


def validate(
    specs: options.Specs = None, settings: options.Settings = None, json: options.Json = False
) -> None:
    """Check specs: fields, sweeps, SQL against empty tables, charts by drawing them on made-up rows, and whether the
    text, packages and models that they name are here. The hub is not asked.

    JSON: {ok, specs: [{spec, path, ok, cells, figures, claims,
    problems: [{file, line, column, path, message, hint}]}]}
    """
    from saespec.cli import output
    from saespec.cli.specs import checked, lacking, paths, shown, target
    from saespec.errors import SpecError
    from saespec.plan.project import spec_name
    from saespec.spec.language.problems import SpecFileError

    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    texts: dict[str, str] = {}
    for path in paths(specs):
        entry: dict[str, Any] = {"spec": spec_name(path), "path": str(shown(path)), "ok": True}
        try:
            loaded = checked(path, settings, lacking)
            if not settings:
                target(loaded)  # names and paths that the project does not allow
            parts = {"cells": loaded.points, "figures": loaded.spec.figures, "claims": loaded.spec.claims}
            entry |= {
                "spec": loaded.name,
                **{name: len(part) for name, part in parts.items()},
                "problems": [],
            }
        except SpecError as error:
            entry |= dict.fromkeys(("cells", "figures", "claims"))
            entry |= {"ok": False, "problems": output.problems_json(error.problems)}
            problems += error.problems
            texts.update(getattr(error, "texts", {}))
        found.append(entry)
    if json:
        output.json({"ok": not problems, "specs": found})
        raise typer.Exit(2 if problems else 0)
    for entry in found:
        if entry["ok"]:
            counts = [output.count(entry[f"{word}s"], word) for word in ("cell", "figure", "claim")]
            output.say(f"{entry['path']}: {output.paint('ok', 'green')}, {', '.join(counts)}")
    if problems:
        raise SpecFileError(problems, texts)
