"""`saespec status`: one line a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import options

_COLOURS = {"fresh": "green", "stale": "yellow", "missing": "yellow", "damaged": "red", "invalid": "red"}


def status(specs: options.Specs = None, json: options.Json = False) -> None:
    """Show, in one line a spec, whether its results are up to date and how many claims hold.

    fresh: a run would do nothing. stale: something changed. missing: it was not run yet. damaged: a file is
    not what saespec wrote. invalid: the spec has errors.

    JSON: {ok, specs: [{spec, path, state, detail, claims, claims_that_hold}]}
    """
    from . import output
    from .specs import paths

    found = [_status(path) for path in paths(specs)]
    if json:
        output.json({"ok": True, "specs": found})
        return
    longest = max(len(one["spec"]) for one in found)
    for one in found:
        claims = ""
        if one["claims"]:
            claims = f"{one['claims_that_hold']} of {output.count(one['claims'], 'claim')} hold"
        told = "; ".join(part for part in (claims, one["detail"]) if part)
        state = output.paint(one["state"].ljust(7), _COLOURS[one["state"]])
        output.say(f"{one['spec'].ljust(longest)}  {state}  {told}".rstrip())


def _status(path: Path) -> dict[str, Any]:
    from saespec.errors import CallError, DamagedFileError, SpecError
    from saespec.plan.project import find_root, spec_name

    from . import output, verdicts
    from .specs import checked, shown, target

    entry: dict[str, Any] = {"spec": spec_name(path) or path.stem, "path": str(shown(path))}
    entry |= {"state": "invalid", "detail": "", "claims": 0, "claims_that_hold": 0}
    try:
        made = target(checked(path))
        folder = find_root(path) / made.plan.folder
        entry["state"], entry["detail"] = _state(made.plan, made.root, folder)
        found = verdicts.read(folder)
        entry["claims"] = len(found)
        entry["claims_that_hold"] = sum(verdict["holds"] is True for verdict in found.values())
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
