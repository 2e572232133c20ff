"""`saespec figures`: draw again, from the tables as they are."""

from __future__ import annotations

from saespec.cli import options


def figures(specs: options.Specs = None, json: options.Json = False) -> None:
    """Redraw figures from the tables as they are: nothing is trained or measured.

    JSON: {ok, specs: [{spec, up_to_date, figures: [path]}]}
    """
    from saespec.cli import output
    from saespec.cli.redraw import drawn, outdated
    from saespec.cli.specs import paths, shown, targets

    found = []
    for target in targets([str(path) for path in paths(specs)]):
        old = outdated(target)
        files = [str(shown(path)) for path in drawn(target)]
        found.append({"spec": target.plan.spec.name, "up_to_date": not old, "figures": files})
        if not json:
            for file in files:
                output.say(file)
            if old:
                output.note(old)
    if json:
        output.json({"ok": True, "specs": found})
