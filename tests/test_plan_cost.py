"""Estimates, beside what the benchmark machine took: its committed tables, and cold runs of this repository's specs.

Seconds may be off by 30 %. Rounds of a benchmark that differ by more than a factor of two say nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq
import pytest
from cells import cell
from plan_sample import SPEC, make, planned

from saespec.plan import pace
from saespec.plan.build import plan as build
from saespec.plan.cost import BYTES_CPU, around, cell_flops, cost, input_costs, training, training_seconds
from saespec.plan.groups import group_name
from saespec.plan.model import Cell, Plan
from saespec.spec.language.load import load
from saespec.spec.transformer import TrainedModel, TransformerData

ROOT = Path(__file__).parent.parent
STEPS = 1000
SIZES = {"d256-n512": {"dim": 256, "latents": 512}, "d64-n128": {"dim": 64, "latents": 128}}
PRECISIONS = {
    "saespec": ("float32", "unit"),
    "saespec, in forward": ("float32", "unit_in_forward"),
    "saespec, bfloat16": ("bfloat16", "unit"),
    "saespec, bfloat16, in forward": ("bfloat16", "unit_in_forward"),
}

COLD = {
    "toy_mmcs": 96.5,
    "small_transformer": 624 - 344,
    "small_transformer_layers": 469,
    "small_transformer_residual": 171,
    "small_transformer_update": 180,
}
"""Seconds of a cold run on the benchmark machine, without the training of the language model."""

MODELS = {"small_transformer": 344, "small_transformer_update": 288}
"""Seconds of that training."""

OTHER_HOST = {
    "toy_mmcs": 64.4,
    "toy_denoising": 54.1,
    "toy_l1_normalisation": 36.8,
    "toy_variations": 3 * 92.8,
}
"""Seconds of the train stages of cold runs on another, otherwise idle host of two cores."""


def table(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(ROOT / f"benchmarks/results/{name}.parquet").to_pylist()
    return rows


def repository(name: str) -> Plan:
    return build(load(ROOT / f"specs/{name}.yaml", root=ROOT), ROOT)


def close(estimate: float, measured: float) -> bool:
    return 0.7 * measured <= estimate <= 1.3 * measured


def off(found: dict[Any, tuple[float, list[float]]]) -> dict[Any, str]:
    """What is not estimated to 30 %, of rows with an estimate and the seconds of each round."""
    assert found
    return {
        row: f"{estimate:.3g} s, measured {median(rounds):.3g} s"
        for row, (estimate, rounds) in found.items()
        if max(rounds) <= 2 * min(rounds) and not close(estimate, median(rounds))
    }


def test_steps_take_what_they_took_in_the_benchmarks() -> None:
    rounds: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in table("scaling"):
        key = row["cells"], row["dim"], row["latents"], row["batch"], row["precision"], "unit"
        rounds[key].append(row["seconds"] / row["steps"])
    for row in table("throughput"):
        if row["trainer"] in PRECISIONS:
            key = row["cells"], row["dim"], row["latents"], row["batch"], *PRECISIONS[row["trainer"]]
            rounds[key].append(row["seconds"] / row["steps"])
    for row in table("store"):
        if row["batches"] == "memory":
            rounds[8, 128, 512, 256, "float32", "unit"].append(row["seconds"] / row["steps"])
    found = {}
    for key, seconds in rounds.items():
        number, dim, latents, batch, precision, norm = key
        one = cell(dim=dim, latents=latents, batch=batch, precision=precision, decoder_norm=norm)
        found[key] = pace.step(one.config, number), seconds
    assert off(found) == {}
    assert len(found) > 45


def test_batches_take_what_they_took_in_the_benchmarks() -> None:
    rounds: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in table("data"):
        rounds[row["dim"], row["features"], row["batch"], row["draw"]].append(row["microseconds"] / 1e6)
    found = {}
    for key, seconds in rounds.items():
        dim, features, batch, draw = key
        correlation = {"kind": "random", "draw": draw}
        one = cell(dim=dim, features=features, batch=batch, correlation=correlation).config
        found[key] = pace.batch(one.data, one.train), seconds
    assert off(found) == {}


@pytest.mark.parametrize("way", ["side by side", "one size after the other"])
def test_sizes_that_share_batches_take_what_they_took_in_the_benchmarks(way: str) -> None:
    rounds: dict[str, list[float]] = defaultdict(list)
    for row in table("sweep"):
        if row["training"] == way:
            rounds[row["workload"]].append(row["seconds"] / row["steps"])
    found = {}
    for workload, seconds in rounds.items():
        dim, middle = SIZES[workload]["dim"], SIZES[workload]["latents"]
        sizes = [round(middle * ratio) for ratio in (0.25, 0.5, 1, 2, 4)]
        same = {"dim": dim, "features": 2 * dim, "batch": 256, "correlation": "random", "curve_points": 1}
        cells = [
            cell(latents=size, l1=0.01 * (i + 1), steps=STEPS, **same) for size in sizes for i in range(8)
        ]
        together = [cells] if way == "side by side" else [cells[i : i + 8] for i in range(0, 40, 8)]
        found[workload] = sum(map(train, together)) / STEPS, seconds
    assert off(found) == {}


def train(cells: list[Cell]) -> float:
    """Seconds of cells that train beside each other, their data section shared as a spec's cells share it."""
    data = cells[0].config.data
    groups: dict[str, list[Any]] = {}
    for one in cells:
        groups.setdefault(group_name(one.config), []).append(one.config.model_copy(update={"data": data}))
    return sum(training(groups).values())


def test_extraction_takes_what_it_took_in_the_benchmarks() -> None:
    (cell_,) = (c for c in repository("small_transformer").cells[:1])
    assert isinstance(cell_.config.data, TransformerData)
    assert isinstance(cell_.config.data.model, TrainedModel)
    rounds: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in table("extraction"):
        rounds[row["width"], row["place"]].append(1 / row["tokens_per_second"])
    found = {}
    for key, seconds in rounds.items():
        width = key[0]
        model = cell_.config.data.model.model_copy(update={"width": width, "mlp": 4 * width})
        found[key] = pace.passed(model, 3), seconds
    assert off(found) == {}


@pytest.mark.parametrize(("name", "measured"), COLD.items())
def test_cold_runs_take_what_they_took(name: str, measured: float) -> None:
    plan = repository(name)
    inputs = sum(one.seconds for stage, one in input_costs(plan).items() if stage.startswith("extract-"))
    estimate = cost(plan).total.seconds + inputs + around(plan, plan.stages)
    assert close(estimate, measured), f"{estimate:.0f} s"


@pytest.mark.parametrize(("name", "measured"), MODELS.items())
def test_language_models_take_what_they_took(name: str, measured: float) -> None:
    (estimate,) = (
        one.seconds for stage, one in input_costs(repository(name)).items() if stage.startswith("model-")
    )
    assert close(estimate, measured), f"{estimate:.0f} s"


@pytest.mark.parametrize("taught_by", OTHER_HOST)
def test_one_run_of_another_host_tells_what_the_others_take_there(taught_by: str) -> None:
    estimates = {name: cost(repository(name)).total.seconds for name in OTHER_HOST}
    speed = OTHER_HOST[taught_by] / estimates[taught_by]
    assert off({name: (speed * estimates[name], [took]) for name, took in OTHER_HOST.items()}) == {}


def test_thousands_of_latents_on_few_dimensions_take_long(tmp_path: Path) -> None:
    """9.25 s on the other host, where toy_mmcs took 64.4 s."""
    toy = {"dim": 8, "features": 16, "correlation": "random", "batch": 256, "steps": 300, "curve_points": 25}
    cells = [cell(latents=n, l1=0.1 * (i + 1), **toy) for n in (1024, 2048, 4096) for i in range(4)]  # type: ignore[arg-type]
    assert close(train(cells) * 64.4 / cost(repository("toy_mmcs")).total.seconds, 9.25)


def test_memory_is_what_the_benchmarks_took() -> None:
    """Within 30 %, and 12 MiB of the libraries' own; what training needs beside the process before it."""
    wrong = {}
    rows: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in table("scaling"):
        rows[row["cells"], row["dim"], row["latents"], row["batch"]].append(row["memory_bytes"])
    for (number, dim, latents, batch), measured in rows.items():
        estimate = _memory(number, dim=dim, latents=latents, batch=batch)
        most = 1.3 * median(measured)
        if not 0.7 * median(measured) - 12 * 2**20 <= estimate <= most:
            wrong[number, dim, latents, batch] = estimate / 2**20, median(measured) / 2**20
    assert not wrong


def _memory(number: int, **sizes: int) -> int:
    from saespec.plan.cost import _group

    return _group([cell(**sizes).config] * number, 1.0).memory_bytes  # type: ignore[arg-type]


def test_cells_that_train_in_rounds_are_not_in_memory_together() -> None:
    assert _memory(1000, dim=256, latents=512, batch=256) == BYTES_CPU
    one = cell(dim=8192, latents=8192, batch=1024).config
    assert _memory(5, dim=8192, latents=8192, batch=1024) > BYTES_CPU
    rounds = [training({"g": [one] * number})["g"] for number in (2, 4)]
    assert rounds[1] > 1.9 * rounds[0]


def test_flops_are_ten_products_of_batch_dimensions_latents_and_steps(tmp_path: Path) -> None:
    plan = planned(make(tmp_path), tmp_path)
    assert cell_flops(plan.cells[0].config) == 10 * 4 * 8 * 8 * 10


def test_groups_add_up(tmp_path: Path) -> None:
    found = cost(planned(make(tmp_path), tmp_path))
    small, large = found.groups.values()
    assert found.total.cells == 4
    assert found.total.flops == small.flops + large.flops == 2 * 10 * 4 * 8 * 10 * (8 + 16)
    assert found.total.seconds == pytest.approx(small.seconds + large.seconds)
    assert found.total.memory_bytes == large.memory_bytes + small.memory_bytes
    assert found.total.disk_bytes == small.disk_bytes + large.disk_bytes
    assert small.disk_bytes == 2 * (2 * 8 * 8 + 8) * 4 * 2


def test_a_slower_machine_takes_longer_for_everything(tmp_path: Path) -> None:
    plan = repository("small_transformer")

    def parts(speed: float) -> Iterator[float]:
        yield cost(plan, speed).total.seconds
        yield around(plan, plan.stages, speed)
        yield from (one.seconds for one in input_costs(plan, speed).values())

    assert list(parts(3.0)) == pytest.approx([3 * seconds for seconds in parts(1.0)])


def test_finished_cells_cost_nothing(tmp_path: Path) -> None:
    plan = planned(make(tmp_path), tmp_path)
    found = cost(plan, done=[cell.id for cell in plan.groups[0].cells])
    assert found.groups[plan.groups[0].name].seconds == 0
    assert found.total.cells == 2
    assert cost(plan, done=[cell.id for cell in plan.cells]).total.memory_bytes == 0


def test_a_batch_is_drawn_once_for_all_that_share_it(tmp_path: Path) -> None:
    shared = planned(make(tmp_path), tmp_path)
    text = SPEC.replace("loss.sparsity.coefficient: [0.1, 1.0]", "seed: [0, 1]")
    apart = planned(make(tmp_path / "apart", text=text), tmp_path / "apart")
    one = shared.cells[0].config
    batch = pace.batch(one.data, one.train)
    assert cost(apart).total.seconds - cost(shared).total.seconds == pytest.approx(10 * batch)


def test_part_of_a_training_is_estimated_by_its_steps(tmp_path: Path) -> None:
    cells = planned(make(tmp_path), tmp_path).cells
    whole = training_seconds(cells, [10] * 4)
    assert whole == pytest.approx(cost(planned(make(tmp_path), tmp_path)).total.seconds)
    assert training_seconds(cells, [5] * 4) == pytest.approx(whole / 2)


def test_measuring_depends_on_the_measures(tmp_path: Path) -> None:
    long = SPEC.replace("measure: [recovery]", "measure: [recovery, {dead_latents: {window: 100000}}]")
    few = planned(make(tmp_path / "few"), tmp_path / "few")
    many = planned(make(tmp_path / "many", text=long), tmp_path / "many")
    assert around(many, many.stages) > around(few, few.stages) + 5
    fresh = [stage for stage in many.stages if stage.kind != "measure"]
    assert around(many, fresh) < around(few, few.stages)
