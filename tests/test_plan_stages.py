from __future__ import annotations

import hashlib
import random
import re
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from plan_sample import NAMED_CASES, SPEC, make, planned
from pydantic import ValidationError
from results_sample import spec
from test_sae_pieces import CHOICES

from saespec.errors import CallError
from saespec.plan import stages
from saespec.plan.groups import group_name, shared
from saespec.plan.model import Plan
from saespec.plan.stages import TABLES, table_names
from saespec.results.schema import UNTRACKED, tables
from saespec.spec.columns import Column
from saespec.spec.language.fields import stored_fields
from saespec.spec.measures import Measure, Recovery
from saespec.spec.spec import CellConfig


def changed(tmp_path: Path, *edits: tuple[str, str], spec: str = SPEC) -> set[str]:
    """Names of the stages whose fingerprint an edit of the spec changes."""
    text = spec
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    before, after = (
        {s.name: s.fingerprint for s in planned(make(tmp_path / p, text=t), tmp_path / p).stages}
        for p, t in (("before", spec), ("after", text))
    )
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_stages_in_the_order_in_which_they_run(tmp_path: Path) -> None:
    plan = planned(make(tmp_path), tmp_path)
    assert [s.name for s in plan.stages] == [
        "plan",
        "train-d8-b4",
        "measure",
        "figures",
        "claims",
    ]
    made: set[str] = set()
    for stage in plan.stages:
        inputs = {str(path) for path in stage.deps}
        assert {p for p in inputs if p.startswith("results/")} <= made
        made |= {str(out.path) for out in stage.outs}
        assert re.fullmatch(r"[A-Za-z0-9_-]+", stage.name)


def test_only_checkpoints_are_in_dvcs_cache(tmp_path: Path) -> None:
    for stage in planned(make(tmp_path), tmp_path).stages:
        assert all(out.cached == (stage.kind == "train") for out in stage.outs)


def test_no_stage_depends_on_the_parent_of_an_output(tmp_path: Path) -> None:
    stages = planned(make(tmp_path), tmp_path).stages
    parents = {parent for stage in stages for out in stage.outs for parent in out.path.parents}
    assert not parents & {dep for stage in stages for dep in stage.deps}


def test_nothing_but_the_plan_stage_without_figures_and_claims(tmp_path: Path) -> None:
    plan = planned(make(tmp_path, text=SPEC[: SPEC.index("figures:")]), tmp_path)
    assert plan.stages[-1].kind == "measure"


@pytest.mark.parametrize(
    ("edit", "stages"),
    [
        (("title: A tiny spec", "title: Another"), set()),
        (("title: One", "title: Two"), {"figures"}),
        (("mark: point", "mark: bar"), {"figures"}),
        (("best > 0", "best > 1"), {"claims"}),
        (("measure: [recovery]", "measure: [recovery, losses]"), {"measure"}),
        (("lr: 0.001", "lr: 0.01"), {"train-d8-b4", "measure"}),
        (("active: 2", "active: 3"), {"train-d8-b4", "measure"}),
    ],
)
def test_an_edit_changes_the_stages_that_read_it(
    tmp_path: Path, edit: tuple[str, str], stages: set[str]
) -> None:
    assert changed(tmp_path, edit) == stages


def test_the_name_of_a_case_is_in_the_tables_alone(tmp_path: Path) -> None:
    cases = ("    sae.latents: [8, 16]\n", "  cases: [{name: small}, {name: large, sae.latents: 16}]\n")
    assert changed(tmp_path / "named", cases) == {"measure"}
    assert changed(tmp_path / "renamed", ("name: small", "name: little"), spec=NAMED_CASES) == {"measure"}


def test_the_tables_are_those_that_the_results_room_declares(tmp_path: Path) -> None:
    text = SPEC.replace(
        "[recovery]", "[recovery, losses, latents, larger_dictionaries, {dead_latents: {window: 9}}]"
    )
    spec = planned(make(tmp_path, text=text), tmp_path).spec
    assert set(table_names(spec)) == set(tables(spec)) - set(UNTRACKED)


def test_columns_do_not_change_unnoticed() -> None:
    """No fingerprint holds what the code says of columns: raise TABLES along with this digest."""
    (measures, _) = get_args(Measure)
    every = [("cells", column) for _, column in stored_fields()]
    every += [(t, c) for measure in get_args(measures) for t, cs in measure.columns.items() for c in cs]
    every += [(t, c) for t, cs in tables(spec()).items() if t not in UNTRACKED for c in cs]
    told = sorted({(table, column.name, column.type, column.unit) for table, column in every})
    assert (TABLES, hashlib.sha256(repr(told).encode()).hexdigest()[:12]) == (3, "2658bc3103e3")


def test_a_description_makes_nothing_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reworded(column: Column) -> Column:
        return replace(column, description="Other words.")

    path = make(tmp_path)
    before = planned(path, tmp_path)
    monkeypatch.setattr(
        stages,
        "stored_fields",
        lambda within: tuple((where, reworded(column)) for where, column in stored_fields(within)),
    )
    columns = {table: tuple(map(reworded, inside)) for table, inside in Recovery.columns.items()}
    monkeypatch.setattr(Recovery, "columns", columns)
    assert planned(path, tmp_path).stages == before.stages


def test_group_names_say_what_cells_share(tmp_path: Path) -> None:
    plan = planned(make(tmp_path), tmp_path)
    assert [group.name for group in plan.groups] == ["relu-d8-n8-b4-s10", "relu-d8-n16-b4-s10"]
    assert sorted(c.id for g in plan.groups for c in g.cells) == sorted(c.id for c in plan.cells)
    assert all(group_name(cell.config) == g.name for g in plan.groups for cell in g.cells)


def test_cells_have_one_group_name_if_and_only_if_they_share_all_that_a_stack_shares() -> None:
    """Of some thousand cells, drawn from the choices of the autoencoder room; a name is what cells train by."""
    draw = random.Random(0)
    more: dict[str, list[dict[str, Any]]] = {
        "loss.penalty": [
            {"sparsity": {"kind": "l1", "coefficient": c, "per": "latents", "warmup": w}}
            for c in (0.1, 0.2)
            for w in (0.0, 0.3)
        ],
        "train.schedule": [{"schedule": {"warmup": w}} for w in (0.0, 0.3)],
        "train.resample": [
            {},
            *(
                {"resample": {"kind": kind, "every": 20, "until": until, "window": 10}}
                for kind in ("bricken", "taggart")
                for until in (40, 60)
            ),
        ],
        "train.more": [{"precision": precision} for precision in ("float32", "bfloat16")],
        "sae.init": [{"init": {"bias": bias}} for bias in ("uniform", "zero")],
    }
    kinds = {name: [*CHOICES.get(name, []), *more.get(name, [])] for name in (*CHOICES, *more)}
    names: dict[str, set[str]] = defaultdict(set)
    for _ in range(6000):
        sections: dict[str, dict[str, Any]] = {
            "sae": {"latents": 24},
            "loss": {},
            "train": {"steps": 100, "batch": 8},
        }
        sections["train"]["optimizer"] = {"lr": draw.choice((1e-3, 1e-2))}
        for name in draw.sample(list(kinds), 5):
            sections[name.split(".")[0]].update(draw.choice(kinds[name]))
        sections["sae"].setdefault("kind", "relu")
        sections["loss"].setdefault("reconstruction", "mean")
        sections["loss"].setdefault("sparsity", "none")
        data = {"kind": "toy", "dim": 16, "features": 24, "active": 3.0}
        try:
            config = CellConfig.model_validate({"data": data, "seed": draw.randrange(3), **sections})
        except ValidationError:
            continue
        names[group_name(config)].add(shared(config))
    assert len(names) > 500
    assert {name: inside for name, inside in names.items() if len(inside) > 1} == {}
    assert len(set().union(*names.values())) == len(names)


def test_groups_that_read_batches_of_one_shape_share_a_stage(tmp_path: Path) -> None:
    text = SPEC.replace("sae.latents: [8, 16]", "sae.latents: [8, 16]\n    train.batch: [4, 2]")
    stages = [s for s in planned(make(tmp_path, text=text), tmp_path).stages if s.kind == "train"]
    assert {stage.name: [group.name for group in stage.groups] for stage in stages} == {
        "train-d8-b4": ["relu-d8-n8-b4-s10", "relu-d8-n16-b4-s10"],
        "train-d8-b2": ["relu-d8-n8-b2-s10", "relu-d8-n16-b2-s10"],
    }
    for stage in stages:
        assert [out.path.name for out in stage.outs] == [group.name for group in stage.groups]


def test_other_curves_make_another_group(tmp_path: Path) -> None:
    text = SPEC.replace("sae.latents: [8, 16]", "train.curve_points: [5, 25]")
    plan = planned(make(tmp_path, text=text), tmp_path)
    assert [group.name for group in plan.groups] == ["relu-d8-n8-b4-s10-curve_points_5", "relu-d8-n8-b4-s10"]


def test_other_precision_and_products_make_other_groups(tmp_path: Path) -> None:
    axes = "train.precision: [float32, bfloat16]\n    train.products: [dense, sparse]"
    plan = planned(make(tmp_path, text=SPEC.replace("sae.latents: [8, 16]", axes)), tmp_path)
    ends = {group.name.removeprefix("relu-d8-n8-b4-s10") for group in plan.groups}
    assert ends == {"", "-sparse", "-bfloat16", "-bfloat16-sparse"}


def test_a_spec_path_with_a_space_is_quoted(tmp_path: Path) -> None:
    path = make(tmp_path).rename(tmp_path / "specs/a tiny.yaml")
    assert '"specs/a tiny.yaml"' in planned(path, tmp_path).stages[0].command


def test_the_name_of_another_spec_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path)
    (tmp_path / "specs/copy.yaml").write_text(SPEC)
    with pytest.raises(CallError, match="are both named tiny"):
        planned(path, tmp_path)


def test_planning_is_light_and_quick(tmp_path: Path) -> None:
    """No heavy imports; 2,000 cells in well under the second that 10,000 may take three of."""
    text = SPEC.replace("sae.latents: [8, 16]", f"seed: {list(range(1000))}")
    make(tmp_path, text=text)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from saespec.plan import build, cost, diff, dvcfile, freshness, planfile\n"
        "from saespec.spec.language.load import load\n"
        "heavy = {'torch', 'duckdb', 'dvc', 'altair', 'pyarrow', 'numpy', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)
    start = time.process_time()
    plan: Plan = planned(tmp_path / "specs/tiny.yaml", tmp_path)
    assert len(plan.cells) == 2000
    assert time.process_time() - start < 2
