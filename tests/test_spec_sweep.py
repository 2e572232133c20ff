"""Sweeps: which cells they make, in which order, and what is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import ValidationError
from spec_sample import PLAIN, load_text, one_problem, problems_of

from saespec.errors import SpecError
from saespec.plan.cells import applier, apply, base_config, resolve_cells
from saespec.spec import Spec
from saespec.spec.language.axes import values_of
from saespec.spec.language.fields import flat
from saespec.spec.spec import Range

LINE = PLAIN.count("\n") + 2
"""The line below `sweep:`."""


def sweep(text: str) -> str:
    return f"{PLAIN}sweep:\n{text}"


def swept(folder: Path, text: str) -> list[dict[str, object]]:
    return [point.swept for point in load_text(folder, sweep(text)).points]


def test_no_sweep_is_one_cell(tmp_path: Path) -> None:
    (point,) = load_text(tmp_path, PLAIN).points
    assert point.swept == {}
    assert point.config.sae.latents == 128


def test_the_first_axis_changes_slowest_and_cases_fastest(tmp_path: Path) -> None:
    text = (
        "  cases: [{train.steps: 1}, {train.steps: 2}]\n"
        "  zip: {data.dim: [8, 16], train.batch: [1, 2]}\n"
        "  grid: {seed: [0, 1], sae.latents: [4, 5]}\n"
    )
    found = [tuple(point.values()) for point in swept(tmp_path, text)]
    assert len(found) == 16
    assert found[:3] == [(0, 4, 8, 1, 1), (0, 4, 8, 1, 2), (0, 4, 16, 2, 1)]
    assert found == sorted(found)


def test_cases_may_set_different_fields(tmp_path: Path) -> None:
    text = "  cases:\n    - {seed: 1}\n    - {seed: 1, train.steps: 3}\n    - {train.steps: 3}\n"
    assert swept(tmp_path, text) == [{"seed": 1}, {"seed": 1, "train.steps": 3}, {"train.steps": 3}]


NAMED = (
    "  cases:\n    - {name: baseline}\n    - {name: jitter, data.jitter: 0.3}\n"
    "    - {name: frequent decay, data.decay: {rule: multiply, rate: 0.96}}\n"
)


def test_cells_beside_the_product_come_last_and_start_from_the_spec_itself(tmp_path: Path) -> None:
    text = "  grid: {seed: [1, 2]}\n  beside:\n    - {name: long, train.steps: 3}\n    - {name: other, seed: 5}\n"
    loaded = load_text(tmp_path, sweep(text))
    cells = resolve_cells(loaded)
    assert [(c.config.seed, c.config.train.steps, c.case) for c in cells] == [
        (1, 5000, None),
        (2, 5000, None),
        (0, 3, "long"),
        (5, 5000, "other"),
    ]
    assert str(loaded.origin("seed", cells[3].swept)).startswith("spec.yaml:")
    assert loaded.origin("seed", cells[3].swept).line == loaded.origin("train.steps", cells[2].swept).line + 1


def test_named_cases(tmp_path: Path) -> None:
    named = load_text(tmp_path, sweep(NAMED + "  grid: {seed: [0, 1]}\n"))
    assert [(point.case, point.swept) for point in named.points] == [
        (case, {"seed": seed} | fields)
        for seed in (0, 1)
        for case, fields in (
            ("baseline", {}),
            ("jitter", {"data.jitter": 0.3}),
            ("frequent decay", {"data.decay": {"rule": "multiply", "rate": 0.96}}),
        )
    ]
    assert [cell.case for cell in resolve_cells(named)] == [point.case for point in named.points]
    assert [cell.case for cell in resolve_cells(named.spec)] == [point.case for point in named.points]
    (plain,) = load_text(tmp_path, PLAIN).points
    assert named.points[0].config == plain.config
    assert plain.case is None


def test_the_name_of_a_case_is_no_part_of_the_cell(tmp_path: Path) -> None:
    first, second = (
        resolve_cells(load_text(tmp_path, sweep(text)))
        for text in (NAMED, NAMED.replace("baseline", "as it is"))
    )
    assert first == second
    assert [cell.id for cell in first] == [cell.id for cell in second]
    assert (first[0].case, second[0].case) == ("baseline", "as it is")


def test_a_case_is_found_by_all_that_it_sets(tmp_path: Path) -> None:
    text = (
        "  zip: {data.dim: [8, 16]}\n"
        "  cases:\n    - {name: a}\n    - {name: b, seed: 1}\n    - {name: c, seed: 1, train.steps: 3}\n"
    )
    loaded = load_text(tmp_path, sweep(text))
    found = {p.case: loaded.origin("seed", p.swept) for p in loaded.points}
    assert {case: (o.kind, o.line - LINE) for case, o in found.items() if case != "a"} == {
        "b": ("sweep", 3),
        "c": ("sweep", 4),
    }
    assert found["a"].kind == "file"


def test_whole_sections_and_kinds_can_be_swept(tmp_path: Path) -> None:
    text = (
        "  grid:\n    data.correlation: [none, random, {kind: random, strength: 0.5}]\n"
        "    data.decay.rule: [multiply, power]\n"
    )
    cells = resolve_cells(load_text(tmp_path, sweep(text)))
    assert [(flat(c.config).get("data.correlation.strength"), c.config.data.decay.rule) for c in cells] == [
        (None, "multiply"),
        (None, "power"),
        (1.0, "multiply"),
        (1.0, "power"),
        (0.5, "multiply"),
        (0.5, "power"),
    ]


def test_a_range_has_exact_ends_and_six_digits() -> None:
    values = values_of(Range.model_validate({"from": 0.01, "to": 10, "per_decade": 4}))
    assert len(values) == 13
    assert (values[0], values[4], values[-1]) == (0.01, 0.1, 10.0)
    assert values[1:4] == [0.0177828, 0.0316228, 0.0562341]
    assert len(values_of(Range.model_validate({"from": 1e-4, "to": 1e-2, "per_decade": 7.5}))) == 16


def test_a_range_of_whole_numbers(tmp_path: Path) -> None:
    assert swept(tmp_path, "  grid: {train.steps: {from: 1, to: 100, per_decade: 1}}") == [
        {"train.steps": 1},
        {"train.steps": 10},
        {"train.steps": 100},
    ]


def test_a_ratio_follows_its_field(tmp_path: Path) -> None:
    text = "  grid: {data.features: [64, 100], sae.latents: {of: data.features, ratios: [0.5, 0.07, 2]}}"
    assert [p["sae.latents"] for p in swept(tmp_path, text.replace("0.07", "0.25"))] == [
        32,
        16,
        128,
        50,
        25,
        200,
    ]
    problem = one_problem(tmp_path, sweep(text))
    assert (problem.line, problem.path) == (LINE, "sae.latents")
    assert problem.message == "0.07 × 64 is 4.48; a positive whole number is needed"


def test_a_ratio_is_exact_in_decimals(tmp_path: Path) -> None:
    text = "  grid: {train.optimizer.beta1: {of: train.optimizer.beta2, ratios: [0.1]}}"
    assert swept(tmp_path, text) == [{"train.optimizer.beta1": 0.0999}]


def test_a_ratio_of_a_default_and_of_a_swept_section(tmp_path: Path) -> None:
    text = (
        "  cases: [{data: {kind: toy, dim: 2, features: 10, active: 1}}]\n"
        "  grid: {sae.latents: {of: data.features, ratios: [2]}}"
    )
    assert load_text(tmp_path, sweep(text)).points[0].config.sae.latents == 20


@pytest.mark.parametrize(
    ("text", "line", "column", "path", "said"),
    [
        ("  {}", -1, 1, "sweep", "is empty"),
        ("  grid: {}", 0, 3, "sweep.grid", "is empty"),
        ("  cases: []", 0, 3, "sweep.cases", "is empty"),
        ("  cases: [{}]", 0, 11, "sweep.cases.0", "sets nothing"),
        ("  beside: []", 0, 3, "sweep.beside", "is empty"),
        ("  beside: [{}]", 0, 12, "sweep.beside.0", "sets nothing"),
        ("  beside: [{name: a}, {seed: 1}]", 0, 23, "sweep.beside.1", "name all cases or none"),
        ("  grid: {seed: [1]}\n  beside: [{seed: 1}]", 1, 19, "seed", "there twice"),
        (
            "  beside: [{sae: {kind: relu, latents: 3}, sae.latents: 4}]",
            0,
            44,
            "sweep.beside.0.sae.latents",
            "inside",
        ),
        ("  cases: [{name: a}, {}]", 0, 22, "sweep.cases.1", "sets nothing"),
        ("  cases: [{name: a}, {seed: 1}]", 0, 22, "sweep.cases.1", "name all cases or none"),
        ("  cases: [{seed: 1}, {name: a}]", 0, 11, "sweep.cases.0", "name all cases or none"),
        ("  cases: [{name: 3}]", 0, 18, "sweep.cases.0.name", 'must be text, not 3 (write "3")'),
        ("  cases: [{name: null}]", 0, 18, "sweep.cases.0.name", "has no value"),
        ("  cases: [{name: [a]}]", 0, 18, "sweep.cases.0.name", "must be text, not a list"),
        ("  cases: [{name: {a: b}}]", 0, 12, "sweep.cases.0.name", "must be text, not a section"),
        ("  cases: [{name: ' '}]", 0, 18, "sweep.cases.0.name", "must be one line of text"),
        ('  cases: [{name: "a\\nb"}]', 0, 18, "sweep.cases.0.name", "must be one line of text"),
        ("  cases:\n  - name: |\n      a\n", 1, 11, "sweep.cases.0.name", "must be one line of text"),
        (
            "  cases: [{name: a}, {name: a, seed: 1}]",
            0,
            29,
            "sweep.cases.1.name",
            "a is the name of sweep.cases.0 too",
        ),
        (
            "  cases: [{name: a}, {name: b}]",
            0,
            22,
            "sweep.cases.1",
            "gives the same cell as the case a (remove one of the values or cases)",
        ),
        ("  cases: [{name: a, seed: 0}, {name: b}]", 0, 31, "sweep.cases.1", "the same cell as the case a"),
        ("  cases: [{name: a}, {name: b, seed: 0}]", 0, 38, "seed", "there twice"),
        ("  cases: [{nmae: a}]", 0, 12, "sweep.cases.0.nmae", "is no field of a cell"),
        ("  grid: {name: [a]}", 0, 10, "sweep.grid.name", "cannot be swept"),
        ("  cases: [3]", 0, 11, "sweep.cases.0", "must be a section"),
        ("  grid: {seed: []}", 0, 16, "sweep.grid.seed", "is empty"),
        ("  grid: {seed: 3}", 0, 16, "sweep.grid.seed", "must be a list, not 3 (write [3])"),
        ("  grid: {seed: null}", 0, 16, "sweep.grid.seed", "has no value"),
        ("  grid: {sead: [1]}", 0, 10, "sweep.grid.sead", "is no field of a cell (did you mean seed?)"),
        ("  grid: {latents: [1]}", 0, 10, "sweep.grid.latents", "did you mean sae.latents?"),
        ("  grid: {lr: [1]}", 0, 10, "sweep.grid.lr", "did you mean train.optimizer.lr?"),
        ("  grid: {title: [a]}", 0, 10, "sweep.grid.title", "cannot be swept"),
        ("  grid: {seed: [1, 1.0]}", 0, 20, "sweep.grid.seed.1", "must be a whole number, not 1.0 (write 1)"),
        ("  grid: {seed: [1, x]}", 0, 20, "sweep.grid.seed.1", "must be a whole number"),
        ("  grid: {seed: [1, 2, 1]}", 0, 23, "sweep.grid.seed.2", "twice"),
        ("  grid: {data.active: [1, 1.0]}", 0, 27, "sweep.grid.data.active.1", "twice"),
        (
            f"  grid: {{data.active: [{2**53}, {2**53 + 1}]}}",
            0,
            42,
            "sweep.grid.data.active.1",
            f"{2**53 + 1} is {2**53} here",
        ),
        ("  zip: {seed: [1, 2, 1], train.steps: [3, 4, 3]}", 0, 46, "train.steps", "is there twice"),
        (
            f"  grid: {{seed: {{from: 1, to: {2**53}, per_decade: 1}}}}",
            0,
            30,
            "sweep.grid.seed.to",
            f"less than 2^53 ({2**53})",
        ),
        (
            f"  grid: {{seed: {{of: train.steps, ratios: [{2**53 + 1}]}}}}",
            0,
            43,
            "sweep.grid.seed.ratios.0",
            "less than 2^53",
        ),
        (
            "  grid: {data.active: {from: 1.0000001, to: 1, per_decade: 1}}",
            0,
            45,
            "sweep.grid.data.active.to",
            "to (1) must be larger than from (1.0000001)",
        ),
        ("  grid: {sae.kind: [relu, top]}", 0, 27, "sweep.grid.sae.kind.1", "must be relu"),
        ("  grid: {data.correlation: [rnd]}", 0, 29, "sweep.grid.data.correlation.0", "one of none, random"),
        (
            "  zip: {seed: [1, 2], train.steps: [1]}",
            0,
            3,
            "sweep.zip",
            "unequal length: seed has 2, train.steps has 1",
        ),
        ("  zip: {seed: [1]}\n  grid: {seed: [1]}", 0, 9, "sweep.zip.seed", "also set by sweep.grid"),
        ("  grid: {seed: [1]}\n  cases: [{seed: 1}]", 1, 12, "sweep.cases.0.seed", "also set by sweep.grid"),
        (
            "  grid: {sae: [{kind: relu, latents: 2}], sae.latents: [1]}",
            0,
            43,
            "sweep.grid.sae.latents",
            "inside sae",
        ),
        ("  cases: [{seed: 1}, {seed: 1}]", 0, 29, "seed", "there twice"),
        ("  cases: [{seed: 0}, {train.steps: 5000}]", 0, 36, "train.steps", "there twice"),
        (
            "  grid: {data.features: [1, 64]}",
            0,
            26,
            "data.features",
            "data.active must be at most features (1), not 3",
        ),
        (
            "  grid: {data.correlation.rank: [1]}",
            0,
            34,
            "data.correlation.rank",
            "only with covariance: gram",
        ),
        (
            "  grid: {data.correlation.kind: [none]\n   , data.correlation.rank: [3]}",
            1,
            30,
            "data.correlation.rank",
            "is not a known key",
        ),
        ("  grid: {data.decay.rule: [none]}", 0, 28, "data.decay.rule", "data.decay.rate is not a known key"),
        (
            "  grid: {seed: {from: 1, to: 2, per_decade: 1}}",
            0,
            30,
            "sweep.grid.seed.to",
            "do not meet 2 (write to: 10)",
        ),
        (
            "  grid: {seed: {from: 2, to: 1, per_decade: 1}}",
            0,
            30,
            "sweep.grid.seed.to",
            "must be larger than from",
        ),
        (
            "  grid: {seed: {from: 1, to: 10, per_decade: 2}}",
            0,
            10,
            "sweep.grid.seed",
            "must be a whole number, not 3.16228",
        ),
        (
            "  grid: {loss.reconstruction: {from: 1, to: 10, per_decade: 1}}",
            0,
            10,
            "sweep.grid.loss.reconstruction",
            "one of mean, sum",
        ),
        (
            "  grid: {data.active: {from: 1.0e-300, to: 1.0e+300, per_decade: 1000}}",
            0,
            66,
            "sweep.grid.data.active.per_decade",
            "10,000 are the most",
        ),
        (
            "  grid: {seed: {of: data.dimm, ratios: [1]}}",
            0,
            21,
            "sweep.grid.seed.of",
            "did you mean data.dim?",
        ),
        ("  grid: {seed: {of: data.kind, ratios: [1]}}", 0, 21, "sweep.grid.seed.of", "is not a number"),
        ("  grid: {seed: {of: seed, ratios: [1]}}", 0, 21, "sweep.grid.seed.of", "multiple of itself"),
        ("  grid: {sae.kind: {of: seed, ratios: [1]}}", 0, 10, "sweep.grid.sae.kind", "not a number"),
        (
            "  grid: {train.steps: {of: data.dim, ratios: [-1]}}",
            0,
            47,
            "sweep.grid.train.steps.ratios.0",
            "more than 0",
        ),
        (
            "  grid: {train.steps: {of: data.dim, ratios: [1, 1]}}",
            0,
            50,
            "sweep.grid.train.steps.ratios.1",
            "twice",
        ),
        (
            "  grid: {train.steps: {of: train.batch, ratios: [2]}\n   , train.batch: {of: data.dim, ratios: [1]}}",
            0,
            50,
            "train.steps",
            "multiple of another field itself",
        ),
        (
            "  grid: {train.steps: {of: data.correlation.rank, ratios: [2]}}",
            0,
            60,
            "train.steps",
            "not set in this cell",
        ),
        ("  gird: {seed: [1]}", 0, 3, "sweep.gird", "did you mean grid?"),
    ],
)
def test_a_wrong_sweep(tmp_path: Path, text: str, line: int, column: int, path: str, said: str) -> None:
    problem = one_problem(tmp_path, sweep(text))
    assert said in str(problem)
    assert (problem.line - LINE, problem.column, problem.path) == (line, column, path)


def test_sweep_problems_come_with_the_others(tmp_path: Path) -> None:
    text = sweep("  grid: {data.features: [1, 64]}").replace("    holds:", "    hold:")
    assert [p.path for p in problems_of(tmp_path, text)] == [
        "claims.goldilocks_zone.holds",
        "claims.goldilocks_zone.hold",
        "data.features",
    ]


def test_a_sweep_that_is_too_large_is_refused_at_once(tmp_path: Path) -> None:
    axes = ", ".join(
        f"train.optimizer.beta{i}: [{', '.join(f'0.{j}' for j in range(1, 999) if j % 10)}]" for i in (1, 2)
    )
    started = time.process_time()
    problem = one_problem(tmp_path, sweep(f"  grid: {{{axes}}}"))
    assert "100,000 are the most" in problem.message
    assert time.process_time() - started < 2


def test_many_wrong_cells_are_few_problems(tmp_path: Path) -> None:
    text = "  grid: {data.features: [1, 2], seed: [" + ", ".join(map(str, range(500))) + "]}"
    assert len(problems_of(tmp_path, sweep(text))) == 2


def test_a_spec_made_in_python(tmp_path: Path) -> None:
    spec = load_text(tmp_path, sweep("  grid: {seed: [0, 1]}")).spec
    assert len(resolve_cells(spec)) == 2
    wrong = spec.model_copy(update={"sweep": spec.sweep.model_copy(update={"grid": {"sead": [0]}})})
    assert isinstance(wrong, Spec)
    with pytest.raises(SpecError, match=r"toy_mmcs:1:1 .*did you mean seed"):
        resolve_cells(wrong)


def test_apply_rebuilds_every_cell(tmp_path: Path) -> None:
    text = "  grid: {data.decay.rule: [multiply, power], seed: [0, 1], sae.latents: {of: data.dim, ratios: [1, 2]}}"
    loaded = load_text(tmp_path, sweep(text))
    base = base_config(loaded.spec)
    configs = [point.config for point in loaded.points]
    assert [apply(base, c.swept) for c in resolve_cells(loaded)] == configs
    cell_at = applier(base)
    assert [cell_at(c.swept) for c in resolve_cells(loaded)] == configs


def test_equal_sections_are_shared_and_lookalikes_are_not(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, sweep("  grid: {seed: [0, 1]}"))
    first, second = (point.config for point in loaded.points)
    assert first.data is second.data
    cell_at = applier(base_config(loaded.spec))
    assert cell_at({"train.steps": 1}).train.steps == 1
    for lookalike in (1.0, True):
        with pytest.raises(ValidationError):
            cell_at({"train.steps": lookalike})
    with pytest.raises(ValidationError):
        cell_at({"engine.power": 1})  # from a plan of another saespec


# what changes nothing


RELU = PLAIN.replace("  weights: untied\n", "").replace("latents: 128", "latents: 64").replace("5000", "500")
ICA = RELU.replace("kind: relu", "kind: ica")
IDLE = "changes nothing: sae.kind: ica does not read it (remove it)"
MIXED = (
    "changes nothing in cells with sae.kind: ica, so that two of them are the same "
    "(take sae.kind: ica out of the product and put it into sweep.beside, where it is one cell)"
)


@pytest.mark.parametrize(
    ("text", "at", "path"),
    [
        ("grid: {train.optimizer.lr: [0.001, 0.01, 0.1]}", "0.001,", "train.optimizer.lr"),
        ("grid: {train.optimizer.lr: [0.01]}", "0.01", "train.optimizer.lr"),
        (
            "grid: {train.curve_points: {from: 1, to: 100, per_decade: 1}}",
            "train.curve",
            "train.curve_points",
        ),
        ("grid: {train.optimizer.eps: {of: data.active, ratios: [2]}}", "2", "train.optimizer.eps"),
        ("zip: {seed: [1, 2], train.movement: [true, false]}", "true", "train.movement"),
        ("cases: [{seed: 1, train.optimizer: {lr: 0.1}}, {seed: 2}]", "train.opt", "train.optimizer"),
        ("beside: [{seed: 1, train.optimizer.eps: 0.1}]", "0.1", "train.optimizer.eps"),
    ],
)
def test_an_axis_that_no_cell_reads_is_refused(tmp_path: Path, text: str, at: str, path: str) -> None:
    problem = one_problem(tmp_path, f"{ICA}sweep:\n  {text}\n")
    assert str(problem).endswith(f"{path}: {IDLE}")
    assert (problem.line, problem.column - 3) == (ICA.count("\n") + 2, text.index(at))


@pytest.mark.parametrize(
    ("text", "at", "path"),
    [
        ("grid: {sae.kind: [relu, ica], train.optimizer.lr: [0.001, 0.01]}", "0.01]", "train.optimizer.lr"),
        ("grid: {train.movement: [false, true], sae.kind: [relu, ica]}", "true", "train.movement"),
        (
            "grid: {train.optimizer.lr: [0.001, 0.01]}\n  cases: [{seed: 1}, {sae: {kind: ica, latents: 3}}]",
            "0.01]",
            "train.optimizer.lr",
        ),
        (
            "grid: {sae.kind: [relu, ica]}\n  cases: [{name: a, train.optimizer.lr: 0.1}, {name: b}]",
            None,
            "sweep.cases.1",
        ),
    ],
)
def test_cells_that_differ_in_what_they_do_not_read_are_refused(
    tmp_path: Path, text: str, at: str | None, path: str
) -> None:
    problem = one_problem(tmp_path, f"{RELU}sweep:\n  {text}\n")
    assert problem.path == path
    if at is not None:
        assert str(problem).endswith(MIXED)
        assert problem.column - 3 == text.index(at)
    else:
        assert (
            "gives the same cell as an earlier case but for what sae.kind: ica does not read"
            in problem.message
        )


@pytest.mark.parametrize(
    "text",
    [
        "grid: {train.steps: [10, 20], train.batch: [64, 128], train.input_noise: [0, 0.1], seed: [0, 1]}",
        "grid: {loss.sparsity.coefficient: [0, 1], loss.reconstruction: [sum, mean]}",
        "zip: {sae.kind: [relu, ica], train.optimizer.lr: [0.001, 0.01]}",
        "grid: {train.optimizer.lr: [0.001, 0.01]}\n  beside: [{sae: {kind: ica, latents: 3}}]",
    ],
)
def test_what_a_baseline_reads_may_be_swept(tmp_path: Path, text: str) -> None:
    base = RELU if "beside" in text or "zip" in text else ICA
    assert load_text(tmp_path, f"{base}sweep:\n  {text}\n").points


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("schedule: {decay: linear}", "train.schedule.decay.kind"),
        ("schedule: {decay: {kind: cosine}}", "train.schedule.decay.kind"),
        ("resample: {kind: bricken, every: 50, until: 150, window: 20}", "train.resample.kind"),
    ],
)
def test_a_form_that_the_spec_gives_and_no_cell_reads_is_refused(
    tmp_path: Path, text: str, path: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(tmp_path, ICA.replace("  batch: 256\n", f"  batch: 256\n  {text}\n"))
    first = caught.value.problems[0]
    assert (first.path, first.line) == (path, ICA[: ICA.index("  batch: 256")].count("\n") + 2)
    assert IDLE in str(first)


def test_a_field_that_the_spec_sets_and_no_cell_reads_is_refused(tmp_path: Path) -> None:
    text = ICA.replace("  batch: 256\n", "  batch: 256\n  curve_points: 3\n")
    problem = one_problem(tmp_path, text)
    assert (problem.path, problem.column) == ("train.curve_points", 3)
    assert IDLE in str(problem)
    with_others = (
        f"{text.replace('kind: ica', 'kind: relu')}sweep: {{beside: [{{sae: {{kind: ica, latents: 3}}}}]}}"
    )
    assert len(load_text(tmp_path, with_others).points) == 1 + 1


def test_whole_numbers_beyond_floats_are_values_of_their_own(tmp_path: Path) -> None:
    seeds = [2**53, 2**53 + 1, 2**63 - 1]
    found = load_text(tmp_path, sweep(f"  grid: {{seed: {seeds}}}"))
    assert [cell.config.seed for cell in resolve_cells(found)] == seeds
    assert len({cell.id for cell in resolve_cells(found)}) == 3


def test_paired_values_may_come_again(tmp_path: Path) -> None:
    found = swept(tmp_path, "  zip: {seed: [1, 1, 2], train.steps: [10, 20, 10]}")
    assert [tuple(point.values()) for point in found] == [(1, 10), (1, 20), (2, 10)]
