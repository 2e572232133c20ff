"""A tiny model and text in a project, and extractions of it, for the tests of the data room."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from saespec.data.activations import extract, store
from saespec.data.language.models import load_model
from saespec.data.parts import TRAIN
from saespec.data.text import tokens
from saespec.plan.inputs import Extraction, extraction_folder, extraction_id, site_key
from saespec.spec.transformer import Site, TransformerData

CPU = torch.device("cpu")
WORDS = ["import", "def", "return", "class", "self", "for", "in", "if", "else", "print", "range", "open"]
WIDTH, HIDDEN, CONTEXT, VOCABULARY = 16, 24, 16, 280
MLP = Site(layer=1, place="mlp_hidden")
POST = Site(layer=0, place="resid_post")


def gpt2_project(root: Path) -> Path:
    """Make a project of a folder: text, and a GPT-2 of two layers with random weights and its tokenizer."""
    from transformers import GPT2Config, GPT2LMHeadModel

    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 40))) + "\n" for _ in range(300)]
    write_texts(root, texts)
    tokenizer = tokens.train_tokenizer(texts, VOCABULARY)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_inner=HIDDEN, n_layer=2, n_head=2,
        initializer_range=0.3, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(root / "gpt2")
    tokenizer.save_pretrained(root / "gpt2")
    return root


def write_texts(root: Path, texts: list[str]) -> None:
    (root / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many shards with little data: 150 vectors of the hidden layer, and batches of 64 tokens."""
    monkeypatch.setattr(store, "SHARD_BYTES", HIDDEN * 4 * 150)
    monkeypatch.setattr(extract, "BATCH_TOKENS", {"cpu": 64})


def data(site: Site = MLP, **changes: Any) -> TransformerData:
    return TransformerData.model_validate(
        {
            "kind": "transformer",
            "model": {"kind": "pretrained", "name": "./gpt2"},
            "corpus": {"kind": "files", "paths": ["text.jsonl"], "held_out": 0.3},
            "site": site.model_dump(exclude_none=True, exclude_defaults=True),
            "dim": HIDDEN if site == MLP else WIDTH,
            "tokens": 1000,
            "held_out_tokens": 300,
            "context": CONTEXT,
            "dtype": "float32",
            **changes,
        }
    )


def run(
    section: TransformerData,
    store_folder: Path,
    root: Path,
    *others: Site,
    report: Callable[[int, int, float], None] = lambda done, of, rate: None,
    stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Extract a section's site and others, and return the extraction's folder."""
    sites = (section.site, *others)
    dims = (section.dim, *(data(site).dim for site in others))
    one = Extraction(extraction_id(section), section, sites, dims)
    extract.extract(one, store_folder, root, CPU, report, stop)
    assert extract.extraction_is_finished(one, store_folder)
    return extraction_folder(store_folder, section)


def vectors(folder: Path, site: Site, part: str = TRAIN) -> Tensor:
    found = store.Site(folder / site_key(site))
    return found.rows(part, 0, found.manifest.rows(part))


def hidden_states(section: TransformerData, root: Path, ids: Any) -> tuple[Tensor, ...]:
    model: Any = load_model(section, root, root, CPU).model
    found: tuple[Tensor, ...] = model(
        input_ids=torch.as_tensor(np.array(ids)).long(), output_hidden_states=True
    ).hidden_states
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
