"""Figures and claims of a spec as it is now, from the tables that are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from saespec.errors import StageError

from .specs import Target, shown

if TYPE_CHECKING:
    from .verdicts import Verdicts


def drawn(target: Target) -> list[Path]:
    """Draw every figure; return the PNGs."""
    from saespec.stages.figures import draw_figures

    return draw_figures(target.plan.spec, _folder(target))


def judged(target: Target) -> Verdicts:
    """Judge every claim, without writing the verdicts down."""
    import json

    from saespec.stages.claims import judge_claims

    verdicts: dict[str, Any] = json.loads(judge_claims(target.plan.spec, _folder(target)))["claims"]
    return {name: verdicts[name] for name in target.plan.spec.claims}


def outdated(target: Target) -> str:
    """Return a warning if the tables are not what the spec as it is now would give, else nothing."""
    from saespec.results import parquet

    made_for = parquet.footer(parquet.read(_folder(target) / "tables" / "cells.parquet"))["saespec.spec_hash"]
    measure = next(stage for stage in target.plan.stages if stage.kind == "measure")
    if made_for == measure.fingerprint:
        return ""
    source = target.plan.sources[0]
    return f"{source} changed since its tables were made; `saespec run {source}` brings them up to date"


def _folder(target: Target) -> Path:
    folder = target.root / target.plan.folder
    if not (folder / "tables" / "cells.parquet").exists():
        source = target.plan.sources[0]
        raise StageError(
            f"{target.plan.spec.name} has no results in {shown(folder)}: run `saespec run {source}`"
        )
    return folder
