"""The benchmark of seconds to a quality runs, compares like with like, and finds what reached a goal first."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import quality, record, report
from benchmarks.trainers.quality_tasks import TASKS, points
from saespec.results import parquet

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_quality_looks_at_every_training_of_the_same_data(tmp_path: Path) -> None:
    out = tmp_path / "quality.parquet"
    arguments = (
        "--task",
        "d64-n128-sparse",
        "--length",
        "3",
        "--length",
        "30",
        "--rounds",
        "1",
        "--threads",
        "1",
    )
    trainers = ("--trainer", "saespec", "--trainer", "plain loop", "--trainer", "SAELens")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "quality", *arguments, *trainers, "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "left out: SAELens" in done.stdout
    table = parquet.read(out)
    rows = table.to_pylist()
    assert parquet.footer(table)["saespec.spec"] == "quality"
    assert len({row["data_sha256"] for row in rows}) == 1
    for trainer, recipes in (("saespec", {"own", *quality.GRID}), ("plain loop", set(quality.GRID))):
        for length in (3, 30):
            own = [row for row in rows if row["trainer"] == trainer and row["length"] == length]
            kept = recipes - {"own"} if length == 3 else recipes  # its longer one came to nothing
            assert {row["recipe"] for row in own} == kept
            for recipe in kept:
                looked = [row for row in own if row["recipe"] == recipe]
                assert [row["step"] for row in looked] == list(points(length))
                seconds = [row["seconds"] for row in looked]
                assert seconds == sorted(seconds)
                assert seconds[0] > 0
                assert all(row["mmcs_least"] <= row["mmcs"] <= row["mmcs_most"] <= 1.001 for row in looked)
    after = {(row["trainer"], row["recipe"], row["length"]): row["loss"] for row in rows}  # the last looks
    # Two libraries, one loss: it falls alike.
    assert math.isclose(after["saespec", "lr=0.01", 30], after["plain loop", "lr=0.01", 30], rel_tol=0.1)
    assert after["saespec", "lr=0.01", 30] < 0.8 * after["saespec", "lr=0.01", 3]


def looked_at(trainer: str, recipe: str, length: int, seconds: float, **values: Any) -> dict[str, Any]:
    """A row of the table: its own values, and something in every other column."""
    fill = {"string": "x", "int64": 1, "float64": 1.0, "bool": True}
    columns = (*quality.COLUMNS, *record.WHERE)
    task = {"workload": "d64-n128", "data": "sparse", "device": "cpu", "round": 0, "role": "peer"}
    own = {"trainer": trainer, "recipe": recipe, "length": length, "seconds": seconds, "step": length}
    return {column.name: fill[column.type] for column in columns} | task | own | values


ROWS = [
    looked_at("saespec", "own", 100, 1.0, role="saespec", mmcs=0.96, loss=2.0),
    looked_at("saespec", "own", 200, 2.0, role="saespec", mmcs=0.99, loss=1.0),
    looked_at("saespec", "lr=0.01", 100, 0.9, role="saespec", mmcs=0.99, loss=1.01),
    looked_at("SAELens", "own", 200, 9.0, mmcs=0.6, loss=3.0),
    looked_at("SAELens", "lr=0.01", 100, 4.0, mmcs=0.97, loss=1.5),
    looked_at("SAELens", "lr=0.001", 400, 16.0, mmcs=0.97, loss=1.015),
]


def test_the_trainings_that_reach_a_goal_first_are_repeated() -> None:
    found = quality.winners(ROWS)
    assert found["d64-n128-sparse", "saespec"] == [("own", 100), ("own", 200), ("lr=0.01", 100)]
    assert found["d64-n128-sparse", "SAELens"] == [("lr=0.01", 100), ("lr=0.001", 400)]


def test_the_table_has_the_least_seconds_of_each_recipe_beside_the_best_peer() -> None:
    again = [{**row, "round": 1, "seconds": 3 * row["seconds"]} for row in ROWS if row["recipe"] == "lr=0.01"]
    (table,) = report.unwritten(quality.COLUMNS, "quality", [*ROWS, *again]).tables("quality")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["**saespec**, best of the grid"] == (
        *("1.80", "4.4", "100 (lr=0.01, 100 steps)"),
        *("1.80", "", "100 (lr=0.01, 100 steps)"),
        *("1.80", "8.9", "100 (lr=0.01, 100 steps)"),
    )
    assert rows["**saespec**, recommended"][:3] == ("1.00", "8.0", "100 (100 steps)")
    assert rows["SAELens, as documented"] == ("not reached", "", "") * 3
    assert rows["SAELens, best of the grid"] == (
        *("8.00", "1.0", "100 (lr=0.01, 100 steps)"),
        *("not reached", "", ""),
        *("16.00", "1.0", "400 (lr=0.001, 400 steps)"),
    )


def test_a_training_is_looked_at_evenly_and_at_its_end() -> None:
    for task in TASKS.values():
        for length in task.lengths:
            assert len(points(length)) == 25
            assert points(length)[-1] == length
    assert list(points(2)) == [1, 2]
