"""`saespec status`: one line a spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saespec.cli import options

if TYPE_CHECKING:
    from saespec.engine.leftovers import Leftovers
    from saespec.plan.model import Cell

_COLOURS = {"fresh": "green", "stale": "yellow", "missing": "yellow", "damaged": "red", "invalid": "red"}


def status(specs: options.Specs = None, json: options.Json = False) -> None:
    """Show, in one line a spec, whether its results are up to date and how many claims hold.

    fresh: a run would do nothing. stale: something changed. missing: it was not run yet. damaged: a file is
    not what saespec wrote. invalid: the spec has errors.

    Without a spec also what is left of specs that are gone, which `saespec clean` removes.

    JSON: {ok, specs: [{spec, path, state, detail, claims, claims_that_hold, diverged: [cell]}]}, without a spec also
    orphans: {results: [path], in_git: [path], scratch: [path], store: {kind: number}, bytes, unknown: [why]}
    """
    from saespec.cli import output

    known: dict[Path, Sequence[Cell]] = {}
    found = [_status(path, known) for path in _paths(specs)]
    left = None if specs else _left(known)
    if json:
        output.json({"ok": True, "specs": found} | ({"orphans": _orphans(left)} if left else {}))
        return
    longest = max((len(one["spec"]) for one in found), default=0)
    for one in found:
        claims = ""
        if one["claims"]:
            claims = f"{one['claims_that_hold']} of {output.count(one['claims'], 'claim')} hold"
        lost = ""
        if cells := one["diverged"]:
            named = ", ".join(cells[:3]) + (f" and {len(cells) - 3} more" if len(cells) > 3 else "")
            lost = f"{output.count(len(cells), 'cell')} diverged: {named}"
        told = "; ".join(part for part in (claims, lost, one["detail"]) if part)
        state = output.paint(one["state"].ljust(7), _COLOURS[one["state"]])
        output.say(f"{one['spec'].ljust(longest)}  {state}  {told}".rstrip())
    for line in _sentences(left) if left else ():
        output.say(line)


def _paths(specs: Sequence[str] | None) -> list[Path]:
    """The specs that are meant; none if only what is left of them is there."""
    from saespec.cli.specs import paths
    from saespec.errors import CallError
    from saespec.plan.orphans import lost_scratch_runs, results_folders
    from saespec.plan.project import project_around

    try:
        return paths(specs)
    except CallError:
        root = project_around()
        if specs or not (
            lost_scratch_runs(root) or any(one.state == "gone" for one in results_folders(root))
        ):
            raise
        return []


def _left(known: dict[Path, Sequence[Cell]]) -> Leftovers:
    from saespec.engine.leftovers import Leftovers, leftovers
    from saespec.errors import CallError
    from saespec.plan.project import project_around

    root = project_around()
    try:
        left = leftovers(root, known)
    except CallError as error:  # of git; how the specs stand is known all the same
        return Leftovers(unknown=[str(error)])
    if left.outside:  # what others need of it is not known here
        left.store.clear()
        left.unknown.clear()
    return left


def _orphans(left: Leftovers) -> dict[str, Any]:
    return {
        "results": [str(item.path) for item in left.results],
        "in_git": [str(one.folder) for one in left.in_git],
        "scratch": [str(item.path) for item in left.scratch],
        "store": dict(Counter(item.kind for item in left.store)),
        "bytes": sum(item.bytes for item in left.items),
        "unknown": left.unknown,
    }


def _sentences(left: Leftovers) -> list[str]:
    from saespec.cli import output
    from saespec.plan.project import project_around

    from . import clean

    told = []
    if items := left.items:
        parts = [clean.names([*left.results, *left.scratch], project_around())] * bool(
            left.results + left.scratch
        )
        parts += [f"{clean.counts(left.store)} in the store"] * bool(left.store)
        remedy = f"`saespec clean` removes {'it' if len(items) == 1 else 'them'}"
        if left.scratch:
            remedy += ", scratch runs with --scratch"
        size = output.size(sum(item.bytes for item in items))
        told.append(f"{output.count(len(items), 'orphan')}: {', '.join(parts)}; {remedy} ({size})")
    return [*told, *clean.in_git(left), *clean.unknown(left)]


def _status(path: Path, known: dict[Path, Sequence[Cell]]) -> dict[str, Any]:
    from saespec.cli import output, verdicts
    from saespec.cli.specs import checked, shown, target
    from saespec.errors import CallError, DamagedFileError, SpecError
    from saespec.plan.project import find_root, spec_name
    from saespec.results import diverged

    entry: dict[str, Any] = {"spec": spec_name(path) or path.stem, "path": str(shown(path))}
    entry |= {"state": "invalid", "detail": "", "claims": 0, "claims_that_hold": 0, "diverged": []}
    try:
        made = target(checked(path))
        known[path] = made.plan.cells
        folder = find_root(path) / made.plan.folder
        entry["state"], entry["detail"] = _state(made.plan, made.root, folder)
        found = verdicts.read(folder)
        entry["claims"] = len(found)
        entry["claims_that_hold"] = sum(verdict["holds"] is True for verdict in found.values())
        entry["diverged"] = [one.cell for one in diverged.read(folder)]
    except SpecError as error:
        entry["detail"] = f"{output.count(len(error.problems), 'problem')}: saespec validate {shown(path)}"
    except CallError as error:
        entry["detail"] = str(error)
    except DamagedFileError as error:
        entry |= {"state": "damaged", "detail": str(error)}
    return entry


def _state(plan: Any, root: Path, folder: Path) -> tuple[str, str]:
    from saespec.plan import planfile
    from saespec.plan.freshness import freshness
    from saespec.results import document
    from saespec.results.parquet import verified

    states = freshness(plan, root)
    tables = sorted(folder.glob("tables/*.parquet"))
    if not tables:
        return "missing", "not run yet"
    planfile.read(folder / "plan.json")
    for path in tables:
        verified(path)
    for path in (folder / "figures" / f"{name}.vl.json" for name in plan.spec.figures):
        if path.exists():  # if not, the figures are stale
            document.read(path, document.CHART)
    stale = [state for state in states if state.state in ("stale", "restored")]
    if not stale:
        return "fresh", ""
    reasons = list(dict.fromkeys(f"{state.stage.name}: {state.reasons[0]}" for state in stale))
    more = f" and {len(reasons) - 2} more" if len(reasons) > 2 else ""
    return "stale", "; ".join(reasons[:2]) + more
