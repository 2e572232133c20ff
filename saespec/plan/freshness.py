"""Which stages would run, and why: from `dvc.lock`, the files on disk, and the plan that is there.

DVC's own `repro --dry` is wrong after a changed parameter, so this compares what it would compare: command,
fingerprint, dependencies and outputs. The tests hold it against what `dvc repro` then does.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from saespec.errors import DamagedFileError
from saespec.spec.base import Strict
from saespec.spec.report import queries_read
from saespec.spec.spec import Spec

from . import planfile
from .diff import Diff, describe, diff
from .groups import batch_name
from .hashing import Hashes, in_cache
from .model import Cell, Plan, Stage
from .planfile import PlanFile
from .project import store_folder, stored_cell
from .stages import labels_read

_WRITTEN_WITHIN = 1.0
"""Seconds that DVC may take to write a `dvc.lock`."""

State = Literal["fresh", "restored", "stale", "waiting"]

UNCHANGED: tuple[State, ...] = ("fresh", "restored")
"""States in which a stage does not run, and leaves its outputs as they were."""


@dataclass(frozen=True)
class StageState:
    """Whether a stage would run."""

    stage: Stage
    state: State
    """fresh: it would not. restored: nor would it, DVC puts its outputs back from its cache. stale: it would.
    waiting: it would if what it depends on comes out different."""
    reasons: tuple[str, ...]
    """Why it is not fresh, for people."""
    new_cells: int = 0
    """Cells of a train stage that the last plan did not have."""
    done_cells: int = 0
    """Cells of a train stage that are finished in the store."""


def freshness(plan: Plan, root: Path, store: Path | None = None) -> list[StageState]:
    """Return the state of every stage of a plan, in the plan's order.

    `store` is where finished cells are counted, if not in the project's own store.
    Raises DamagedFileError if `dvc.lock` cannot be read.
    """
    lock = read_lock(root / plan.folder / "dvc.lock")
    hashes = Hashes(root, plan.spec.name)
    judge = _Judge(plan, root, lock, hashes, store or store_folder(root))
    for stage in plan.stages:
        judge.add(stage)
    hashes.save()
    return list(judge.states.values())


class _Judge:
    """Judges one stage after the other, upstream first."""

    def __init__(self, plan: Plan, root: Path, lock: Mapping[str, Any], hashes: Hashes, store: Path) -> None:
        self.plan, self.root, self.lock, self.hashes = plan, root, lock, hashes
        self.why = _Why(plan, root)
        self.store = store
        self.states: dict[str, StageState] = {}
        self.makers = {str(out.path): stage.name for stage in plan.stages for out in stage.outs}

    def add(self, stage: Stage) -> None:
        entry = self.lock.get(stage.name)
        cached = False
        if entry is None:
            reasons = self.why.never_run(stage)
        else:
            reasons = [*self._called(stage, entry), *self._dependencies(stage, entry)]
            changed = bool(reasons)
            reasons += self._outputs(stage, entry, explained=changed)
            cached = not changed and self._in_cache(stage, entry)
            reasons += [
                f"{mark} is no longer in the store"
                for mark in stage.marks
                if not (self.store / mark).exists()
            ]
        upstream = [name for name in self._makers_of(stage) if self.states[name].state not in UNCHANGED]
        state: State = "stale" if reasons else "waiting" if upstream else "fresh"
        if reasons and cached and not upstream:
            state = "restored"
        if state == "waiting":
            reasons = [f"waits for {', '.join(upstream)}"]
        cells = stage.cells
        self.states[stage.name] = StageState(
            stage=stage,
            state=state,
            reasons=tuple(reasons),
            new_cells=sum(self.why.is_new(cell) for cell in cells),
            done_cells=sum(stored_cell(self.store, cell.id).exists() for cell in cells),
        )

    def _makers_of(self, stage: Stage) -> list[str]:
        return list(dict.fromkeys(self.makers[p] for p in map(str, stage.deps) if p in self.makers))

    def _called(self, stage: Stage, entry: Mapping[str, Any]) -> list[str]:
        if stage.fingerprint is None:
            return [] if entry.get("cmd") == stage.command else ["made by another version of saespec"]
        ran_with = entry.get("params", {}).get(str(self.plan.folder / "plan.json"), {})
        before = ran_with.get(f"fingerprints.{stage.name}")
        reasons = [] if before == stage.fingerprint else self.why.changed(stage, before)
        return reasons if entry.get("cmd") == stage.command else [*reasons, "its command changed"]

    def _dependencies(self, stage: Stage, entry: Mapping[str, Any]) -> list[str]:
        recorded = _recorded(entry, "deps")
        reasons = []
        for path in map(str, stage.deps):
            maker = self.makers.get(path)
            if maker is None:
                now = self.hashes.of(path)
            elif self.states[maker].state in UNCHANGED:
                now = _recorded(self.lock[maker], "outs").get(path)
            else:
                continue
            if now != recorded.get(path):
                reasons.append(f"{path} changed")
        return reasons

    def _outputs(self, stage: Stage, entry: Mapping[str, Any], explained: bool) -> list[str]:
        """`explained`: there are other reasons, so that outputs which the stage never had go without saying."""
        recorded = _recorded(entry, "outs")
        reasons = []
        for out in stage.outs:
            path = str(out.path)
            now = self.hashes.of(path)
            if explained and path not in recorded:
                continue
            if now is None:
                reasons.append(f"{path} is missing")
            elif now != recorded.get(path):
                reasons.append(f"{path} was altered")
            elif out.cached and not in_cache(self.root, now):
                reasons.append(f"{path} is no longer in DVC's cache")
        return reasons

    def _in_cache(self, stage: Stage, entry: Mapping[str, Any]) -> bool:
        """Whether DVC's cache holds every output as it was: where the inputs are the same, it takes them from there."""
        recorded = _recorded(entry, "outs")
        hashes = [recorded.get(str(out.path)) if out.cached else None for out in stage.outs]
        return all(md5 is not None and in_cache(self.root, md5) for md5 in hashes)


class _Why:
    """Tells changes in the user's terms, by comparing the plan on disk with the new one."""

    def __init__(self, plan: Plan, root: Path) -> None:
        self.plan = plan
        self.old: PlanFile | None = None
        with contextlib.suppress(DamagedFileError):
            self.old = planfile.read(root / plan.folder / "plan.json")
        self.known = {entry["id"] for entry in self.old.entries} if self.old else set()

    def is_new(self, cell: Cell) -> bool:
        return cell.id not in self.known

    def never_run(self, stage: Stage) -> list[str]:
        told = self._cells(stage) if self.old and stage.kind == "train" and self._is_new_stage(stage) else []
        return told or ["has not run yet"]

    def _is_new_stage(self, stage: Stage) -> bool:
        """Whether the last plan had no such train stage; it had one that did not run otherwise."""
        before = [*self._diff.kept, *self._diff.removed, *(change.before for change in self._diff.changed)]
        return not any(map(_trained_by(stage), before))

    def changed(self, stage: Stage, before: str | None) -> list[str]:
        old = self.old
        if old is None or old.fingerprints.get(stage.name) != before:
            return ["the plan changed since it ran"]
        if stage.kind == "train":
            return self._cells(stage) or ["the order of its cells changed"]
        if stage.kind == "extract":
            return ["its sites changed"]
        new = self.plan.spec
        if stage.kind == "figures":
            told = _items("figure", old.spec.figures, new.figures)
            told += [
                *_items("label", *(labels_read(s, s.figures) for s in (old.spec, new))),
                *_queries(old.spec, new, stage.kind),
            ]
        elif stage.kind == "claims":
            told = [*_items("claim", old.spec.claims, new.claims), *_queries(old.spec, new, stage.kind)]
        else:
            measures: list[dict[str, Strict | str]] = [
                {m.kind: m for m in s.measure} for s in (old.spec, new)
            ]
            told = [*self._cells(stage), *_items("measure", *measures)]
        return told or ["their order, or what this saespec makes of them, changed"]

    def _cells(self, stage: Stage) -> list[str]:
        return describe(self._diff, _trained_by(stage) if stage.groups else None)

    @cached_property
    def _diff(self) -> Diff:
        assert self.old is not None
        try:
            return diff(self.old.unverified_cells(), self.plan.cells)
        except ValueError:  # cells that this spec language no longer takes: all that can be said is "new"
            return Diff(self.plan.cells, (), (), ())


def _trained_by(stage: Stage) -> Callable[[Cell], bool]:
    """Whether a cell, of this plan or another, is one for this train stage."""
    batch = batch_name(stage.cells[0].config)
    return lambda cell: batch_name(cell.config) == batch


def _queries(old: Spec, new: Spec, kind: str) -> list[str]:
    """What became of the queries that figures or claims read."""
    read = [
        queries_read(spec.queries, (one.sql for one in getattr(spec, kind).values())) for spec in (old, new)
    ]
    return _items("query", *read)


def _items(word: str, old: Mapping[str, Strict | str], new: Mapping[str, Strict | str]) -> list[str]:
    added = [f"{word} {name} added" for name in new if name not in old]
    removed = [f"{word} {name} removed" for name in old if name not in new]
    changed = [f"{word} {name} changed" for name in new if name in old and new[name] != old[name]]
    return [*changed, *added, *removed]


def _recorded(entry: Mapping[str, Any], kind: str) -> dict[str, str | None]:
    return {item["path"]: item.get("md5") for item in entry.get(kind, [])}


def read_lock(path: Path) -> Mapping[str, Any]:
    """Return the stages of a `dvc.lock`, none without one; DamagedFileError if DVC could not read it.

    DVC writes it in place: one that is not whole and was written just now is given time.
    """
    while True:
        try:
            text, changed = path.read_text(encoding="utf-8"), path.stat().st_mtime
        except FileNotFoundError:
            return {}
        stages = _stages(text)
        if stages is not None:
            return stages
        if not 0 <= time.time() - changed < _WRITTEN_WITHIN:
            what = "is cut short, or holds the marks of a merge"
            raise DamagedFileError(path, what, "Delete it: the next run writes it again.")
        time.sleep(_WRITTEN_WITHIN / 10)


def _stages(text: str) -> Mapping[str, Any] | None:
    """The stages in the text of a `dvc.lock`; None if it is not whole."""
    try:
        content = YAML(typ="safe").load(text)
        stages: Mapping[str, Any] = content["stages"]
        whole = content["schema"] == "2.0" and all(map(_is_entry, stages.values()))
    except (YAMLError, KeyError, AttributeError, TypeError):
        return None
    return stages if whole else None


def _is_entry(entry: Mapping[str, Any]) -> bool:
    """Whether DVC would take it; a file that is cut short may still be YAML."""
    items = [*entry.get("deps", []), *entry.get("outs", [])]
    return (
        isinstance(entry["cmd"], str)
        and all(map(_is_item, items))
        and all(isinstance(values, dict) for values in entry.get("params", {}).values())
    )


def _is_item(item: Mapping[str, Any]) -> bool:
    return (
        isinstance(item["path"], str)
        and item.get("hash", "md5") == "md5"
        and re.fullmatch(r"[0-9a-f]{32}(\.dir)?", item.get("md5", "0" * 32)) is not None
        and all(isinstance(item.get(key, 0), int) for key in ("size", "nfiles"))
    )


__all__ = ["UNCHANGED", "StageState", "State", "freshness", "read_lock"]
