"""Loading: what a spec means, every mistake with its place, extends and --set."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from spec_sample import GOOD, PLAIN, edit, load_text, one_problem, problems_of, write

from saespec.errors import SpecError
from saespec.spec import load
from saespec.spec.transformer import PretrainedModel


def test_a_good_spec(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, GOOD)
    assert loaded.spec.name == "toy_mmcs"
    assert loaded.spec.data.correlation.kind == "random"
    assert [m.kind for m in loaded.spec.measure][2:] == ["dead_latents", "larger_dictionaries"]
    assert loaded.files == (tmp_path / "spec.yaml",)
    assert repr(loaded).startswith("<spec toy_mmcs: 'Recovering toy features")
    assert "40 cells, 4 measures, 1 figure, 1 claim" in repr(loaded)


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "path", "said"),
    [
        (
            "steps: 5000",
            "steps: 1000.0",
            22,
            10,
            "train.steps",
            "must be a whole number, not 1000.0 (write 1000)",
        ),
        ("steps: 5000", "steps: '10'", 22, 10, "train.steps", 'not the text "10" (write 10 without quotes)'),
        ("steps: 5000", "steps: true", 22, 10, "train.steps", "must be a whole number, not true"),
        ("steps: 5000", "steps:", 22, 9, "train.steps", "has no value"),
        ("steps: 5000", "steps: 0", 22, 10, "train.steps", "must be at least 1, not 0"),
        ("steps: 5000", "steps: [1]", 22, 10, "train.steps", "must be a whole number, not a list"),
        ("steps: 5000", "stepz: 5000", 21, 1, "train.steps", "is missing (Optimiser steps)"),
        ("lr: 1.0e-3", "lr: '1e-3'", 24, 31, "train.optimizer.lr", "write 1e-3 without quotes"),
        ("lr: 1.0e-3", "lr: 0", 24, 31, "train.optimizer.lr", "must be more than 0, not 0"),
        ("lr: 1.0e-3", "lr: .inf", 24, 31, "train.optimizer.lr", "not a finite number"),
        ("title: Recov", "title: 2020-01-01 # ", 4, 8, "title", "is a date, which no field takes (quote it"),
        ("title: Recov", "title: 3 # ", 4, 8, "title", 'must be text, not 3 (write "3")'),
        ("  dim: 64", "  dimm: 64\n  dim: 64", 9, 3, "data.dimm", "is not a known key (did you mean dim?)"),
        ("seed: 0\n\n", "seed: 0\nlr: 1\n\n", 26, 1, "lr", "did you mean train.optimizer.lr?"),
        ("seed: 0\n\n", "seed: 0\nrange: 1\n\n", 26, 1, "range", "is not a known key"),
        ("seed: 0\n\n", "seed: 0\nseed: 1\n\n", 26, 1, "seed", "given twice"),
        ("kind: relu", "kind: relv", 15, 9, "sae.kind", "did you mean relu?"),
        ("n: random", "n: randon", 12, 16, "data.correlation", "one of none, random"),
        ("n: random", "n: randon", 12, 16, "data.correlation", "did you mean random?"),
        (
            "n: random",
            "n: {strength: 0.5}",
            12,
            3,
            "data.correlation.kind",
            "is missing (one of: none, random, groups)",
        ),
        ("n: random", "n: {kind: none, rank: 3}", 12, 29, "data.correlation.rank", "is not a known key"),
        (
            "n: random",
            "n: {kind: random, rank: 3}",
            12,
            37,
            "data.correlation.rank",
            "only with covariance: gram",
        ),
        ("rule: multiply", "rule: mul", 13, 17, "data.decay.rule", "one of none, multiply, power"),
        ("weights: untied", "weights: 0", 17, 12, "sae.weights", "must be one of untied, tied"),
        ("version: 1", "version: 2", 2, 10, "version", "must be 1, not 2"),
        ("version: 1", "version: 1.0", 2, 10, "version", "must be 1, not 1.0"),
        ("version: 1", "version: true", 2, 10, "version", "must be 1, not true"),
        ("name: toy_mmcs", "name: Toy", 3, 7, "name", "is not a valid name"),
        ("name: toy_mmcs", "name: main", 3, 7, "name", "the database keeps"),
        ("name: toy_mmcs", f"name: {'a' * 61}", 3, 7, "name", "has 61 characters; 60 are the most"),
        (
            "features: 128",
            "features: 4194305",
            10,
            13,
            "data.features",
            "must be at most 1048576, not 4194305",
        ),
        ("active: 3  ", "active: 300", 11, 11, "data.active", "must be at most features (128), not 300"),
        ("[recovery, ", "[recovry, ", 38, 11, "measure.0", "did you mean recovery?"),
        ("[recovery, ", "[losses, ", 38, 19, "measure.1", "losses is asked for twice"),
        ("[recovery, ", "[3, ", 38, 11, "measure.0", "must be a name or a section"),
        ("window: 100", "windw: 1", 38, 45, "measure.2.windw", "did you mean window?"),
        ("  fig03_mmcs:", "  Fig-3:", 41, 3, "figures.Fig-3", "is not a valid name"),
        ("    holds:", "    hold:", 52, 5, "claims.goldilocks_zone.hold", "did you mean holds?"),
    ],
)
def test_a_mistake_and_its_place(
    tmp_path: Path, old: str, new: str, line: int, column: int, path: str, said: str
) -> None:
    problems = problems_of(tmp_path, edit(old, new))
    found = [p for p in problems if (p.line, p.column, p.path) == (line, column, path)]
    assert found, problems
    assert said in str(found[0])
    assert found[0].file == "spec.yaml"
    kinds = ("is missing", "is not a known key")
    assert len(problems) == 1 or all(p.message in kinds for p in problems if p not in found)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = GOOD
    for old, new in [
        ("steps: 5000", "steps: 1.5"),
        ("active: 3  ", "active: 300"),
        ("title: Recov", "titel: Recov"),
        ("  decay: {rule: multiply, rate: 0.99}", "  decay: {rule: multiply, rate: 0.99, x: 1}"),
        ("loss.sparsity.coefficient: {", "loss.sparsity.coefficent: {"),
        ("lr: 3.0e-4", "lr: fast"),
        ("holds: width >= 5", "holds: width >= 5\n    holds: twice"),
    ]:
        text = edit(old, new, text)
    assert {(p.line, p.path) for p in problems_of(tmp_path, text)} == {
        (2, "title"),
        (4, "titel"),
        (11, "data.active"),
        (13, "data.decay.x"),
        (22, "train.steps"),
        (29, "sweep.grid.loss.sparsity.coefficent"),
        (36, "sweep.cases.1.train.optimizer.lr"),
        (53, "claims.goldilocks_zone.holds"),
    }


def test_a_value_that_yaml_refuses_is_reported_once(tmp_path: Path) -> None:
    assert "not a finite number" in one_problem(tmp_path, edit("lr: 1.0e-3", "lr: .nan")).message


@pytest.mark.parametrize("value", ["1", "1.0", "1.0e+0"])
def test_whole_numbers_do_for_numbers(tmp_path: Path, value: str) -> None:
    assert load_text(tmp_path, edit("active: 3  ", f"active: {value}  ")).spec.data.active == 1


def test_no_file_a_folder_and_bytes(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "toy.yaml")
    cases = {"toi.yaml": "did you mean", ".": "is a folder", "a\0b": "cannot read"}
    for name, said in cases.items():
        with pytest.raises(SpecError, match=said):
            load(tmp_path / name)
    problem = one_problem(tmp_path, b"version: 1\nname: \xff\xfe\n")
    assert (problem.line, problem.column) == (2, 7)
    assert "not UTF-8" in problem.message
    with pytest.raises(SpecError, match="no regular file"):
        load("/dev/zero")


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(tmp_path, GOOD)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SpecError, match=r"cannot read .*spec.yaml: Permission denied"):
        load(path)


# extends


def extend(folder: Path, text: str, base: str = GOOD) -> Path:
    write(folder, base, "base.yaml")
    return write(folder, f"extends: ../base.yaml\nname: child\n{text}", "full/child.yaml")


def test_extends_merges_by_key(tmp_path: Path) -> None:
    text = (
        "train: {steps: 9}\nmeasure: [losses]\nfigures: {fig03_mmcs: {vega_lite: {mark: line}}}\n"
        "sweep: {grid: {sae.latents: [8]}}\n"
    )
    loaded = load(extend(tmp_path, text), root=tmp_path)
    spec = loaded.spec
    assert (spec.name, spec.train.steps, spec.train.batch) == ("child", 9, 256)
    assert len(spec.measure) == 1
    assert spec.figures["fig03_mmcs"].vega_lite["mark"] == "line"
    assert "encoding" in spec.figures["fig03_mmcs"].vega_lite
    assert list(spec.sweep.grid) == ["loss.sparsity.coefficient", "sae.latents"]
    assert [p.name for p in loaded.files] == ["child.yaml", "base.yaml"]
    assert str(loaded.origin("train.steps")) == "full/child.yaml:3:9"
    assert str(loaded.origin("train.batch")) == "base.yaml:23:3"


def test_null_removes_figures_claims_and_axes(tmp_path: Path) -> None:
    text = (
        "figures: {fig03_mmcs: null}\nclaims: {goldilocks_zone: null}\n"
        "sweep: {grid: {sae.latents: null}, zip: null, cases: null}\n"
    )
    spec = load(extend(tmp_path, text)).spec
    assert (spec.figures, spec.claims, spec.sweep.zip, spec.sweep.cases) == ({}, {}, {}, [])
    assert list(spec.sweep.grid) == ["loss.sparsity.coefficient"]


def test_a_sweep_can_be_removed_axis_by_axis(tmp_path: Path) -> None:
    text = "sweep: {grid: {sae.latents: null, loss.sparsity.coefficient: null}, zip: null, cases: null}"
    assert len(load(extend(tmp_path, text)).points) == 1


def test_nothing_to_remove(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(extend(tmp_path, "figures: {fig3: null}"), root=tmp_path)
    (problem,) = caught.value.problems
    assert (problem.path, problem.line, problem.column) == ("figures.fig3", 3, 11)


def test_another_kind_replaces_the_section(tmp_path: Path) -> None:
    base = edit("correlation: random", "correlation: {kind: random, strength: 0.5}", PLAIN)
    spec = load(extend(tmp_path, "data: {correlation: {kind: none}, decay: {rate: 0.5}}", base)).spec
    assert spec.data.correlation.kind == "none"
    assert spec.data.decay.model_dump() == {"rule": "multiply", "rate": 0.5}


def test_a_key_merges_onto_a_short_form(tmp_path: Path) -> None:
    spec = load(extend(tmp_path, "data: {correlation: {strength: 0.5}}")).spec
    assert spec.data.correlation.model_dump(include={"kind", "strength"}) == {
        "kind": "random",
        "strength": 0.5,
    }


def test_a_mistake_points_into_the_file_that_made_it(tmp_path: Path) -> None:
    base = edit("batch: 256", "batch: 0")
    with pytest.raises(SpecError) as caught:
        load(extend(tmp_path, "train: {steps: x}\ndata:\n  dims: 3\n", base), root=tmp_path)
    found = [(p.file, p.line, p.path) for p in caught.value.problems]
    child = "full/child.yaml"
    assert found == [("base.yaml", 23, "train.batch"), (child, 3, "train.steps"), (child, 5, "data.dims")]


def test_extends_a_missing_file_or_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, "extends: b.yaml\nname: a\n", "a.yaml")
    write(tmp_path, "name: b\nextends: a.yaml\n", "b.yaml")
    write(tmp_path, "extends: bb.yaml\n", "c.yaml")
    write(tmp_path, "extends: [3]\n", "d.yaml")
    write(tmp_path, f"extends: {tmp_path}/a.yaml\n", "e.yaml")
    expected = {
        "a.yaml": ("b.yaml", 2, 10, "in a circle"),
        "c.yaml": ("c.yaml", 1, 10, "did you mean b.yaml?"),
        "d.yaml": ("d.yaml", 1, 11, "must be the path"),
        "e.yaml": ("e.yaml", 1, 10, "relative"),
    }
    for name, (file, line, column, said) in expected.items():
        with pytest.raises(SpecError) as caught:
            load(tmp_path / name, root=tmp_path)
        (problem,) = caught.value.problems
        assert (problem.file, problem.line, problem.column) == (file, line, column)
        assert said in str(problem).replace(f"{tmp_path}/", "")


def test_an_extension_has_a_name_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "base.yaml")
    for text, line in (("extends: base.yaml\n", 1), ("extends: base.yaml\nname: toy_mmcs\n", 2)):
        with pytest.raises(SpecError) as caught:
            load(write(tmp_path, text, "child.yaml"), root=tmp_path)
        (problem,) = caught.value.problems
        assert (problem.path, problem.line) == ("name", line)


def test_a_value_that_the_base_sweeps_over_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(extend(tmp_path, "sae:\n  latents: 9\n"), root=tmp_path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == ("full/child.yaml", 4, "sae.latents")
    assert "no effect" in problem.message


# --set


def test_overrides(tmp_path: Path) -> None:
    loaded = load_text(
        tmp_path,
        GOOD,
        "train.steps=7",
        "train.optimizer.lr=1e-2",
        "sweep.grid.loss.sparsity.coefficient=[0.5]",
        "sweep.zip=null",
        "data.correlation={kind: none}",
        "claims.goldilocks_zone=null",
        "title=on",
    )
    spec = loaded.spec
    assert (spec.train.steps, spec.train.optimizer.lr, spec.title) == (7, 0.01, "on")
    assert (spec.sweep.zip, spec.claims, spec.data.correlation.kind) == ({}, {}, "none")
    assert spec.sweep.grid["loss.sparsity.coefficient"] == [0.5]
    assert (loaded.origin("train.steps").kind, str(loaded.origin("train.steps"))) == ("override", "--set:1:1")
    assert str(loaded.origin("train.batch")) == "spec.yaml:23:3"


@pytest.mark.parametrize(
    ("setting", "path", "said"),
    [
        ("train.steps=1.5", "train.steps", "must be a whole number"),
        ("train.stps=1", "train.stps", "did you mean steps?"),
        ("train.steps=[", "train.steps", "not closed"),
        ("train.steps=.nan", "train.steps", "not a finite number"),
        ("train.steps", "", "is no `key=value`"),
        ("=3", "", "is no `key=value`"),
        ("measure.0.batches=3", "measure.0.batches", "set the whole list: measure=[…]"),
        ("sae.latents=3", "sae.latents", "sweep.grid sets this field in every cell"),
        ("sweep.grid.sae.latent=[3]", "sweep.grid.sae.latent", "did you mean sae.latents?"),
    ],
)
def test_a_wrong_override(tmp_path: Path, setting: str, path: str, said: str) -> None:
    problem = one_problem(tmp_path, GOOD, "train.batch=8", setting)
    assert (problem.file, problem.line, problem.column, problem.path) == ("--set", 2, 1, path)
    assert said in str(problem)


def test_an_override_does_not_move_what_it_does_not_set(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, edit("  batch: 256\n", ""), "train.steps=3")
    assert [(p.file, p.line, p.path) for p in problems] == [("spec.yaml", 21, "train.batch")]


# origins


def test_where_a_cell_has_its_values_from(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, GOOD)
    first, last = loaded.points[0].swept, loaded.points[-1].swept
    expected = {
        "data.kind": "spec.yaml:8:3",
        "data.correlation.kind": "spec.yaml:12:3",
        "data.correlation.strength": "default",
        "data.jitter": "default",
        "loss.sparsity.coefficient": "spec.yaml:29:5",
        "sae.latents": "spec.yaml:30:5",
        "data.dim": "spec.yaml:32:16",
        "seed": "spec.yaml:35:8",
    }
    assert {path: str(loaded.origin(path, first)) for path in expected} == expected
    assert str(loaded.origin("train.optimizer.lr", first)) == "spec.yaml:24:27"
    assert str(loaded.origin("train.optimizer.lr", last)) == "spec.yaml:36:17"
    assert str(loaded.origin("data.dim", last)) == "spec.yaml:32:20"
    assert loaded.origin("data.dim", last).kind == "sweep"
    assert str(loaded.origin("data.dim")) == "spec.yaml:9:3"


# speed


def test_a_long_spec_loads_at_once(tmp_path: Path) -> None:
    figure = GOOD[GOOD.index("  fig03_mmcs:") : GOOD.index("\nclaims:")]
    more = "".join(figure.replace("fig03_mmcs", f"figure_{i}") for i in range(45))
    text = edit("figures:\n", f"figures:\n{more}")
    assert text.count("\n") > 300
    load_text(tmp_path, text)
    started = time.process_time()
    load_text(tmp_path, text)
    assert time.process_time() - started < 0.15  # 0.01 s on an idle machine


def test_the_language_imports_nothing_heavy() -> None:
    heavy = ["torch", "duckdb", "dvc", "altair", "pyarrow", "numpy", "scipy", "jsonschema"]
    code = (
        "import sys, saespec.spec, saespec.spec.language.schema, saespec.plan.cells; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_hub_model_needs_a_revision() -> None:
    """A folder does not."""
    PretrainedModel(kind="pretrained", name="./mine")
    with pytest.raises(ValueError, match="is a hub id and needs a revision"):
        PretrainedModel(kind="pretrained", name="someone/something")


# alternatives

SITE = "{layer: 2, place: mlp_hidden}"
MODEL = "{kind: pretrained, name: a/b, revision: main}"
ACTIVATIONS = f"""\
version: 1
name: sites
title: Sites
data:
  kind: transformer
  model: {MODEL}
  corpus: {{kind: hub, name: a/texts, revision: main, config: books}}
  site: {SITE}
  dim: 8
  tokens: 1000
  held_out_tokens: 100
  context: 16
sae: {{kind: relu, latents: 8}}
loss: {{reconstruction: mean, sparsity: {{kind: l1, coefficient: 0.1, per: latents}}}}
train: {{steps: 5, batch: 8, optimizer: {{lr: 0.001}}}}
measure: [losses]
"""

NAME, MODULE = "{name: ln_final.hook_normalized}", "{module: a.b, of: input}"


@pytest.mark.parametrize("base", [SITE, NAME, MODULE, "{place: embed}"])
@pytest.mark.parametrize(
    ("setting", "set_to"),
    [
        (f"data.site={NAME}", {"name": "ln_final.hook_normalized"}),
        ("data.site.name=ln_final.hook_normalized", {"name": "ln_final.hook_normalized"}),
        ("data.site={module: a.b, of: input}", {"module": "a.b", "of": "input"}),
        ("data.site={layer: 1, place: attn_out}", {"layer": 1, "place": "attn_out"}),
        ("data.site.place=embed", {"place": "embed"}),
    ],
)
def test_another_form_of_a_site_replaces_the_one_there_is(
    tmp_path: Path, base: str, setting: str, set_to: dict[str, object]
) -> None:
    text = ACTIVATIONS.replace(SITE, base)
    path, _, value = setting.partition("=")
    *way, key = path.split(".")[1:]
    section = f"{{{key}: {value}}}" if way == [] else f"{{{way[0]}: {{{key}: {value}}}}}"
    write(tmp_path, text, "base.yaml")
    child = write(tmp_path, f"extends: base.yaml\nname: child\ndata: {section}\n", "child.yaml")
    loaded = [load_text(tmp_path, text, setting), load(child, root=tmp_path)]
    swept = load_text(tmp_path, f"{text}sweep: {{cases: [{{{path}: {value}}}]}}\n").points[0]
    for data in (*(one.spec.data for one in loaded), swept.config.data):
        assert data.site.model_dump(exclude_unset=True) == set_to  # type: ignore[union-attr]


def test_what_stays_in_the_same_form_merges(tmp_path: Path) -> None:
    data = load_text(
        tmp_path, ACTIVATIONS, "data.site.layer=1", "data.corpus={held_out: 0.2}", "data.model.dtype=bfloat16"
    ).spec.data
    assert data.site.model_dump(exclude_unset=True) == {"layer": 1, "place": "mlp_hidden"}  # type: ignore[union-attr]
    assert (data.corpus.name, data.corpus.held_out) == ("a/texts", 0.2)  # type: ignore[union-attr]
    assert data.model.revision == "main"  # type: ignore[union-attr]
    other_place = load_text(tmp_path, ACTIVATIONS, "data.site.place=attn_out").spec.data
    assert other_place.site.layer == 2  # type: ignore[union-attr]


def test_a_revision_belongs_to_its_name(tmp_path: Path) -> None:
    folder = load_text(tmp_path, ACTIVATIONS, "data.model.name=./mine").spec.data
    assert folder.model.revision is None  # type: ignore[union-attr]
    assert "needs a revision" in one_problem(tmp_path, ACTIVATIONS, "data.model.name=c/d").message
    texts = load_text(tmp_path, ACTIVATIONS, "data.corpus={name: c/d, revision: v1}").spec.data
    assert texts.corpus.config is None  # type: ignore[union-attr]
    pairs = "sweep: {zip: {data.model.revision: [v1, v2], data.model.name: [c/d, e/f]}}\n"
    found = [p.config.data.model.revision for p in load_text(tmp_path, ACTIVATIONS + pairs).points]  # type: ignore[union-attr]
    assert found == ["v1", "v2"]


def test_a_folder_has_no_revision_and_text_files_no_column(tmp_path: Path) -> None:
    vain = {
        "data.model={name: ./mine, revision: main}": ("data.model.revision", "is for hub ids"),
        "data.corpus={kind: files, paths: [a/*.txt], column: body}": (
            "data.corpus.column",
            "is for JSON lines",
        ),
        "data.corpus={kind: files, paths: [a.jsonl], documents: line}": (
            "data.corpus.documents",
            "is for text files",
        ),
    }
    for setting, (path, said) in vain.items():
        problem = one_problem(tmp_path, ACTIVATIONS, setting)
        assert problem.path == path
        assert said in problem.message
