"""`saespec run`: bring results up to date, then show them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saespec.cli import options

if TYPE_CHECKING:
    from saespec.cli.forecast import Forecast
    from saespec.cli.specs import Target
    from saespec.cli.verdicts import Verdicts
    from saespec.engine.events import Ran

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def _device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise typer.BadParameter("use auto, cpu, cuda or cuda:N")
    return value


def run(
    specs: options.Specs = None,
    settings: options.Settings = None,
    device: Annotated[
        str,
        typer.Option("--device", metavar="auto|cpu|cuda|cuda:N", callback=_device, help="Where to compute."),
    ] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line a spec, and errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what DVC says too.")] = False,
    strict: options.Strict = False,
    json: options.Json = False,
) -> None:
    """Do what is not up to date, then show claims, figures and where the results are.

    Interrupted, or the machine died: the same command continues.

    JSON: {ok, specs: [{spec, root, results, ran: [stage], stage_seconds: {stage: seconds}, trained, seconds,
    figures: [path], tables: [path], claims: [{claim, says, source, holds, why, numbers, condition, sql}],
    diverged: [{cell, at, by}]}]}.
    What DVC took from its cache did not run; a cell found in the store was not trained. A run that fails says in
    {ok, error, specs} what it did before; the last spec then has no figures, tables and claims.
    """
    import time
    from dataclasses import asdict

    from saespec.cli import failure, output, verdicts
    from saespec.cli.forecast import forecast
    from saespec.cli.specs import runnable
    from saespec.engine.run import repair_lock
    from saespec.results import diverged

    wanted = runnable(specs, settings)
    _refuse_missing(device)
    done: list[dict[str, Any]] = []
    failure.remember(specs=done)
    for number, target in enumerate(wanted):
        repair_lock(target.plan, target.root, output.note)
        before = forecast(target)
        if not quiet and not json:
            output.say("\n" * bool(number) + _heading(before))
        done.append(_begun(target))
        clock = time.perf_counter()
        _run(target, None if device == "auto" else device, 0 if quiet else 2 if verbose else 1, done[-1])
        found = verdicts.read(target.root / target.plan.folder, target.plan.spec.claims)
        done[-1] |= {
            "seconds": round(time.perf_counter() - clock, 3),
            "figures": [str(target.folder / "figures" / f"{name}.png") for name in target.plan.spec.figures],
            "tables": [str(target.root / path) for path in _tables(target)],
            "claims": verdicts.listed(found),
        }
        lost = diverged.read(target.root / target.plan.folder)
        done[-1]["diverged"] = [asdict(one) for one in lost]
        for line in diverged.told(target.plan.spec.name, lost):
            output.note(line)
        if quiet and not json:
            told = f", {verdicts.summary(found)}" if found else ""
            output.say(f"{target.plan.spec.name}: done{told}")
        elif not json:
            output.say(_results(target, found))
    if json:
        output.json({"ok": True, "specs": done})
    if strict and any(one["diverged"] or not all(c["holds"] is True for c in one["claims"]) for one in done):
        raise typer.Exit(1)


def _begun(target: Target) -> dict[str, Any]:
    where = {"spec": target.plan.spec.name, "root": str(target.root), "results": str(target.folder)}
    return {**where, "ran": [], "stage_seconds": {}, "trained": 0}


def _refuse_missing(device: str) -> None:
    """Raise CallError now, and not in a stage after others have run, if the device is not there.

    torch, which alone can tell, takes seconds to import: it is asked only where a device is named.
    """
    from saespec.engine.run import DEVICE_VARIABLE

    if device == "auto":
        device = os.environ.get(DEVICE_VARIABLE, "auto")
    if device not in ("auto", "cpu"):
        from saespec.stages.device import chosen

        chosen(device)


def _run(target: Target, device: str | None, verbosity: int, done: dict[str, Any]) -> None:
    """Run a spec, and write into `done` what of it ran."""
    from saespec.cli import output
    from saespec.cli.specs import store_of
    from saespec.engine.run import run as run_plan

    def account(ran: list[Ran]) -> None:
        done["stage_seconds"] = {one.stage: one.seconds for one in ran if one.seconds is not None}
        done["ran"] = list(done["stage_seconds"])
        done["trained"] = sum(one.trained for one in ran)

    with store_of(target):
        run_plan(
            target.plan,
            target.root,
            device=device,
            verbosity=verbosity,
            store=target.store,
            notify=output.note,
            account=account,
        )


def _heading(before: Forecast) -> str:
    from saespec.cli import output

    spec = before.target.plan.spec
    lines = [f"{output.paint(spec.name, 'bold')}: {spec.title}", before.sentence()]
    if before.target.store is not None:
        lines.append(f"with --set: results go to {before.target.folder}")
    return "\n".join(lines)


def _results(target: Target, found: Verdicts) -> str:
    from saespec.cli import output, verdicts
    from saespec.cli.specs import shown

    spec = target.plan.spec
    lines = [""]
    if found:
        lines += [f"{output.paint('claims', 'bold')}   {verdicts.summary(found)}", verdicts.table(found), ""]
    head = [("figures", [f"{target.folder}/figures/{name}.png" for name in spec.figures])]
    head.append(("results", [f"{target.folder}: {', '.join(sorted(path.stem for path in _tables(target)))}"]))
    head.append(("ask", [f'saespec sql{_where(target)} "{_example(target)}"']))
    if target.store is None:
        head.append(("open", [f"saespec report {shown(target.root / target.plan.sources[0])}"]))
    for title, texts in head:
        for number, text in enumerate(texts):
            lines.append(f"{output.paint((title if number == 0 else '').ljust(7), 'bold')}  {text}")
    return "\n".join(lines)


def _tables(target: Target) -> Sequence[Any]:
    return [out.path for stage in target.plan.stages if stage.kind == "measure" for out in stage.outs]


def _where(target: Target) -> str:
    """What `saespec sql` must be told if it is called from here."""
    from saespec.cli.specs import shown
    from saespec.errors import CallError
    from saespec.plan.project import project_around

    try:
        near = project_around() == target.root
    except CallError:
        near = False
    return "" if near else f" --project {shown(target.root)}"


def _example(target: Target) -> str:
    from saespec.spec.language.fields import stored_fields

    spec = target.plan.spec
    swept = {path for cell in target.plan.cells for path in cell.swept}
    columns = [column.name for path, column in stored_fields() if path in swept]
    measured = {c.name for measure in spec.measure for c in measure.columns.get("cells", ())}
    result = next((name for name in ("mmcs", "fvu", "loss", "dead_latents") if name in measured), None)
    wanted = ", ".join([*(columns or ["cell"]), *([result] if result else [])])
    order = f" order by {result} desc" if result == "mmcs" else f" order by {result}" if result else ""
    return f"select {wanted} from {spec.name}.cells{order} limit 5"
