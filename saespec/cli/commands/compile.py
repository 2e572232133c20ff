"""`saespec compile`: the DVC stages of specs, for `dvc repro` without saespec's command line."""

from __future__ import annotations

from typing import Annotated

import typer

from saespec.cli import options


def compile_(
    specs: options.Specs = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if something is not compiled.")
    ] = False,
) -> None:
    """Write dvc.yaml for specs and the project. Without a spec: for all, also those below specs/.

    `saespec run` compiles by itself; this is for those who call `dvc repro`.
    """
    from saespec.cli import output
    from saespec.cli.specs import all_checked, paths, shown, target

    if check:
        from saespec.plan.dvcfile import check as unlike
        from saespec.plan.project import project_around

        if found := unlike(project_around()):
            for line in found:
                output.say(line)
            raise typer.Exit(1)
        output.say("all compiled")
        return
    from saespec.engine.dvc import ensure_repo
    from saespec.engine.lock import run_lock
    from saespec.engine.run import compile_plan

    for loaded in all_checked(paths(specs, all_of_them=True)):
        made = target(loaded)
        ensure_repo(made.root, notify=output.note)
        with run_lock(made.root, made.plan.spec.name, output.note):
            changed = compile_plan(made.plan, made.root, output.note)
        output.say(
            f"{shown(made.root / made.plan.folder / 'dvc.yaml')}: {'written' if changed else 'unchanged'}"
        )
