"""`saespec clean`: remove what is left of specs that are gone."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saespec.cli import options

if TYPE_CHECKING:
    from saespec.engine.leftovers import Item, Leftovers


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go; remove nothing.")] = False,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="All scratch runs (of --set) too, and what only they need.")
    ] = False,
    shared: Annotated[
        bool,
        typer.Option(
            "--shared",
            help="From a store outside the project (SAESPEC_STORE) too: what other projects need there goes.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    """Remove results whose spec is gone, and what the store holds that nothing needs.

    A spec that was deleted or renamed leaves its results, and in the store its cells, models and activations. What
    any spec of the project, any plan.json (there or in git's HEAD) or any scratch run needs stays, and so does
    every file that git tracks. Branches that are not checked out are not looked at.

    JSON: {ok, removed, bytes, items: [{kind, path, bytes, why}], in_git: [path], kept: [why]}
    """
    from saespec.cli import output
    from saespec.engine.clean import no_run, remove
    from saespec.errors import CallError
    from saespec.plan.project import project_around

    root = project_around()
    found, going, kept = _found(root, scratch, shared)
    if not json:
        _show(going, kept, root)
    removing = bool(going) and not dry_run
    if removing and not yes:
        if json or not sys.stdin.isatty():
            raise CallError("nothing was removed: nobody can be asked here; say --yes, or --dry-run to look")
        removing = _agreed()
    if removing:
        with no_run(root):
            listed = {item.path for item in going}
            found, now, kept = _found(root, scratch, shared)  # a run may have begun to need some of it
            going = [item for item in now if item.path in listed]
            remove(going, root, output.note)
    total = sum(item.bytes for item in going)
    if json:
        items = [{"kind": i.kind, "path": str(i.path), "bytes": i.bytes, "why": i.why} for i in going]
        tracked = [str(one.folder) for one in found.in_git]
        output.json(
            {"ok": True, "removed": removing, "bytes": total, "items": items, "in_git": tracked, "kept": kept}
        )
    elif removing:
        output.say(f"removed {output.size(total)}")
    elif going and not dry_run:
        output.say("nothing was removed")


def _found(root: Path, scratch: bool, shared: bool) -> tuple[Leftovers, list[Item], list[str]]:
    """What there is, what of it may go, and why the rest may not."""
    from saespec.cli import output
    from saespec.engine.leftovers import leftovers

    found = leftovers(root, all_scratch=scratch)
    going = found.items if scratch else [*found.results, *found.store]
    kept = in_git(found)
    kept += [f"{_short(path, root)} is a link: what it leads to is left alone" for path in found.links]
    if found.scratch and not scratch:
        kept.append(f"the spec of {names(found.scratch, root)} is gone; --scratch removes all scratch runs")
    if found.outside and found.store and not shared:
        going = [item for item in going if item not in found.store]
        size = output.size(sum(item.bytes for item in found.store))
        kept.append(
            f"{found.outside} lies outside this project, and others may need what is in it: {counts(found.store)} "
            f"({size}) that nothing here needs; --shared removes them too"
        )
    return found, going, kept + unknown(found)


def in_git(found: Leftovers) -> list[str]:
    """Say how results without a spec leave git."""
    return [
        f"results/{one.name} is in git, its spec is gone: `git rm -r results/{one.name}` removes it"
        for one in found.in_git
    ]


def unknown(found: Leftovers) -> list[str]:
    """Say why everything in the store stays, if it does."""
    if not found.unknown:
        return []
    why = ", ".join(dict.fromkeys(found.unknown))
    return [f"the store keeps everything: what is needed cannot be known while {why}"]


def names(items: list[Item], root: Path) -> str:
    """Return `results/old, .saespec/scratch/old-12ab34cd`."""
    return ", ".join(_short(item.path, root) for item in items)


def counts(items: list[Item]) -> str:
    """Return `130 cells, 1 model`."""
    from saespec.cli import output

    return ", ".join(output.count(many, kind) for kind, many in Counter(item.kind for item in items).items())


def _show(going: list[Item], kept: list[str], root: Path) -> None:
    from saespec.cli import output

    rows: list[tuple[str, str, str]] = []
    cells = [item for item in going if item.kind == "cell"]
    for item in going:
        if item.kind != "cell":
            why = item.why or item.kind
            rows.append((_short(item.path, root), output.size(item.bytes), why))
        elif item is cells[0]:  # thousands of lines would say no more
            total = output.size(sum(cell.bytes for cell in cells))
            rows.append((_short(item.path.parent, root), total, output.count(len(cells), "cell")))
    if rows:
        output.say(output.table(rows))
        output.say(f"{output.size(sum(item.bytes for item in going))} in all")
    else:
        output.say("nothing to remove")
    for line in kept:
        output.note(line)


def _agreed() -> bool:
    """Ask at the terminal."""
    print("remove it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _short(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
