"""Hook sites, on a tiny model with random weights of every family."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from tiny_models import CONFIGURATIONS, ENCODERS, HIDDEN, LAYERS, WIDTH, some_ids, tiny
from torch import Tensor

from saespec.data.language.sites import capture, replace, resolve, widths
from saespec.errors import CallError
from saespec.plan.inputs import site_key
from saespec.spec.families import FAMILIES
from saespec.spec.transformer import Place, Site

TYPES = sorted(CONFIGURATIONS)
DECODERS = [name for name in TYPES if name not in ENCODERS]
PLACES = [place for place in get_args(Place) if place != "embed"]
IDS = some_ids(2, 7)


def at(place: str, layer: int | None = 1) -> Site:
    return Site.model_validate({"place": place} if place == "embed" else {"place": place, "layer": layer})


def named(name: str) -> Site:
    return Site(name=name)


def taken(model: Any, *sites: Site, ids: Tensor = IDS, **inputs: Any) -> list[Tensor]:
    with capture(model, sites) as found:
        model(input_ids=ids, **inputs)
    return [found[site_key(site)] for site in sites]


def close(a: Tensor, b: Tensor) -> bool:
    return bool(torch.allclose(a, b, rtol=1e-5, atol=1e-5))


def test_every_family_has_a_tiny_model() -> None:
    covered = {FAMILIES[name].places["resid_mid"] + FAMILIES[name].blocks for name in TYPES}
    assert covered == {known.places["resid_mid"] + known.blocks for known in FAMILIES.values()}


@pytest.mark.parametrize("model_type", TYPES)
def test_the_residual_stream_is_what_output_hidden_states_gives(model_type: str) -> None:
    model = tiny(model_type)
    states = model(input_ids=IDS, output_hidden_states=True).hidden_states
    before = taken(model, *(at("resid_pre", layer) for layer in range(LAYERS)))
    after = taken(model, *(at("resid_post", layer) for layer in range(LAYERS)))
    assert torch.equal(taken(model, at("embed"))[0], states[0])
    for layer in range(LAYERS):
        assert torch.equal(before[layer], states[layer])
        if layer + 1 < LAYERS or model_type in ENCODERS:  # a decoder's last one is after its final norm
            assert torch.equal(after[layer], states[layer + 1])


@pytest.mark.parametrize("model_type", DECODERS)
def test_attention_and_mlp_are_added_to_the_stream(model_type: str) -> None:
    pre, attn, mid, mlp, post = taken(
        tiny(model_type), *(at(p) for p in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"))
    )
    assert close(mid, pre + attn)
    assert close(post, mid + mlp)
    assert not close(attn, mlp)


@pytest.mark.parametrize("model_type", sorted(ENCODERS))
def test_in_encoders_the_sums_go_through_a_norm(model_type: str) -> None:
    model = tiny(model_type)
    pre, attn, mid, mlp, post = taken(
        model, *(at(p) for p in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"))
    )
    before_mid, before_post, normalised = taken(
        model,
        named("blocks.1.hook_resid_mid"),
        named("blocks.1.hook_resid_post"),
        named("blocks.1.hook_normalized_resid_post"),
    )
    assert close(before_mid, pre + attn)
    assert close(before_post, mid + mlp)
    assert torch.equal(normalised, post)
    assert close(mid.mean(-1), torch.zeros(2, 7))


@pytest.mark.parametrize("model_type", TYPES)
def test_the_hidden_layer_makes_what_the_mlp_adds(model_type: str) -> None:
    model = tiny(model_type)
    last = {"bert": "output.dense", "distilbert": "ffn.lin2", "gpt2": "mlp.c_proj"}
    dense = {"gpt_neox": "mlp.dense_4h_to_h"}
    inner = {**last, **dense, "roberta": "output.dense", "electra": "output.dense"}.get(
        model_type, "mlp.down_proj"
    )
    path = resolve(model, at("resid_post")).module
    hidden, entered = taken(model, at("mlp_hidden"), at("mlp_in"))
    assert hidden.shape == (2, 7, HIDDEN)
    assert entered.shape == (2, 7, WIDTH)
    (out,) = taken(model, Site(module=f"{path}.{inner}"))
    assert torch.equal(model.get_submodule(f"{path}.{inner}")(hidden), out)


@pytest.mark.parametrize("model_type", ["gpt2", "gpt_neox"])
def test_neurons_are_taken_after_the_activation_function(model_type: str) -> None:
    model = tiny(model_type)
    path = resolve(model, at("mlp_out")).module
    hidden, activated, pre = taken(
        model, at("mlp_hidden"), Site(module=f"{path}.act"), named("blocks.1.mlp.hook_pre")
    )
    assert torch.equal(hidden, activated)
    assert torch.equal(model.get_submodule(f"{path}.act")(pre), hidden)


def test_gated_neurons_are_the_product_with_the_gate() -> None:
    model = tiny("llama")
    post, pre, linear = taken(
        model, *(named(f"blocks.1.mlp.hook_{name}") for name in ("post", "pre", "pre_linear"))
    )
    assert torch.equal(torch.nn.functional.silu(pre) * linear, post)


@pytest.mark.parametrize("model_type", DECODERS)
def test_transformer_lens_names_are_places(model_type: str) -> None:
    model = tiny(model_type)
    pairs = {
        "hook_resid_pre": "resid_pre",
        "hook_resid_mid": "resid_mid",
        "hook_resid_post": "resid_post",
        "hook_attn_out": "attn_out",
        "hook_mlp_out": "mlp_out",
        "mlp.hook_post": "mlp_hidden",
    }
    for name, place in pairs.items():
        assert resolve(model, named(f"blocks.2.{name}")) == resolve(model, at(place, 2))


@pytest.mark.parametrize("model_type", TYPES)
def test_hook_embed_is_the_embedding_alone(model_type: str) -> None:
    model = tiny(model_type)
    (x,) = taken(model, named("hook_embed"))
    assert torch.equal(x, model.get_input_embeddings()(IDS))


@pytest.mark.parametrize("model_type", TYPES)
def test_heads_side_by_side_enter_the_output_matrix(model_type: str) -> None:
    model = tiny(model_type)
    (z,) = taken(model, named("blocks.1.attn.hook_z"))
    site = resolve(model, named("blocks.1.attn.hook_z"))
    assert site.side == "input"
    assert torch.equal(model.get_submodule(site.module)(z), taken(model, Site(module=site.module))[0])


@pytest.mark.parametrize("model_type", TYPES)
def test_several_sites_of_one_pass_equal_each_by_itself(model_type: str) -> None:
    model = tiny(model_type)
    sites = [at("resid_post", 2), at("mlp_hidden", 0), at("attn_out", 1), at("embed")]
    for site, x in zip(sites, taken(model, *sites), strict=True):
        assert torch.equal(x, taken(model, site)[0])


def test_the_pass_ends_at_the_deepest_site() -> None:
    model, ran = tiny("gpt2"), []
    handles = [
        module.register_forward_pre_hook(lambda module, args, path=path: ran.append(path))
        for path, module in model.named_modules()
    ]
    taken(model, at("mlp_hidden", 1), at("embed"))
    for handle in handles:
        handle.remove()
    assert "transformer.h.1.mlp.act" in ran
    assert not {"transformer.h.1.mlp.c_proj.", "transformer.h.2", "transformer.ln_f", "lm_head"} & set(ran)


def test_no_hook_stays_behind() -> None:
    model = tiny("gpt2")
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    logits = model(input_ids=IDS).logits
    taken(model, at("resid_mid"))
    with replace(model, at("resid_mid"), torch.zeros_like):
        assert not torch.equal(model(input_ids=IDS).logits, logits)
    with pytest.raises(RuntimeError, match="mine"), capture(model, [at("resid_post")]):
        raise RuntimeError("mine")
    assert torch.equal(model(input_ids=IDS).logits, logits)
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("place", [*PLACES, "embed"])
def test_splicing_the_identity_changes_no_logit(model_type: str, place: str) -> None:
    model = tiny(model_type)
    logits = model(input_ids=IDS).logits
    with replace(model, at(place), lambda x: x.clone()):
        assert torch.equal(model(input_ids=IDS).logits, logits)


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("place", [*PLACES, "embed"])
def test_splicing_changes_what_comes_after(model_type: str, place: str) -> None:
    model = tiny(model_type)
    logits = model(input_ids=IDS).logits
    with replace(model, at(place), lambda x: x + torch.linspace(-1, 1, x.shape[-1])):
        assert not close(model(input_ids=IDS).logits, logits)


@pytest.mark.parametrize("model_type", DECODERS)
def test_a_spliced_residual_stream_forgets_what_was_before(model_type: str) -> None:
    model = tiny(model_type)
    other = some_ids(2, 7, seed=1)
    for place in ("resid_pre", "resid_mid", "resid_post"):
        (x,) = taken(model, at(place))
        with replace(model, at(place), lambda _, x=x: x):
            assert torch.equal(model(input_ids=other).logits, model(input_ids=IDS).logits)


@pytest.mark.parametrize("model_type", DECODERS)
def test_zeroing_what_the_mlp_adds_leaves_the_middle_of_the_stream(model_type: str) -> None:
    model = tiny(model_type)
    with replace(model, at("mlp_out"), torch.zeros_like):
        mid, post = taken(model, at("resid_mid"), at("resid_post"))
    assert torch.equal(mid, post)


def test_a_module_that_returns_several_values_keeps_the_others() -> None:
    model = tiny("gpt2")
    base = Site(module="transformer")  # returns a ModelOutput; its blocks' attention a tuple
    with replace(model, base, torch.zeros_like), replace(model, at("attn_out"), torch.zeros_like):
        out = model(input_ids=IDS, use_cache=True)
    assert torch.equal(out.logits, torch.zeros_like(out.logits))
    assert out.past_key_values is not None


def test_replacements_are_taken_in_the_models_dtype() -> None:
    model = tiny("gpt2", use_cache=False).to(torch.bfloat16)
    try:
        with replace(model, at("mlp_hidden"), lambda x: x.double()):
            assert model(input_ids=IDS).logits.dtype == torch.bfloat16
    finally:
        model.to(torch.float32)


def test_splices_add_up() -> None:
    model = tiny("gpt2")
    with (
        replace(model, at("mlp_out", 0), torch.zeros_like),
        replace(model, at("attn_out", 0), torch.zeros_like),
    ):
        pre, post = taken(model, at("resid_pre", 0), at("resid_post", 0))
    assert torch.equal(pre, post)


def test_padding_leaves_real_tokens_alone() -> None:
    padded = torch.cat([IDS, some_ids(2, 3, seed=5)], dim=1)
    mask = torch.ones_like(padded)
    mask[:, 7:] = 0
    for model_type in TYPES:
        model = tiny(model_type)
        (alone,) = taken(model, at("resid_post", 2))
        (beside,) = taken(model, at("resid_post", 2), ids=padded, attention_mask=mask)
        assert close(beside[:, :7], alone), model_type


def test_a_parallel_block_has_no_middle() -> None:
    model = tiny("gpt_neox", use_parallel_residual=True)
    with pytest.raises(
        CallError, match=r"no site 1\.resid_mid: it has embed, and in layers 0 to 2 resid_pre,"
    ):
        resolve(model, at("resid_mid"))
    with pytest.raises(CallError, match=r"no site blocks\.1\.hook_resid_mid"):
        resolve(model, named("blocks.1.hook_resid_mid"))
    pre, attn, mlp, post = taken(model, *(at(p) for p in ("resid_pre", "attn_out", "mlp_out", "resid_post")))
    assert close(post, pre + attn + mlp)


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (at("resid_pre", 3), r"no site 3\.resid_pre: it has embed, and in layers 0 to 2 resid_pre, attn_out"),
        (
            named("blocks.3.hook_resid_pre"),
            r"with L from 0 to 2 blocks\.L\.attn\.hook_z, blocks\.L\.hook_attn",
        ),
        (named("blocks.1.hook_nothing"), r"no site blocks\.1\.hook_nothing: it has hook_embed"),
        (named("ln_final"), r"no site ln_final: it has hook_embed"),
        (Site(module="transformer.h.1.mlp.atc"), r"did you mean transformer\.h\.1\.mlp\.act"),
        (Site(module="transformer.h.7.mlp"), r"transformer\.h has 0, 1, 2"),
        (Site(module="nothing"), r"no module nothing: it starts with transformer or lm_head"),
    ],
)
def test_a_site_that_is_not_there_lists_those_that_are(site: Site, message: str) -> None:
    with pytest.raises(CallError, match=message):
        resolve(tiny("gpt2"), site)


def test_another_family_needs_a_module_path() -> None:
    from transformers import AutoModelForCausalLM, OPTConfig

    config = OPTConfig(
        vocab_size=40, hidden_size=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32, word_embed_proj_dim=16,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    with pytest.raises(
        CallError, match=r"not known for models of type opt; give the path of a module, such as m"
    ):
        resolve(model, at("resid_pre"))
    (x,) = taken(model, Site(module="model.decoder.layers.1.self_attn"))
    assert x.shape == (2, 7, 16)
    (y,) = taken(model, Site(module="model.decoder.layers.1", of="input"))
    assert y.shape == (2, 7, 16)


def test_a_model_without_its_head_has_the_same_sites() -> None:
    model = tiny("gpt2")
    assert torch.equal(taken(model.transformer, at("resid_post"))[0], taken(model, at("resid_post"))[0])


def test_a_module_that_never_runs_is_an_error() -> None:
    with pytest.raises(CallError, match=r"never runs transformer\.h\.1\.attn\.attn_dropout"):
        taken(tiny("gpt2"), Site(module="transformer.h.1.attn.attn_dropout"))


def test_a_module_without_a_vector_for_each_token_is_an_error() -> None:
    with pytest.raises(CallError, match=r"site transformer\.wpe\.output has no vector for each token"):
        widths(tiny("gpt2"), [Site(module="transformer.wpe")])


def test_widths() -> None:
    sites = [at("mlp_hidden", 0), at("attn_out", 2), Site(module="lm_head")]
    assert widths(tiny("gpt2"), sites) == {"0.mlp_hidden": HIDDEN, "2.attn_out": WIDTH, "lm_head.output": 40}
