"""A small corpus of made-up sentences, and data sections on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from saespec.spec.transformer import TransformerData

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "that", "rat", "ran", "to", "an", "old", "oak"]


def sentences(number: int) -> list[str]:
    """Each word says which ones may follow it, so that there is something to learn."""
    draw = np.random.default_rng(0)
    made = []
    for _ in range(number):
        at, words = int(draw.integers(len(WORDS))), []
        for _ in range(12):
            words.append(WORDS[at])
            at = (3 * at + int(draw.integers(3))) % len(WORDS)
        made.append(" ".join(words))
    return made


def write_corpus(root: Path, number: int = 300) -> None:
    (root / "corpus.txt").write_text("\n".join(sentences(number)))


def transformer_data(model: dict[str, Any] | None = None, **fields: Any) -> TransformerData:
    """A tiny trained model on the corpus that `write_corpus` writes, with changes."""
    train = {"tokens": 30 * 64, "batch": 4, "lr": 1e-2, "weight_decay": 0.1, "warmup": 0.1}
    shape = {"layers": 2, "width": 8, "heads": 2, "mlp": 16, "context": 16}
    trained = {
        "kind": "trained",
        **shape,
        "tokenizer": {"kind": "bpe", "vocabulary": 280},
        "train": train,
        **(model or {}),
    }
    section = {
        "kind": "transformer",
        "model": model if model and "kind" in model else trained,
        "corpus": {"kind": "files", "paths": ["corpus.txt"], "documents": "line", "held_out": 0.2},
        "site": {"layer": 0, "place": "mlp_out"},
        "dim": 8,
        "tokens": 100,
        "held_out_tokens": 50,
        "context": 16,
        **fields,
    }
    return TransformerData.model_validate(section)
