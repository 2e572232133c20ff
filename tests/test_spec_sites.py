"""A hook site by place, by TransformerLens name and by module path is one site: one key, one extraction, one cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_data_sites import IDS, at, named, taken
from test_spec_fields import TRANSFORMER
from tiny_models import CONFIGURATIONS, tiny

from saespec.data.language.sites import replace, resolve, tensor
from saespec.errors import SpecError
from saespec.plan.cells import resolve_cells
from saespec.plan.inputs import extractions, site_key, site_of
from saespec.spec.families import FAMILIES, NAMES_OF_PLACES
from saespec.spec.language.load import load
from saespec.spec.transformer import Site, TransformerData

TRAINED = {"gpt2": "gpt2", "gpt_neox": "gpt_neox", "llama": "llama"}
ALIASED = sorted(name for name in CONFIGURATIONS if FAMILIES[name].aliases)


def section(site: dict[str, Any], family: str = "gpt2") -> TransformerData:
    model = {**TRANSFORMER["model"], "layers": 3, "family": family, "mlp": 8}  # of every place as many
    return TransformerData.model_validate({**TRANSFORMER, "model": model, "site": site})


def written(site: Site) -> dict[str, Any]:
    return site.model_dump(exclude_unset=True)


@pytest.mark.parametrize("family", TRAINED)
def test_every_place_has_one_form_however_it_is_written(family: str) -> None:
    model = tiny(family) if family != "gpt_neox" else tiny(family, use_parallel_residual=True)
    names = {place: name for name, place in NAMES_OF_PLACES.items()}
    places = [place for place in FAMILIES[family].places if (family, place) != ("gpt_neox", "resid_mid")]
    for place in places:
        by_place = section({"layer": 1, "place": place}, family)
        assert written(by_place.site) == {"layer": 1, "place": place}
        found = resolve(model, at(place))
        forms: list[dict[str, Any]] = []
        if place in names:
            forms += [{"name": f"blocks.1.{names[place]}"}, {"name": f"blocks.01.{names[place]}"}]
        if not found.is_stream:
            forms.append({"module": found.module, "of": found.side})
        assert forms
        for form in forms:
            assert section(form, family) == by_place, form


@pytest.mark.parametrize("family", TRAINED)
def test_names_that_are_no_places_are_modules_too(family: str) -> None:
    model = tiny(family)
    for name in FAMILIES[family].names:
        found = resolve(model, named(f"blocks.2.{name}"))
        site = section({"module": found.module, "of": found.side}, family).site
        assert written(site) in ({"name": f"blocks.2.{name}"}, {"layer": 2, "place": "resid_pre"})
    embedding = resolve(model, named("hook_embed"))
    assert section({"module": embedding.module}, family).site == named("hook_embed")


@pytest.mark.parametrize("model_type", ALIASED)
def test_aliases_mean_the_same_tensor_and_the_same_splice(model_type: str) -> None:
    model, known = tiny(model_type), FAMILIES[model_type]
    block = resolve(model, at("resid_post")).module
    logits = model(input_ids=IDS).logits

    def module(hook: str) -> Site:
        inner, _, side = hook.partition("@")
        return Site.model_validate({"module": f"{block}.{inner}", "of": side})

    def spliced(site: Site) -> torch.Tensor:
        with replace(model, site, lambda x: x * 0.5 + torch.linspace(-1, 1, x.shape[-1])):
            out: torch.Tensor = model(input_ids=IDS).logits
        return out

    for alias, hook in known.aliases.items():
        first, second = module(alias), module(hook)
        assert torch.equal(*taken(model, first, second)), alias
        assert torch.equal(spliced(first), spliced(second)), alias
        assert not torch.equal(spliced(first), logits)
        assert tensor(model, first) == tensor(model, second)
        if model_type in TRAINED:
            assert section(written(first), model_type).site == section(written(second), model_type).site
            assert section(written(first), model_type).site.module is None, alias


def test_what_is_spliced_differently_is_another_site() -> None:
    """What a norm reads is the stream, but the stream itself goes past it."""
    model = tiny("gpt2")
    read = Site(module="transformer.h.1.ln_2", of="input")
    assert tensor(model, read) == tensor(model, at("resid_mid"))
    assert written(section(written(read)).site) == {"name": "blocks.1.hook_mlp_in"}


def test_a_family_that_nobody_knows_yet_keeps_what_depends_on_it() -> None:
    pretrained = {**TRANSFORMER, "model": {"kind": "pretrained", "name": "a/b", "revision": "main"}}

    def form(site: dict[str, Any]) -> dict[str, Any]:
        return written(TransformerData.model_validate({**pretrained, "site": site}).site)

    assert form({"name": "blocks.7.mlp.hook_post"}) == {"layer": 7, "place": "mlp_hidden"}
    assert form({"name": "blocks.7.hook_resid_pre"}) == {"layer": 7, "place": "resid_pre"}
    kept = [{"name": "blocks.7.hook_resid_post"}, {"module": "transformer.h.7.mlp", "of": "output"}]
    assert [form(site) for site in kept] == kept


def test_keys_lead_back_to_their_sites() -> None:
    for site in (
        at("mlp_in", 11),
        at("embed"),
        named("blocks.2.attn.hook_z"),
        Site(module="h.2.mlp", of="input"),
    ):
        assert site_of(site_key(site)) == site


SWEEP = """\
sweep: {{cases: [{{data.site: {{layer: 1, place: attn_out}}}}, {{data.site: {{{form}}}}}]}}
"""
SPEC = """\
version: 1
name: sites
title: Sites
data:
  kind: transformer
  model: {{kind: trained, layers: 3, width: 8, heads: 2, mlp: 32, context: 16,
    tokenizer: {{kind: bpe, vocabulary: 300}}, train: {{tokens: 1000, batch: 4, lr: 0.001}}}}
  corpus: {{kind: files, paths: [a.txt]}}
  site: {{{form}}}
  dim: 8
  tokens: 1000
  held_out_tokens: 100
  context: 16
sae: {{kind: relu, latents: 8}}
loss: {{reconstruction: mean, sparsity: {{kind: l1, coefficient: 0.1, per: latents}}}}
train: {{steps: 5, batch: 8, optimizer: {{lr: 0.001}}}}
measure: [losses]
"""
FORMS = ["layer: 1, place: attn_out", "name: blocks.1.hook_attn_out", "module: transformer.h.1.attn"]


def test_cells_and_extractions_are_the_same_and_values_are_found(tmp_path: Path) -> None:
    ids, keys = set(), set()
    for form in FORMS:
        (tmp_path / "spec.yaml").write_text(SPEC.format(form=form))
        loaded = load(tmp_path / "spec.yaml", root=tmp_path)
        (cell,) = resolve_cells(loaded)
        ids.add(cell.id)
        keys.add((extractions([cell])[0].id, site_key(extractions([cell])[0].sites[0])))
        assert str(loaded.origin("data.site.place")).startswith("spec.yaml:9:")
    assert len(ids) == 1
    assert {key for _, key in keys} == {"1.attn_out"}


@pytest.mark.parametrize("form", FORMS[1:])
def test_a_sweep_with_one_site_twice_is_refused(tmp_path: Path, form: str) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.format(form="place: embed") + SWEEP.format(form=form))
    with pytest.raises(SpecError, match="is there twice"):
        load(tmp_path / "spec.yaml", root=tmp_path)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            "name: blocks.3.hook_attn_out",
            "site.name: names a block that must be less than the model's layers (3)",
        ),
        ("module: transformer.h.3.attn", "site.module: names a block that must be less than"),
        ("name: blocks.1.mlp.hook_post", "dim: must be 32 at mlp_hidden, not 8 (write dim: 32)"),
    ],
)
def test_a_site_in_any_form_is_held_to_the_model(tmp_path: Path, form: str, said: str) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.format(form=form))
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "spec.yaml", root=tmp_path)
    assert said in str(caught.value)
