"""Claims and their verdicts as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from saespec.results import document

from . import output

Verdicts = Mapping[str, Mapping[str, Any]]
"""Claim → {says, source, holds, why, numbers, condition, sql}, as in `claims.json`."""

_WORDS = {True: ("holds", "green"), False: ("does not hold", "red"), None: ("undecided", "yellow")}
_WIDTH = 15


def read(folder: Path, names: Iterable[str] | None = None) -> Verdicts:
    """Return the verdicts in a results folder, those of `names` in that order; none without any.

    Raises DamagedFileError if the file is not what saespec wrote.
    """
    path = folder / "claims.json"
    if not path.exists():
        return {}
    known, _ = document.verdicts(path)
    return known if names is None else {name: known[name] for name in names if name in known}


def listed(verdicts: Verdicts) -> list[dict[str, Any]]:
    """Return verdicts for JSON: a list of {claim, says, source, holds, why, numbers, condition, sql}."""
    return [{"claim": name, **verdict} for name, verdict in verdicts.items()]


def summary(verdicts: Verdicts) -> str:
    """Return `5 of 6 claims hold`."""
    held = sum(verdict["holds"] is True for verdict in verdicts.values())
    if len(verdicts) == 1:
        return "the claim holds" if held else "the claim does not hold"
    return f"{held} of {len(verdicts)} claims hold"


def all_hold(verdicts: Verdicts) -> bool:
    """Whether every claim holds; an undecided one does not."""
    return all(verdict["holds"] is True for verdict in verdicts.values())


def table(verdicts: Verdicts) -> str:
    """Return verdict, statement and numbers of each claim, in two lines or more."""
    lines = []
    for verdict in verdicts.values():
        word, colour = _WORDS[verdict["holds"]]
        gap = " " * (_WIDTH + 2)
        statement = output.wrapped(verdict["says"], gap, gap)[len(gap) :]
        lines.append(f"  {output.paint(word.ljust(_WIDTH), colour)}{statement}")
        numbers = output.numbers(verdict["numbers"])
        told = " · ".join(
            part for part in (numbers, verdict.get("why", ""), verdict.get("condition", "")) if part
        )
        lines.append(output.paint(output.wrapped(told, gap, gap), "dim"))
    return "\n".join(lines)
