"""What a train stage says that it did, also when it is stopped and continued."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_sample import SPEC

from saespec.plan import planfile
from saespec.plan.build import plan as build
from saespec.results import parquet, schema
from saespec.results.speed import measured_speed
from saespec.sae.spread import Interrupted
from saespec.spec.language.load import load
from saespec.stages.train import train

STEPS = 50


@pytest.fixture
def plan_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "specs/tiny.yaml"
    spec.parent.mkdir()
    spec.write_text(SPEC)
    plan = build(load(spec, root=tmp_path), tmp_path)
    path = tmp_path / plan.folder / "plan.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(planfile.dump(plan))
    return path


def after(steps: int) -> Callable[[], bool]:
    left = iter(range(steps - 1))
    return lambda: next(left, None) is None


def test_every_step_is_in_runs_once_and_no_row_is_without_steps(plan_path: Path) -> None:
    """A cell that was at its end when it was stopped has nothing left to do but to be stored."""
    done: list[int] = []
    for steps in (20, STEPS - 20):
        with pytest.raises(Interrupted):
            train(plan_path, "d8-b32", stop=after(steps), trained=done.append)
    assert done == []
    train(plan_path, "d8-b32", trained=done.append)
    assert done == [2]
    rows = parquet.read(plan_path.parent / "runs.parquet").to_pylist()
    cells = planfile.read(plan_path).cells
    assert [(row["cell"], row["steps"]) for row in rows] == [
        (cell.id, steps) for steps in (20, 30) for cell in cells
    ]
    assert all(row["steps_per_second"] == 2 * row["steps"] / row["seconds"] for row in rows)
    train(plan_path, "d8-b32", trained=done.append)
    assert done == [2], "all are in the store"
    assert parquet.read(plan_path.parent / "runs.parquet").num_rows == 4


def test_a_row_without_steps_does_not_slow_the_estimate(plan_path: Path) -> None:
    """An older saespec wrote such rows."""
    train(plan_path, "d8-b32")
    folder = plan_path.parent
    before = measured_speed([folder.parents[1]])
    rows = parquet.read(folder / "runs.parquet").to_pylist()
    idle = {**rows[0], "started": "later", "steps": 0, "seconds": 100.0, "benchmark_seconds": 0.0}
    parquet.write(folder / "runs.parquet", "runs", schema.RUNS, [*rows, idle], {})
    assert measured_speed([folder.parents[1]]) == before != 1.0
