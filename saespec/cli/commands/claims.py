"""`saespec claims`: what the results say about each claim."""

from __future__ import annotations

from typing import Any

import typer

from saespec.cli import options


def claims(specs: options.Specs = None, strict: options.Strict = False, json: options.Json = False) -> None:
    """Judge claims on the tables as they are, with their numbers. Trains and writes nothing.

    JSON: {ok, specs: [{spec, title, up_to_date,
    claims: [{claim, says, source, holds, why, numbers, condition, sql}]}]}
    """
    from saespec.cli import output, verdicts
    from saespec.cli.redraw import judged, outdated
    from saespec.cli.specs import paths, targets
    from saespec.results import diverged

    found: list[dict[str, Any]] = []
    hold = True
    for target in targets([str(path) for path in paths(specs)]):
        spec = target.plan.spec
        if not spec.claims and not specs:
            continue
        result = judged(target)
        old = outdated(target)
        hold = hold and verdicts.all_hold(result) and not diverged.read(target.root / target.plan.folder)
        found.append(
            {"spec": spec.name, "title": spec.title, "up_to_date": not old, "claims": verdicts.listed(result)}
        )
        if not json:
            output.say("\n" * (len(found) > 1) + f"{output.paint(spec.name, 'bold')}: {spec.title}")
            output.say(f"{verdicts.summary(result)}\n{verdicts.table(result)}" if result else "no claims")
            if old:
                output.note(old)
    if json:
        output.json({"ok": True, "specs": found})
    if strict and not hold:
        raise typer.Exit(1)
