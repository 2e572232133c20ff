from __future__ import annotations

from pathlib import Path

import pytest
from plan_sample import make, planned

from saespec.plan.cost import cell_flops, cost


def test_flops_are_ten_products_of_batch_dimensions_latents_and_steps(tmp_path: Path) -> None:
    plan = planned(make(tmp_path), tmp_path)
    assert cell_flops(plan.cells[0].config) == 10 * 4 * 8 * 8 * 10


def test_groups_add_up(tmp_path: Path) -> None:
    found = cost(planned(make(tmp_path), tmp_path), rate=1e6)
    small, large = found.groups.values()
    assert found.total.cells == 4
    assert found.total.flops == small.flops + large.flops == 2 * 10 * 4 * 8 * 10 * (8 + 16)
    assert found.total.seconds == pytest.approx(found.total.flops / 1e6)
    assert found.total.memory_bytes == large.memory_bytes + small.memory_bytes
    assert found.total.disk_bytes == small.disk_bytes + large.disk_bytes
    assert small.disk_bytes == 2 * (2 * 8 * 8 + 8) * 4 * 2


def test_finished_cells_cost_nothing(tmp_path: Path) -> None:
    plan = planned(make(tmp_path), tmp_path)
    found = cost(plan, done=[cell.id for cell in plan.groups[0].cells])
    assert found.groups[plan.groups[0].name].seconds == 0
    assert found.total.cells == 2
    assert cost(plan, done=[cell.id for cell in plan.cells]).total.memory_bytes == 0
