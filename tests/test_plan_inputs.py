"""Trained models and extractions: what names them, which stages make them, and what a lost one makes stale."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells import cell

from saespec.errors import SpecError
from saespec.plan import identity
from saespec.plan.build import plan as build
from saespec.plan.cost import input_costs
from saespec.plan.freshness import freshness
from saespec.plan.identity import cell_id
from saespec.plan.inputs import disk_bytes, extraction_id, extractions, model_id, trained_models
from saespec.plan.model import Plan
from saespec.plan.stages import stages
from saespec.spec.language.load import load
from saespec.spec.transformer import TransformerData

SPEC = """\
version: 1
name: tiny_transformer
title: A tiny transformer
data:
  kind: transformer
  model:
    kind: trained
    layers: 2
    width: 16
    heads: 2
    mlp: 64
    context: 32
    tokenizer: {kind: bpe, vocabulary: 300}
    train: {tokens: 2000, batch: 16, lr: 1.0e-3}
  corpus: {kind: files, paths: [text/*.txt]}
  context: 32
  site: {layer: 1, place: mlp_hidden}
  dim: 64
  tokens: 2000
  held_out_tokens: 200
sae: {kind: relu, latents: 64}
loss: {reconstruction: sum, sparsity: {kind: l1, coefficient: 0.1, per: sample}}
train: {steps: 50, batch: 64, optimizer: {lr: 1.0e-3}}
sweep: {grid: {data.site.layer: [0, 1], sae.latents: [64, 128]}}
measure: [losses]
"""


def planned(folder: Path, text: str = SPEC, *settings: str) -> Plan:
    path = folder / "specs" / "tiny_transformer.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return build(load(path, settings, root=folder), folder)


def sections(plan: Plan) -> list[TransformerData]:
    found = [cell.config.data for cell in plan.cells]
    assert all(isinstance(data, TransformerData) for data in found)
    return found  # type: ignore[return-value]


def test_sites_share_one_model_and_one_extraction(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert len(trained_models(plan.cells)) == 1
    (one,) = extractions(plan.cells)
    assert [site.layer for site in one.sites] == [0, 1]
    assert disk_bytes(plan.cells) == 2 * 2200 * 64 * 2


def test_another_inputs_version_changes_cells_on_activations_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (section, *_), own, toy = sections(planned(tmp_path)), planned(tmp_path).cells[0].config, cell().config
    before = cell_id(toy), cell_id(own), extraction_id(section)
    monkeypatch.setattr(identity, "INPUTS", identity.INPUTS + 1)
    after = cell_id(toy), cell_id(own), extraction_id(section)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, False]


@pytest.mark.parametrize(
    ("setting", "model", "extraction"),
    [
        ("sae.latents=32", True, True),
        ("seed=1", True, True),
        ("data.normalise=rms", True, True),
        ("data.tokens=3000", True, False),
        ("data.dtype=float32", True, False),
        ("data.bos=add", True, False),
        ("data.special_tokens=keep", True, True),
        ("data.special_tokens=skip", True, False),
        ("data.model.seed=1", False, False),
        ("data.model.train.lr=0.01", False, False),
        ("data.corpus.revision=second", False, False),
    ],
)
def test_what_is_shared_is_what_is_equal(tmp_path: Path, setting: str, model: bool, extraction: bool) -> None:
    text = SPEC.replace("sweep: {grid: {data.site.layer: [0, 1], sae.latents: [64, 128]}}\n", "")
    (before,) = sections(planned(tmp_path, text))
    (after,) = sections(planned(tmp_path, text, setting))
    assert (model_id(before) == model_id(after)) == model
    assert (extraction_id(before) == extraction_id(after)) == extraction


def test_cells_of_specs_that_say_nothing_of_special_tokens_keep_their_ids(tmp_path: Path) -> None:
    """Digests without the field: of the version that did not have it, but for what NUMERICS 2 changed."""
    plan = planned(tmp_path)
    assert extraction_id(sections(plan)[0]) == "fc9e715945b5"
    assert plan.cells[0].id == "8de8506d999a"


def test_a_group_waits_for_the_sites_of_its_cells_alone(tmp_path: Path) -> None:
    text = SPEC.replace("data.site.layer: [0, 1], sae.latents: [64, 128]", "sae.latents: [64, 128]")
    text += "  # one site\n"
    plan = planned(tmp_path, text)
    by_kind = {stage.kind: stage for stage in plan.stages}
    model, extract, train = by_kind["model"], by_kind["extract"], by_kind["train"]
    assert extract.deps == tuple(out.path for out in model.outs)
    assert train.deps == tuple(out.path for out in extract.outs)
    assert {*extract.deps, *train.deps} <= set(by_kind["measure"].deps)


def test_a_site_more_is_a_site_more(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    one = [cell for cell in plan.cells if cell.config.data.site.layer == 1]  # type: ignore[union-attr]
    fewer = stages(plan.spec, plan.sources, one, [])
    before, after = (next(s for s in some if s.kind == "extract") for some in (fewer, plan.stages))
    assert before.name == after.name
    assert {out.path for out in before.outs} < {out.path for out in after.outs}
    assert before.fingerprint != after.fingerprint


def test_what_the_store_lost_is_stale(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    told = {state.stage.kind: state for state in freshness(plan, tmp_path)}
    assert told["extract"].reasons == ("has not run yet",)
    (stage,) = (stage for stage in plan.stages if stage.kind == "model")
    (mark,) = stage.marks
    assert str(mark).startswith("models/")


def test_a_spec_beyond_its_budget_is_refused_with_the_size(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        planned(tmp_path, SPEC + "budget_gb: 0.0001\n")
    (problem,) = error.value.problems
    assert (problem.line, problem.path) == (26, "budget_gb")
    assert "0.000563 GB on disk, more than the budget of 0.0001 GB" in problem.message


def test_models_and_extractions_are_estimated(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    found = input_costs(plan)
    assert set(found) == {stage.name for stage in plan.stages if stage.kind in ("model", "extract")}
    assert sum(one.disk_bytes for one in found.values()) > disk_bytes(plan.cells)
    assert all(one.seconds > 0 for one in found.values())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "layer: 1, place: mlp_hidden",
            "layer: 5, place: mlp_hidden",
            "must be less than the model's layers (2)",
        ),
        ("dim: 64", "dim: 16", "must be 64 at mlp_hidden, not 16 (write dim: 64)"),
        ("layer: 1, place: mlp_hidden", "layer: 1, module: a.b", "goes with place only"),
        ("layer: 1, place: mlp_hidden", "place: mlp_hidden", "needs a layer"),
        (
            "{layer: 1, place: mlp_hidden}",
            "{}",
            "a site is given by one of place (with layer), name, or module",
        ),
        (
            "{layer: 1, place: mlp_hidden}",
            "{name: blocks.2.mlp.hook_post}",
            "names a block that must be less than the model's layers (2)",
        ),
        ("heads: 2", "heads: 3", "must divide the width (16)"),
        ("context: 32\n  site", "context: 64\n  site", "must be at most the model's (32)"),
        (
            "context: 32\n  site",
            "context: 32\n  bos: add\n  special_tokens: skip\n  site",
            "skip leaves out the vector that bos: add takes (write bos: skip, or special_tokens: keep)",
        ),
        ("files, paths: [text/*.txt]", "python_sources, packages: [torch]", "needs a version"),
        ("place: mlp_hidden", "place: mlp_hiden", "did you mean mlp_hidden?"),
        ("measure: [losses]", "measure: [recovery]", "needs data whose features are known"),
    ],
)
def test_mistakes_in_a_transformer_section(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = SPEC.replace("sweep: {grid: {data.site.layer: [0, 1], sae.latents: [64, 128]}}\n", "")
    assert old in text
    with pytest.raises(SpecError) as error:
        planned(tmp_path, text.replace(old, new))
    assert said in "\n".join(str(problem) for problem in error.value.problems)
