"""What sets two lists of cells apart, on resolved values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from saespec.spec.language.fields import flat

from .identity import canonical_json
from .model import Cell

_SHOWN = 6


@dataclass(frozen=True)
class Change:
    """The same point of the sweep with other values of fields that the sweep does not set."""

    before: Cell
    after: Cell
    fields: dict[str, tuple[Any, Any]]
    """Dotted path → value before and after; None where there was, or is, no such field.

    Empty if the configurations are equal: then the numerics version is another.
    """


@dataclass(frozen=True)
class Diff:
    """Cells only in the second list, only in the first, changed, and in both."""

    added: tuple[Cell, ...]
    removed: tuple[Cell, ...]
    changed: tuple[Change, ...]
    kept: tuple[Cell, ...]
    renamed: tuple[tuple[Cell, Cell], ...] = ()
    """Those of the changed and the kept, before and after, whose case has another name."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.renamed)


def diff(a: Sequence[Cell], b: Sequence[Cell]) -> Diff:
    """Compare two lists of cells. Cells with different ids but equal swept values count as changed."""
    before, after = {cell.id: cell for cell in a}, {cell.id: cell for cell in b}
    kept = tuple(cell for cell in b if cell.id in before)
    gone = [cell for cell in a if cell.id not in after]
    new = [cell for cell in b if cell.id not in before]
    points = _by_point(gone)
    changed = []
    for cell in new:
        old = points.pop(canonical_json(cell.swept), None)
        if old is not None:
            changed.append(Change(old, cell, changed_fields(old, cell)))
    both = [*((before[cell.id], cell) for cell in kept), *((c.before, c.after) for c in changed)]
    taken = {c.after.id for c in changed} | {c.before.id for c in changed}
    return Diff(
        added=tuple(cell for cell in new if cell.id not in taken),
        removed=tuple(cell for cell in gone if cell.id not in taken),
        changed=tuple(changed),
        kept=kept,
        renamed=tuple((old, new) for old, new in both if old.case != new.case),
    )


def changed_fields(a: Cell, b: Cell) -> dict[str, tuple[Any, Any]]:
    """Return the fields whose values differ between two cells, by dotted path."""
    before, after = flat(a.config), flat(b.config)
    paths = dict.fromkeys([*before, *after])
    return {p: (before.get(p), after.get(p)) for p in paths if before.get(p) != after.get(p)}


def describe(found: Diff, among: Callable[[Cell], bool] | None = None) -> list[str]:
    """Say in a few lines what a diff holds, such as `+9 cells: loss.sparsity.coefficient 0.12`.

    `among` picks the cells to train to speak of: what is new about them is told against all the others, and
    nothing of renamed cases, which train nothing.
    """
    renamed = [] if among else _renamed(found.renamed)
    among = among or (lambda cell: True)
    changed = [change for change in found.changed if among(change.after)]
    lines = [*_changes(changed), *renamed]
    old = [*found.kept, *found.removed, *(change.before for change in found.changed)]
    current = [*found.kept, *found.added, *(change.after for change in found.changed)]
    added, removed = [c for c in found.added if among(c)], [c for c in found.removed if among(c)]
    return [*lines, *_came(added, old, "+"), *_came(removed, current, "-")]


def _by_point(cells: Iterable[Cell]) -> dict[str, Cell]:
    points = [(canonical_json(cell.swept), cell) for cell in cells]
    count = Counter(point for point, _ in points)
    return {point: cell for point, cell in points if count[point] == 1}


def _changes(changed: Sequence[Change]) -> list[str]:
    counts = Counter(
        f"{path} {_show(old)} → {_show(new)}" for c in changed for path, (old, new) in c.fields.items()
    )
    lines = [line if n == len(changed) else f"{line} ({_cells(n)})" for line, n in counts.items()]
    if same := sum(not change.fields for change in changed):
        lines.append(f"{_cells(same)} anew: this saespec computes the same settings differently")
    return _cut(lines)


def _renamed(pairs: Sequence[tuple[Cell, Cell]]) -> list[str]:
    counts = Counter((old.case, new.case) for old, new in pairs)
    return _cut([f"case {_show(old)} → {_show(new)} ({_cells(n)})" for (old, new), n in counts.items()])


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return lines if more <= 0 else [*lines[:_SHOWN], f"and {more} more changes"]


def _came(cells: Sequence[Cell], others: Sequence[Cell], sign: str) -> list[str]:
    if not cells:
        return []
    known: dict[str, set[str]] = {}
    for cell in others:
        for path, value in _told(cell).items():
            known.setdefault(path, set()).add(_show(value))
    values: dict[str, dict[str, None]] = {}
    for cell in cells:
        for path, value in _told(cell).items():
            values.setdefault(path, {})[_show(value)] = None
    news = {path: [v for v in vs if v not in known.get(path, ())] for path, vs in values.items()}
    if not any(news.values()) and len(cells) == 1:
        news = {path: list(vs) for path, vs in values.items()}
    told = ", ".join(f"{path} {_list(vs)}" for path, vs in news.items() if vs)
    return [f"{sign}{_cells(len(cells))}" + (f": {told}" if told else "")]


def _told(cell: Cell) -> dict[str, Any]:
    return {"case": cell.case, **cell.swept} if cell.case else cell.swept


def _list(values: Sequence[str]) -> str:
    shown = ", ".join(values[:_SHOWN])
    return shown if len(values) <= _SHOWN else f"{shown}, … ({len(values)} values)"


def _cells(count: int) -> str:
    return f"{count} cell" if count == 1 else f"{count} cells"


def _show(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)
