from __future__ import annotations

import json
from pathlib import Path

import pytest
from clean_sample import TRANSFORMER
from plan_sample import make, planned

from saespec.data.activations import store
from saespec.plan import identity, needed, planfile
from saespec.plan.inputs import extractions, trained_models
from saespec.plan.model import Plan
from saespec.plan.needed import Needs


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return planned(make(tmp_path, text=TRANSFORMER), tmp_path)


def test_cells_need_their_models_and_the_sites_that_they_read(plan: Plan) -> None:
    needs = Needs()
    needs.add_cells(plan.cells[:1])
    (extraction,) = extractions(plan.cells)
    assert needs.cells == {plan.cells[0].id}
    assert needs.models == set(trained_models(plan.cells))
    assert needs.site(extraction.id, "0.mlp_hidden")
    assert not needs.site(extraction.id, "1.mlp_hidden")
    needs.add_cells(plan.cells[1:])
    assert needs.site(extraction.id, "1.mlp_hidden")


def test_a_plan_on_disk_needs_the_same(plan: Plan) -> None:
    of_cells, of_plan = Needs(), Needs()
    of_cells.add_cells(plan.cells)
    of_plan.add_plan(planfile.dump(plan))
    assert of_plan == of_cells


def test_a_plan_of_another_saespec_needs_what_it_names(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ids stand as they are; which sites its extraction had nobody can tell, so all are needed."""
    text = planfile.dump(plan)
    ids = {cell.id for cell in plan.cells}
    (extraction,), models = extractions(plan.cells), set(trained_models(plan.cells))
    monkeypatch.setattr(identity, "INPUTS", identity.INPUTS + 1)
    monkeypatch.setattr(identity, "NUMERICS", identity.NUMERICS + 1)
    for one in (text, text.replace(b'"measure":', b'"of_the_future":')):
        needs = Needs()
        needs.add_plan(one)
        assert (needs.cells, needs.models) == (ids, models)
        assert needs.site(extraction.id, "anything")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"cells": [1], "fingerprints": {}})])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a plan"):
        Needs().add_plan(text)


def test_parts_are_those_of_the_activation_store() -> None:
    assert set(store.PARTS) == needed.PARTS
