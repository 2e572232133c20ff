"""`plan.json`: the plan as the stages read it back.

The resolved spec, and for each cell what the sweep sets; a cell's configuration is rebuilt from the two.
One cell a line, so that git shows which cells come and go. `fingerprints` is what DVC follows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from saespec.errors import DamagedFileError, reason
from saespec.spec.spec import Spec

from . import identity
from .cells import applier, base_config
from .identity import cell_id
from .model import Cell, Group, Plan

FORMAT = 1


@dataclass(frozen=True)
class PlanFile:
    """A plan read from disk. Cells are rebuilt when asked for."""

    path: Path
    spec: Spec
    sources: tuple[str, ...]
    """The spec file and the files it extends, relative to the project root."""
    numerics: int
    fingerprints: Mapping[str, str]
    """Stage → SHA-256 of the slice of the plan that it reads."""
    entries: tuple[Mapping[str, Any], ...]
    """A cell each, in order: `id`, `group`, `case` if cases have names, and `set`, what the sweep sets."""

    @property
    def source(self) -> str:
        """The spec file, relative to the project root."""
        return self.sources[0]

    @property
    def measures_sha(self) -> str:
        """SHA-256 of all that the tables depend on: cells, measures and columns.

        Titles, figures and claims are not in it, so that a table says the same whether or not a
        figure was edited since.
        """
        return self.fingerprints["measure"]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell, in the sweep's order.

        Raises DamagedFileError if this saespec gives them other ids: then it would compute something else than
        what the plan says.
        """
        return self._verified(self.entries)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Every group, in order; cells in the sweep's order."""
        members: dict[str, list[Cell]] = {}
        for entry, cell in zip(self.entries, self.cells, strict=True):
            members.setdefault(entry["group"], []).append(cell)
        return tuple(Group(name, tuple(cells)) for name, cells in members.items())

    def unverified_cells(self) -> tuple[Cell, ...]:
        """Every cell as the plan has it, also one that another saespec wrote: to compare, not to compute.

        Raises ValueError if a cell is no longer a valid one.
        """
        return self._rebuilt(self.entries)

    def _verified(self, entries: tuple[Mapping[str, Any], ...]) -> tuple[Cell, ...]:
        cells = self._rebuilt(entries)
        if any(cell.id != cell_id(cell.config) for cell in cells):
            raise DamagedFileError(
                self.path, "was written by another version of saespec", _remedy(self.source)
            )
        return cells

    def _rebuilt(self, entries: tuple[Mapping[str, Any], ...]) -> tuple[Cell, ...]:
        cell_at = applier(base_config(self.spec))
        return tuple(Cell(e["id"], cell_at(e["set"]), e["set"], e.get("case")) for e in entries)


def dump(plan: Plan) -> bytes:
    """Return the text of `plan.json`: the same plan gives the same bytes."""
    entries = [
        {"id": cell.id, "group": group} | ({"case": cell.case} if cell.case else {}) | {"set": cell.swept}
        for cell, group in zip(plan.cells, _group_of(plan), strict=True)
    ]
    content = {
        "saespec_plan": FORMAT,
        "sources": [str(source) for source in plan.sources],
        "numerics": identity.NUMERICS,
        "fingerprints": {s.name: s.fingerprint for s in plan.stages if s.fingerprint is not None},
        # Not canonical: the order of figures, claims and sweep axes means something.
        # Defaults stay out, as they must for the sweep to apply to the same base again.
        "spec": plan.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }
    lines = [f"{json.dumps(key)}: {_text(value)}" for key, value in content.items()]
    cells = ",\n".join(_text(entry) for entry in entries)
    body = ",\n".join([*lines, f'"cells": [\n{cells}\n]'])
    return f'{{\n{body},\n"sha256": "{identity.sha256_hex(body)}"\n}}\n'.encode()


def read(path: Path) -> PlanFile:
    """Read `plan.json`. Raises DamagedFileError if it is missing, altered or of another version."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedFileError(path, f"cannot be read ({reason(error)})", _remedy(path.parent.name)) from None
    try:
        content = json.loads(text)
        sources, version = tuple(content["sources"]), content["saespec_plan"]
        source = sources[0]
        body, _, _ = text.removeprefix("{\n").rpartition(',\n"sha256": ')
        intact = identity.sha256_hex(body) == content["sha256"]
    except (ValueError, LookupError, TypeError):
        raise DamagedFileError(path, "is not a whole plan", _remedy(path.parent.name)) from None
    if version != FORMAT:
        raise DamagedFileError(path, f"is a plan of format {version}, not {FORMAT}", _remedy(source))
    if not intact:
        raise DamagedFileError(path, "was altered after it was written", _remedy(source))
    try:
        spec = Spec.model_validate(content["spec"])
    except ValidationError:
        what = "was written by a saespec with another spec language"
        raise DamagedFileError(path, what, _remedy(source)) from None
    return PlanFile(
        path=path,
        spec=spec,
        sources=sources,
        numerics=content["numerics"],
        fingerprints=content["fingerprints"],
        entries=tuple(content["cells"]),
    )


def _group_of(plan: Plan) -> list[str]:
    names = {id(cell): group.name for group in plan.groups for cell in group.cells}
    return [names[id(cell)] for cell in plan.cells]


def _remedy(source: str) -> str:
    return f"Run `saespec run {source}`."


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
