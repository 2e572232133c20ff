"""Tiny models with random weights, one of each family."""

from __future__ import annotations

import functools
from typing import Any

import torch

LAYERS, WIDTH, HIDDEN, VOCABULARY, POSITIONS = 3, 16, 24, 40, 32

_SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "max_position_embeddings": POSITIONS,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
_GROUPED = {**_SHAPE, "num_key_value_heads": 1, "head_dim": 8}

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "vocab_size": VOCABULARY,
        "n_embd": WIDTH,
        "n_inner": HIDDEN,
        "n_layer": LAYERS,
        "n_head": 2,
        "n_positions": POSITIONS,
        "bos_token_id": None,
        "eos_token_id": None,
    },
    "gpt_neox": {**_SHAPE, "use_parallel_residual": False},
    "llama": {**_SHAPE, "num_key_value_heads": 1},
    "mistral": _GROUPED,
    "qwen2": {**_SHAPE, "num_key_value_heads": 1},
    "qwen3": _GROUPED,
    "gemma": _GROUPED,
    "gemma2": _GROUPED,
    "gemma3_text": _GROUPED,
    "bert": _SHAPE,
    "roberta": {**_SHAPE, "pad_token_id": 1},
    "electra": {**_SHAPE, "embedding_size": WIDTH},
    "distilbert": {
        "vocab_size": VOCABULARY,
        "dim": WIDTH,
        "hidden_dim": HIDDEN,
        "n_layers": LAYERS,
        "n_heads": 2,
        "max_position_embeddings": POSITIONS,
    },
}
"""Model type → its configuration."""

ENCODERS = {"bert", "roberta", "electra", "distilbert"}


@functools.cache
def tiny(model_type: str, **changes: Any) -> Any:
    """A model with its head, in eval mode and without gradients; the same one at each call."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    settings = {**CONFIGURATIONS[model_type], "initializer_range": 0.3, **changes}
    config = AutoConfig.for_model(model_type, **settings)
    auto = AutoModelForMaskedLM if model_type in ENCODERS else AutoModelForCausalLM
    torch.manual_seed(0)
    return auto.from_config(config).eval().requires_grad_(False)


def some_ids(*shape: int, seed: int = 0) -> torch.Tensor:
    """Token ids, none of them special."""
    return torch.randint(3, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))
