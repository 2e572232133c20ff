"""The benchmarks run and leave readable tables; how fast anything is, no test says."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from saespec.results import parquet

ROOT = Path(__file__).parents[1]


def benchmark(*arguments: str) -> str:
    """Output of `python -m benchmarks …`."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_throughput_compares_trainers_on_the_same_data(tmp_path: Path) -> None:
    out = tmp_path / "throughput.parquet"
    said = benchmark(
        *("throughput", "--workload", "d64-n128", "--steps", "2", "--rounds", "1", "--threads", "1"),
        *("--out", str(out)),
    )
    assert "left out: SAELens" in said
    table = parquet.read(out)
    rows = {row["trainer"]: row for row in table.to_pylist()}
    assert set(rows) == {
        "saespec, as used",
        "saespec",
        "stacked bmm, fused Adam",
        "plain loop",
        "products alone",
    }
    assert len({row["data_sha256"] for row in rows.values() if row["role"] != "limit"}) == 2
    assert rows["saespec"]["data_sha256"] == rows["plain loop"]["data_sha256"]
    # The same first steps from the same weights, once by batched products, once in a loop.
    assert math.isclose(rows["plain loop"]["loss"], rows["stacked bmm, fused Adam"]["loss"], rel_tol=1e-3)
    assert all(row["finite"] and row["steps_per_second"] > 0 for row in rows.values())
    assert parquet.footer(table)["saespec.spec"] == "throughput"


@pytest.mark.slow
def test_latency_times_every_command(tmp_path: Path) -> None:
    out = tmp_path / "latency.parquet"
    benchmark("latency", "--rounds", "1", "--cells", "4", "--out", str(out))
    commands = sorted(row["command"] for row in parquet.read(out).to_pylist())
    assert commands == ["--help", "plan", "run", "validate"]


def test_data_times_both_sizes_and_draws(tmp_path: Path) -> None:
    out = tmp_path / "data.parquet"
    benchmark("data", "--rounds", "1", "--batches", "2", "--threads", "1", "--out", str(out))
    rows = parquet.read(out).to_pylist()
    assert {(row["workload"], row["draw"]) for row in rows} == {
        (workload, draw) for workload in ("d256-n512", "d64-n128") for draw in ("batch", "sample")
    }
    assert all(row["microseconds"] > 0 for row in rows)
