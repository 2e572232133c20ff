"""The benchmarks run and leave readable tables; how fast anything is, no test says."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import architectures, machine, record, report, scaling, throughput, topk
from benchmarks.trainers import saespec_stack
from benchmarks.trainers.sizes import WORKLOADS
from saespec.results import parquet
from saespec.sae.stack import Stack

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
        "saespec, sparse",
        "saespec, bfloat16",
        "saespec, bfloat16, sparse",
        "saespec, in forward",
        "saespec, bfloat16, in forward",
        "stacked bmm, fused Adam",
        "plain loop",
        "products alone",
        "products alone, bfloat16",
        "copies alone",
    }
    assert len({row["data_sha256"] for row in rows.values() if row["role"] != "limit"}) == 2
    assert rows["saespec"]["data_sha256"] == rows["plain loop"]["data_sha256"]
    # The same first steps from the same weights, once by batched products, once in a loop.
    assert math.isclose(rows["plain loop"]["loss"], rows["stacked bmm, fused Adam"]["loss"], rel_tol=1e-3)
    assert all(row["finite"] and row["steps_per_second"] > 0 for row in rows.values())
    assert rows["products alone"]["peak_share"] == rows["copies alone"]["copy_share"] == 1
    alone = rows["products alone, bfloat16"]["flop_rate"]
    assert rows["saespec, bfloat16"]["peak_share"] == rows["saespec, bfloat16"]["flop_rate"] / alone
    assert parquet.footer(table)["saespec.spec"] == "throughput"


def test_every_architecture_is_measured_with_the_products_that_it_has(tmp_path: Path) -> None:
    out = tmp_path / "architectures.parquet"
    said = benchmark(
        *("architectures", "--workload", "d64-n128", "--steps", "1", "--rounds", "1", "--threads", "1"),
        *("--out", str(out)),
    )
    assert "left out: SAELens" in said
    assert "left out: dictionary_learning" in said
    rows = parquet.read(out).to_pylist()
    trainers = ["saespec", *(["saespec, bfloat16"] if machine.multiplies_bfloat16() else [])]
    assert {(row["architecture"], row["trainer"]) for row in rows} == {
        (name, trainer) for name in architectures.names() for trainer in trainers
    }  # sparse products are of no use to vectors so narrow
    assert len({row["data_sha256"] for row in rows}) == 1
    for row in rows:
        assert row["finite"]
        assert row["steps_per_second"] == pytest.approx(8 * row["steps"] / row["seconds"])
        assert (row["k"] is not None) == ("topk" in row["architecture"])
        assert (row["dead"] is not None) == ("aux_k" in row["architecture"])


def test_sparse_products_are_measured_where_k_is_fixed_and_zeros_stay_zero() -> None:
    known = {trainer.name: trainer for trainer in architectures.TRAINERS}
    wide, everything = "d256-n8192", architectures.names()
    fixed = {name for name in everything if "topk" in name}
    assert set(architectures.wanted(wide, known["saespec"], everything)) == fixed - {
        "nested batch_topk, aux_k"
    }
    assert set(architectures.wanted(wide, known["saespec, sparse"], everything)) == {"topk", "batch_topk"}
    assert architectures.wanted("d64-n128", known["saespec, sparse"], everything) == []
    assert set(architectures.wanted("d64-n128", known["SAELens"], everything)) == {
        *("relu", "jumprelu", "gated", *fixed)
    }


def test_all_of_saespec_starts_from_the_same_weights() -> None:
    sizes = replace(WORKLOADS["d64-n128"], cells=2)
    starts = []
    for trainer in throughput.TRAINERS:
        if trainer.module == "saespec_stack":
            fields = dict(option.split("=") for option in trainer.options if "=" in option)
            cells = saespec_stack.cells(sizes, saespec_stack.toy(sizes), 10, 1, 0, fields)
            stack = Stack(cells, torch.device("cpu"))
            stack.initialise()
            starts.append(stack.params)
    assert len(starts) == 7
    for start in starts:
        assert all(torch.equal(start[name], value) for name, value in starts[0].items())


def test_topk_grows_in_k_and_in_cells() -> None:
    points = topk.points((512, 2048), "cpu")
    assert len(points) == len(set(points)) == 2 * 2 * (len(topk.KS) + len(topk.CELLS) - 1)
    assert all(point.k == topk.K or point.sizes.cells == 4 for point in points)


@pytest.mark.slow
def test_topk_is_timed_with_dense_and_with_sparse_products(tmp_path: Path) -> None:
    out = tmp_path / "topk.parquet"
    arguments = ("--latents", "256", "--rounds", "1", "--threads", "1", "--out", str(out))
    benchmark("topk", *arguments)
    rows = parquet.read(out).to_pylist()
    assert Counter(row["products"] for row in rows) == {"dense": 8, "sparse": 8}
    for row in rows:
        assert row["steps_per_second"] == pytest.approx(row["cells"] * row["steps"] / row["seconds"])


@pytest.mark.slow
def test_latency_times_every_command(tmp_path: Path) -> None:
    out = tmp_path / "latency.parquet"
    benchmark("latency", "--rounds", "1", "--cells", "4", "--out", str(out))
    commands = sorted(row["command"] for row in parquet.read(out).to_pylist())
    assert commands == ["--help", "compile", "plan", "run", "validate"]


@pytest.mark.slow
def test_scaling_measures_the_trainer_beside_the_products(tmp_path: Path) -> None:
    out = tmp_path / "scaling.parquet"
    arguments = ("--workload", "d64-n128", "--vary", "dim", "--rounds", "1", "--threads", "1")
    benchmark("scaling", *arguments, "--out", str(out))
    rows = parquet.read(out).to_pylist()
    assert sorted(row["dim"] for row in rows) == list(scaling.VALUES["dim"])
    for row in rows:
        assert row["flop_rate"] == pytest.approx(10 * 256 * row["dim"] * 128 * row["steps_per_second"])
        assert row["peak_share"] == pytest.approx(row["flop_rate"] / row["product_rate"])
        assert 0 < row["memory_bytes"] < 2**30


@pytest.mark.slow
def test_extraction_is_measured_beside_the_bare_forward_pass(tmp_path: Path) -> None:
    out = tmp_path / "extraction.parquet"
    benchmark("extraction", "--rounds", "1", "--vectors", "300", "--threads", "1", "--out", str(out))
    rows = parquet.read(out).to_pylist()
    assert [row["vectors"] for row in rows] == [300, 3000, 300, 300]
    for row in rows:
        assert row["share"] == pytest.approx(row["tokens_per_second"] / row["bare_tokens_per_second"])


@pytest.mark.slow
def test_training_from_a_store_is_measured_beside_memory(tmp_path: Path) -> None:
    out = tmp_path / "store.parquet"
    arguments = ("--rounds", "1", "--steps", "5", "--rows", "2000", "--threads", "1")
    benchmark("store", *arguments, "--out", str(out))
    rows = {row["batches"]: row for row in parquet.read(out).to_pylist()}
    assert set(rows) == {"store", "memory", "store, reading alone"}
    assert all(row["vectors_per_second"] > 0 and row["rows"] == 2000 for row in rows.values())


def test_scaling_changes_one_size_at_a_time() -> None:
    base = WORKLOADS["d64-n128"]
    points = [point for _, point in scaling.points(["d64-n128"], list(scaling.VALUES))]
    assert len(points) == len(set(points)) == sum(map(len, scaling.VALUES.values())) - 3
    for point in points:
        assert sum(getattr(point, size) != getattr(base, size) for size in scaling.VALUES) <= 1


def test_data_times_both_sizes_and_draws(tmp_path: Path) -> None:
    out = tmp_path / "data.parquet"
    benchmark("data", "--rounds", "1", "--batches", "2", "--threads", "1", "--out", str(out))
    rows = parquet.read(out).to_pylist()
    assert {(row["workload"], row["draw"]) for row in rows} == {
        (workload, draw) for workload in ("d256-n512", "d64-n128") for draw in ("batch", "sample")
    }
    assert all(row["microseconds"] > 0 for row in rows)


def test_a_sweep_is_timed_both_ways(tmp_path: Path) -> None:
    out = tmp_path / "sweep.parquet"
    arguments = ("--workload", "d64-n128", "--rounds", "2", "--steps", "3", "--threads", "1")
    benchmark("sweep", *arguments, "--out", str(out))
    rows = parquet.read(out).to_pylist()
    assert Counter(row["training"] for row in rows) == {"one size after the other": 2, "side by side": 2}
    for row in rows:
        assert (row["sizes"], row["cells"], row["steps"]) == (5, 40, 3)
        assert row["steps_per_second"] == pytest.approx(120 / row["seconds"])


def row(name: str, **values: Any) -> dict[str, Any]:
    """A row of a benchmark's table: its own values, and something in every other column."""
    fill = {"string": "x", "int64": 1, "float64": 1.0, "bool": True}
    columns = (*report.BENCHMARKS[name], *record.WHERE)
    return {column.name: fill[column.type] for column in columns} | values


def test_the_page_is_current() -> None:
    assert benchmark("report", "--check") == ""


def test_the_page_shows_every_table_and_figure_also_before_anything_is_measured(tmp_path: Path) -> None:
    page = report.PAGE.read_text()
    marks = re.findall(r"<!-- (?:table|figure) (\w+) -->\n", page)
    empty = report.report(tmp_path)
    assert sorted(marks) == sorted([*empty.table_names, *empty.figure_names])
    ((path, text),) = empty.files(page).items()
    assert path == Path("speed.md")
    assert text.decode().count(report.NOTHING) == len(marks)


def test_a_report_is_medians_over_the_rounds_the_same_bytes_every_time(tmp_path: Path) -> None:
    common = {"device": "cpu", "device_name": "a CPU", "workload": "d64-n128", "dim": 64, "latents": 128}
    made = [("ours", "saespec", 300.0), ("theirs", "peer", 100.0), ("products alone", "limit", 400.0)]
    rows = [
        row("throughput", **common, trainer=name, role=role, steps_per_second=rate * factor, round=number)
        for name, role, rate in made
        for number, factor in enumerate((1.0, 9.0, 0.5))
    ]
    latency = [row("latency", command="plan", cells=cells, seconds=0.5) for cells in (10, 100)]
    record.write(tmp_path / "throughput.parquet", "throughput", report.BENCHMARKS["throughput"], rows, "cpu")
    record.write(tmp_path / "latency.parquet", "latency", report.BENCHMARKS["latency"], latency, "cpu")
    page = report.PAGE.read_text()
    files = report.report(tmp_path).files(page)
    assert files == report.report(tmp_path).files(page)
    assert {path.name for path in files} == {"speed.md", "throughput.svg", "latency.svg"}
    text = files[Path("speed.md")].decode()
    assert re.search(r"\| \*\*ours\*\* \| .* \| 300 \| 150 – 2,700 \| 3.00 \|", text)
    assert "![Eight SAEs trained side by side](speed/throughput.svg)" in text
