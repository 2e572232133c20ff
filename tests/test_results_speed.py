from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from saespec.results import parquet, schema
from saespec.results.speed import measured_speed


def ran(root: Path, seconds: float, expected: float, spec: str = "a", rows: int = 2, **other: Any) -> None:
    """Write what a round of training left: a row for each of its cells."""
    path = root / "results" / spec / "runs.parquet"
    before = parquet.read(path).to_pylist() if path.exists() else []
    row = {
        "spec": spec,
        "stage": "train-d8-b32",
        "started": f"{len(before)}",
        "seconds": seconds,
        "steps": 50,
        "benchmark_seconds": expected,
        "device": "cpu",
        "host": platform.node(),
        **other,
    }
    parquet.write(path, "runs", schema.RUNS, [*before, *({**row, "cell": str(i)} for i in range(rows))], {})


def test_without_runs_a_machine_is_the_benchmark_machine(tmp_path: Path) -> None:
    assert measured_speed([tmp_path]) == 1.0


@pytest.mark.parametrize("speed", [0.2, 0.5, 2.0, 5.0])
def test_one_long_run_of_another_speed_teaches(tmp_path: Path, speed: float) -> None:
    ran(tmp_path, 60 * speed, 60)
    assert measured_speed([tmp_path]) == pytest.approx(speed, rel=0.3)


def test_a_short_run_teaches_little(tmp_path: Path) -> None:
    ran(tmp_path, 0.3, 0.03)
    assert 1.0 < measured_speed([tmp_path]) < 1.3


def test_runs_of_other_specs_and_projects_teach(tmp_path: Path) -> None:
    ran(tmp_path / "one", 400, 200, spec="a")
    ran(tmp_path / "two", 400, 200, spec="b")
    assert measured_speed([tmp_path / "two"]) == pytest.approx(2, rel=0.02)
    assert measured_speed([tmp_path / "one", tmp_path / "two"]) == pytest.approx(2, rel=0.01)


def test_one_disturbed_run_among_three_does_not_count(tmp_path: Path) -> None:
    for spec, seconds in (("a", 100), ("b", 104), ("c", 190)):
        ran(tmp_path, seconds, 100, spec=spec)
    assert measured_speed([tmp_path]) == pytest.approx(1.04, rel=0.01)


def test_a_round_counts_once_however_many_cells_it_had(tmp_path: Path) -> None:
    ran(tmp_path, 100, 100, rows=1)
    ran(tmp_path, 110, 55, rows=1)
    few = measured_speed([tmp_path])
    (tmp_path / "results/a/runs.parquet").unlink()
    ran(tmp_path, 100, 100, rows=50)
    ran(tmp_path, 110, 55, rows=1)
    assert measured_speed([tmp_path]) == few == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("other", [{"device": "cuda"}, {"host": "elsewhere"}, {"benchmark_seconds": None}])
def test_runs_on_gpus_or_other_hosts_or_without_an_estimate_teach_nothing(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    ran(tmp_path, 1000, 10, **other)
    assert measured_speed([tmp_path]) == 1.0
    ran(tmp_path, 200, 100)
    assert measured_speed([tmp_path]) == pytest.approx(2, rel=0.02)


def test_damaged_and_foreign_files_are_ignored(tmp_path: Path) -> None:
    for spec in "abcdef":
        ran(tmp_path, 200, 100, spec=spec)
    files = [tmp_path / f"results/{spec}/runs.parquet" for spec in "abcdef"]
    files[0].write_bytes(b"")
    files[1].write_bytes(files[1].read_bytes()[:-9])
    files[2].write_bytes(b"not Parquet at all")
    old = tuple(column for column in schema.RUNS if column.name != "benchmark_seconds")
    parquet.write(files[3], "runs", old, [{"seconds": 1000.0, "host": platform.node(), "device": "cpu"}], {})
    files[4].unlink()
    files[4].mkdir()
    assert measured_speed([tmp_path]) == pytest.approx(2, rel=0.02)
    files[5].unlink()
    assert measured_speed([tmp_path]) == 1.0
