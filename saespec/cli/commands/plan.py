"""`saespec plan`: what a run would do, why, and what it would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from saespec.cli import options

if TYPE_CHECKING:
    from saespec.cli.forecast import Forecast
    from saespec.plan.model import Cell

_COLOURS = {"fresh": "green", "restored": "green", "stale": "yellow", "waiting": "dim"}


def plan(
    specs: options.Specs = None,
    settings: options.Settings = None,
    cells: Annotated[bool, typer.Option("--cells", help="List every cell.")] = False,
    json: options.Json = False,
) -> None:
    """Show what a run would do: cells, groups, stages, which of them are not up to date and why.

    A stage is fresh (would not run), restored (nor that: DVC has its outputs in its cache), stale (would run)
    or waiting (would run if what it depends on comes out different). Times, memory and disk are estimates.

    JSON: {ok, specs: [{spec, path, root, cells, to_train, seconds, memory_bytes, disk_bytes,
    groups: [{name, cells, to_train, seconds, memory_bytes, disk_bytes}], inputs: [{stage, seconds, disk_bytes}],
    stages: [{name, state, reasons, command}], cell_list: [{cell, group, case, set, to_train}]}]}
    """
    from saespec.cli import output
    from saespec.cli.forecast import forecast
    from saespec.cli.specs import runnable

    found = [forecast(target) for target in runnable(specs, settings)]
    if json:
        output.json({"ok": True, "specs": [_json(one) for one in found]})
        return
    for number, one in enumerate(found):
        if number:
            output.say()
        _print(one, cells)


def _print(one: Forecast, cells: bool) -> None:
    from saespec.cli import output

    spec = one.target.plan.spec
    output.say(f"{output.paint(spec.name, 'bold')}: {spec.title}")
    output.say(f"{one.sentence()}\n")
    rows = [
        (
            group.name,
            len(group.cells),
            len(one.to_train(group)),
            output.duration(cost.seconds) if cost.cells else "",
            output.size(cost.memory_bytes) if cost.cells else "",
            output.size(cost.disk_bytes) if cost.cells else "",
        )
        for group, cost in one.costs()
    ]
    output.say(output.table(rows, ("group", "cells", "to train", "time", "memory", "disk"), "  "))
    output.say()
    if one.inputs:
        waiting = [
            (name, output.duration(cost.seconds) if cost.seconds else "", output.size(cost.disk_bytes))
            for name, cost in one.inputs.items()
        ]
        output.say(output.table(waiting, ("needs first", "time", "disk"), "  "))
        output.say()
    for state in one.states:
        name = state.stage.name.ljust(max(len(s.stage.name) for s in one.states))
        word = output.paint(state.state.ljust(8), _COLOURS[state.state])
        rest = " " * (len(name) + 14)
        reasons = state.reasons or ("",)
        for number, reason in enumerate(reasons):
            output.say((f"  {name}  {word}  {reason}" if number == 0 else f"{rest}{reason}").rstrip())
    if cells:
        output.say()
        listed = [
            (cell.id, group.name, _settings(cell)) for group in one.target.plan.groups for cell in group.cells
        ]
        output.say(output.table(listed, ("cell", "group", "set"), "  "))


def _settings(cell: Cell) -> str:
    from saespec.cli import output

    settings = ", ".join(f"{path} = {output.number(value)}" for path, value in cell.swept.items())
    return f"{cell.case}: {settings}" if cell.case else settings


def _json(one: Forecast) -> dict[str, Any]:
    from saespec.plan.model import Group

    target, total = one.target, one.cost.total
    group_of: dict[str, Group] = {cell.id: group for group in target.plan.groups for cell in group.cells}
    train = {cell.id for group in target.plan.groups for cell in one.to_train(group)}
    return {
        "spec": target.plan.spec.name,
        "path": str(target.plan.sources[0]),
        "root": str(target.root),
        "cells": len(target.plan.cells),
        "to_train": len(train),
        "seconds": total.seconds,
        "memory_bytes": total.memory_bytes,
        "disk_bytes": total.disk_bytes,
        "groups": [
            {
                "name": group.name,
                "cells": len(group.cells),
                "to_train": cost.cells,
                "seconds": cost.seconds,
                "memory_bytes": cost.memory_bytes,
                "disk_bytes": cost.disk_bytes,
            }
            for group, cost in one.costs()
        ],
        "inputs": [
            {"stage": name, "seconds": cost.seconds, "disk_bytes": cost.disk_bytes}
            for name, cost in one.inputs.items()
        ],
        "stages": [
            {
                "name": state.stage.name,
                "state": state.state,
                "reasons": list(state.reasons),
                "command": state.stage.command,
            }
            for state in one.states
        ],
        "cell_list": [
            {
                "cell": cell.id,
                "group": group_of[cell.id].name,
                "case": cell.case,
                "set": cell.swept,
                "to_train": cell.id in train,
            }
            for cell in target.plan.cells
        ],
    }
