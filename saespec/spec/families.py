"""Where the places of known model families lie: one table for each.

A hook is written `path@side`: the path of a module within a block, and which side of it. `@input` alone is the
block's own input. `=input` means that the residual stream itself passes there and not a copy for this module:
what is spliced in must be written into the tensor, or the stream would go past it.

TransformerLens names are those of its `HookedTransformer`, whose values agree where its weights are not folded
or centred (`from_pretrained_no_processing`); `hook_z` has its heads side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Family:
    """Hooks of a family of models.

    blocks    path of the list of blocks, within the base model
    places    place → hook in a block
    names     TransformerLens name within a block → hook in a block, where it is no place by another name
    embedding path of the token embedding, within the base model
    aliases   hook in a block → the hook above that means the same tensor, read by the same modules
    """

    blocks: str
    embedding: str
    places: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def place_of(self, hook: str) -> str | None:
        """The place that a hook is, if it is one."""
        return next((place for place, own in self.places.items() if own == hook), None)

    def name_of(self, hook: str) -> str | None:
        """The TransformerLens name of a hook that is no place, if it has one."""
        return next((name for name, own in self.names.items() if own == hook), None)

    def hook_of(self, name: str) -> str | None:
        """The hook of a TransformerLens name within a block."""
        return self.names.get(name, self.places.get(NAMES_OF_PLACES.get(name, "")))


NAMES_OF_PLACES = {
    "hook_resid_pre": "resid_pre",
    "hook_resid_mid": "resid_mid",
    "hook_resid_post": "resid_post",
    "hook_attn_out": "attn_out",
    "hook_mlp_out": "mlp_out",
    "mlp.hook_post": "mlp_hidden",
}
"""TransformerLens names within a block that are places by another name, where a family says nothing else."""

GPT2 = Family(
    blocks="h",
    embedding="wte",
    places={
        "resid_pre": "@input",
        "attn_out": "attn@output",
        "resid_mid": "ln_2=input",
        "mlp_in": "mlp@input",
        "mlp_hidden": "mlp.c_proj@input",
        "mlp_out": "mlp@output",
        "resid_post": "@output",
    },
    names={
        "attn.hook_z": "attn.c_proj@input",
        "hook_mlp_in": "ln_2@input",
        "mlp.hook_pre": "mlp.c_fc@output",
    },
    aliases={
        "attn.c_proj@output": "attn@output",
        "attn.resid_dropout@input": "attn@output",
        "attn.resid_dropout@output": "attn@output",
        "ln_2@output": "mlp@input",
        "mlp.c_fc@input": "mlp@input",
        "mlp.act@input": "mlp.c_fc@output",
        "mlp.act@output": "mlp.c_proj@input",
        "mlp.c_proj@output": "mlp@output",
        "mlp.dropout@input": "mlp@output",
        "mlp.dropout@output": "mlp@output",
    },
)

GPT_NEOX = Family(
    blocks="layers",
    embedding="embed_in",
    places={
        "resid_pre": "@input",
        "attn_out": "attention@output",
        "resid_mid": "post_attention_layernorm=input",
        "mlp_in": "mlp@input",
        "mlp_hidden": "mlp.dense_4h_to_h@input",
        "mlp_out": "mlp@output",
        "resid_post": "@output",
    },
    names={
        "attn.hook_z": "attention.dense@input",
        "hook_mlp_in": "post_attention_layernorm@input",
        "mlp.hook_pre": "mlp.dense_h_to_4h@output",
    },
    aliases={
        "attention.dense@output": "attention@output",
        "post_attention_dropout@input": "attention@output",
        "post_attention_dropout@output": "attention@output",
        "post_attention_layernorm@output": "mlp@input",
        "mlp.dense_h_to_4h@input": "mlp@input",
        "mlp.act@input": "mlp.dense_h_to_4h@output",
        "mlp.act@output": "mlp.dense_4h_to_h@input",
        "mlp.dense_4h_to_h@output": "mlp@output",
        "post_mlp_dropout@input": "mlp@output",
        "post_mlp_dropout@output": "mlp@output",
    },
)

_LLAMA_NAMES = {
    "attn.hook_z": "self_attn.o_proj@input",
    "mlp.hook_pre": "mlp.gate_proj@output",
    "mlp.hook_pre_linear": "mlp.up_proj@output",
}

LLAMA = Family(
    blocks="layers",
    embedding="embed_tokens",
    places={
        "resid_pre": "@input",
        "attn_out": "self_attn@output",
        "resid_mid": "post_attention_layernorm=input",
        "mlp_in": "mlp@input",
        "mlp_hidden": "mlp.down_proj@input",
        "mlp_out": "mlp@output",
        "resid_post": "@output",
    },
    names={**_LLAMA_NAMES, "hook_mlp_in": "post_attention_layernorm@input"},
    aliases={
        "self_attn.o_proj@output": "self_attn@output",
        "post_attention_layernorm@output": "mlp@input",
        "mlp.act_fn@input": "mlp.gate_proj@output",
        "mlp.down_proj@output": "mlp@output",
    },
)

GEMMA2 = Family(
    # Attention and MLP have a norm after them too: what they add to the stream is what comes out of it.
    blocks="layers",
    embedding="embed_tokens",
    places={
        "resid_pre": "@input",
        "attn_out": "post_attention_layernorm@output",
        "resid_mid": "pre_feedforward_layernorm=input",
        "mlp_in": "mlp@input",
        "mlp_hidden": "mlp.down_proj@input",
        "mlp_out": "post_feedforward_layernorm@output",
        "resid_post": "@output",
    },
    names={**_LLAMA_NAMES, "hook_mlp_in": "pre_feedforward_layernorm@input"},
)

BERT = Family(
    # The norms lie on the residual stream: its places are after them; TransformerLens names it before them too.
    blocks="encoder.layer",
    embedding="embeddings.word_embeddings",
    places={
        "resid_pre": "@input",
        "attn_out": "attention.output.dense@output",
        "resid_mid": "attention@output",
        "mlp_in": "intermediate@input",
        "mlp_hidden": "output.dense@input",
        "mlp_out": "output.dense@output",
        "resid_post": "@output",
    },
    names={
        "attn.hook_z": "attention.output.dense@input",
        "hook_resid_mid": "attention.output.LayerNorm@input",
        "mlp.hook_pre": "intermediate.dense@output",
        "hook_resid_post": "output.LayerNorm@input",
        "hook_normalized_resid_post": "@output",
    },
)

DISTILBERT = Family(
    blocks="transformer.layer",
    embedding="embeddings.word_embeddings",
    places={
        "resid_pre": "@input",
        "attn_out": "attention@output",
        "resid_mid": "sa_layer_norm@output",
        "mlp_in": "ffn@input",
        "mlp_hidden": "ffn.lin2@input",
        "mlp_out": "ffn@output",
        "resid_post": "@output",
    },
    names={
        "attn.hook_z": "attention.out_lin@input",
        "hook_resid_mid": "sa_layer_norm@input",
        "mlp.hook_pre": "ffn.lin1@output",
        "hook_resid_post": "output_layer_norm@input",
        "hook_normalized_resid_post": "@output",
    },
)

FAMILIES = {
    "gpt2": GPT2,
    "gpt_neox": GPT_NEOX,
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "gemma": LLAMA,
    "gemma2": GEMMA2,
    "gemma3": GEMMA2,
    "gemma3_text": GEMMA2,
    "bert": BERT,
    "roberta": BERT,
    "xlm-roberta": BERT,
    "camembert": BERT,
    "electra": BERT,
    "distilbert": DISTILBERT,
}
"""`transformers` model type → its family."""


def family(model_type: str, config: object) -> Family | None:
    """The family of a model, less the places that its configuration rules out; None if it is not known."""
    found = FAMILIES.get(model_type)
    if found is GPT_NEOX and getattr(config, "use_parallel_residual", True):
        # Attention and MLP read the same stream and are added to it together: there is no middle.
        places = {place: hook for place, hook in found.places.items() if place != "resid_mid"}
        return replace(found, places=places)
    return found
