"""Extraction into the activation store, and the bare forward pass of the same model cut at the same layer.

A randomly initialised GPT-2 reads the Python files of an installed package. One process; the same contexts, batch
and precision. Bare: `transformers`' own base model without its later blocks and its output matrix, whose result
nobody keeps. One line of JSON a round.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from saespec.stages.threads import wait_briefly

wait_briefly()  # before torch is imported, as in a stage

# ruff: noqa: E402
import torch

from benchmarks import machine
from saespec.data.activations import contexts
from saespec.data.activations.extract import BATCH_TOKENS, extract
from saespec.data.language import models
from saespec.data.parts import TRAIN
from saespec.data.text import corpora, tokens
from saespec.plan.inputs import Extraction, extraction_folder, extraction_id, site_key
from saespec.plan.project import store_folder
from saespec.spec.transformer import TransformerData

from . import workload as w

LAYERS, LAYER, HEADS, CONTEXT, VOCABULARY = 6, 2, 4, 128, 4096


def section(width: int, place: str, vectors: int) -> TransformerData:
    """The data section: a place of a block in the model's middle."""
    return TransformerData.model_validate(
        {
            "kind": "transformer",
            "model": {"kind": "pretrained", "name": "./model"},
            "corpus": {"kind": "python_sources", "packages": [f"networkx=={version('networkx')}"]},
            "site": {"layer": LAYER, "place": place},
            "dim": 4 * width if place == "mlp_hidden" else width,
            "tokens": vectors,
            "held_out_tokens": CONTEXT,
            "context": CONTEXT,
        }
    )


def write_model(data: TransformerData, width: int, root: Path) -> None:
    """Save an untrained model and a tokenizer of the corpus where the data section looks for them."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        n_embd=width,
        n_layer=LAYERS,
        n_head=HEADS,
        n_inner=4 * width,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    GPT2LMHeadModel(config).save_pretrained(root / "model")
    texts = (text for text, _ in zip(corpora.documents(data.corpus, "train", root), range(200), strict=False))
    tokens.train_tokenizer(texts, VOCABULARY).save_pretrained(root / "model")


def measure(
    root: Path, width: int, place: str, vectors: int, rounds: int, device: torch.device
) -> Iterator[dict[str, Any]]:
    """Extract, and run the bare model, in random order in each round."""
    data = section(width, place, vectors)
    write_model(data, width, root)
    vault = store_folder(root)
    extraction = Extraction(extraction_id(data), data, (data.site,), (data.dim,))
    folder = extraction_folder(vault, data)
    loaded = models.load_model(data, vault, root, device)
    model: Any = loaded.model.transformer
    model.h = model.h[: LAYER + 1]
    rates: list[float] = []

    def extracted() -> None:
        shutil.rmtree(folder / site_key(data.site), ignore_errors=True)  # the tokens stay
        rates.clear()
        extract(extraction, vault, root, device, lambda done, of, rate: rates.append(rate), lambda: False)

    def bare() -> float:
        ids_CT = torch.from_numpy(contexts.read(folder, TRAIN).ids_CT).to(device)
        size = BATCH_TOKENS[device.type] // CONTEXT
        w.synchronise(device)
        start = time.perf_counter()
        with torch.no_grad():
            for i in range(0, len(ids_CT), size):
                model(input_ids=ids_CT[i : i + size].long())
        w.synchronise(device)
        return float(ids_CT.numel() / (time.perf_counter() - start))

    machine.forget_peak()
    before = machine.memory_now(peak=False)
    whole = machine.now()
    extracted()  # with tokenising, loading the model and hashing the corpus
    seconds = machine.between(whole, machine.now()).seconds
    memory = machine.memory_now(peak=True) - before
    bare()
    for number in range(rounds):
        start = machine.now()
        speeds = {}
        for kind in random.Random(number).sample(("bare", "extraction"), 2):
            if kind == "bare":
                speeds[kind] = bare()
            else:
                extracted()
                speeds[kind] = rates[-1]
        yield {
            "round": number,
            "tokens_per_second": speeds["extraction"],
            "bare_tokens_per_second": speeds["bare"],
            "share": speeds["extraction"] / speeds["bare"],
            "whole_seconds": seconds,
            "memory_bytes": None if memory != memory else round(memory),
            "others": machine.between(start, machine.now()).others,
            "device_name": w.memory(device)["device_name"],
        }


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("width", "vectors", "rounds", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--place", choices=("mlp_hidden", "resid_post"), required=True)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sizes = (args.width, args.place, args.vectors, args.rounds)
        for row in measure(Path(folder), *sizes, torch.device(args.device)):
            print(json.dumps(row), flush=True)
        os.chdir("/")


if __name__ == "__main__":
    main()
