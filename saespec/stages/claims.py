"""`saespec stage claims`: a verdict on each claim, from the tables."""

from __future__ import annotations

from pathlib import Path

from saespec.figures import claims as verdicts
from saespec.plan import planfile
from saespec.plan.stages import claims_hash
from saespec.results import diverged
from saespec.results.atomic import write_bytes
from saespec.results.views import spec_connection
from saespec.spec.spec import Spec

from .tables import made_by, tables_of


def claims(plan_path: Path) -> None:
    """Judge every claim of the plan's spec: `claims.json`."""
    found = judge_claims(planfile.read(plan_path).spec, plan_path.parent)
    write_bytes(plan_path.parent / "claims.json", found)


def judge_claims(spec: Spec, folder: Path) -> bytes:
    """Judge a spec's claims by the tables in its results folder; return what is `claims.json`."""
    tables, left_out = diverged.left_out(tables_of(spec, folder))
    found = verdicts.check(spec.claims, spec_connection(tables, spec.name, spec.queries), left_out)
    return verdicts.to_json(found, {**made_by(tables), "claims_hash": claims_hash(spec)})
