"""Architectures of trained models: the spec's section as a `transformers` configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saespec.errors import CallError
from saespec.spec.transformer import TrainedModel

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def architecture(model: TrainedModel, vocabulary: int, end_of_text: int) -> PreTrainedConfig:
    """The configuration of an untrained decoder; what the section does not say is the family's default.

    Raises CallError if `transformers` has no such activation function.
    """
    from transformers import AutoConfig
    from transformers.activations import ACT2FN

    if model.activation not in ACT2FN:
        raise CallError(
            f"transformers has no activation function {model.activation!r}; it has {', '.join(sorted(ACT2FN))}"
        )
    fields = _gpt2(model) if model.family == "gpt2" else _others(model)
    return AutoConfig.for_model(
        model.family,
        vocab_size=vocabulary,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
        tie_word_embeddings=model.tied_embeddings,
        initializer_range=model.init,
        use_cache=False,
        **fields,
    )


def _gpt2(model: TrainedModel) -> dict[str, Any]:
    return {
        "n_layer": model.layers,
        "n_embd": model.width,
        "n_head": model.heads,
        "n_inner": model.mlp,
        "n_positions": model.context,
        "activation_function": model.activation,
        "resid_pdrop": model.dropout,
        "embd_pdrop": model.dropout,
        "attn_pdrop": model.dropout,
    }


def _others(model: TrainedModel) -> dict[str, Any]:
    more: dict[str, Any] = {"attention_dropout": model.dropout}
    if model.family == "gpt_neox":
        more["hidden_dropout"] = model.dropout
    else:
        more["num_key_value_heads"] = model.heads
    return {
        "num_hidden_layers": model.layers,
        "hidden_size": model.width,
        "num_attention_heads": model.heads,
        "intermediate_size": model.mlp,
        "max_position_embeddings": model.context,
        "hidden_act": model.activation,
        **more,
    }
