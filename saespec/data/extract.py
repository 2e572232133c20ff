"""Extraction: a model runs over a corpus once, and its activations go to the store, shard by shard.

Legend: C contexts, T tokens of a context, V vectors, D dimensions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saespec.errors import CallError, StageError
from saespec.plan.inputs import Extraction, extraction_folder, model_id, site_key, site_mark
from saespec.spec.transformer import PretrainedModel, TransformerData

from . import corpora, models, sites, store
from .activations import check_dim
from .interrupt import Interrupted
from .source import HELD_OUT, TRAIN
from .store import DTYPES, Manifest
from .tokens import Tokens, contexts

BATCH_TOKENS = {"cpu": 2**13, "cuda": 2**17}
"""Tokens of a forward pass, by kind of device."""


def extraction_is_finished(extraction: Extraction, root_of_store: Path) -> bool:
    """Whether the store has every site of an extraction."""
    return all((root_of_store / site_mark(extraction.data, site)).exists() for site in extraction.sites)


def extract(
    extraction: Extraction,
    root_of_store: Path,
    root: Path,
    device: torch.device,
    report: Callable[[int, int, float], None],
    stop: Callable[[], bool],
) -> None:
    """Write the activations of every site that the store lacks, in one pass over the corpus for all of them.

    What is there of an earlier run is kept: it continues at the first missing shard, with the same result.
    `report(tokens, of, tokens_per_second)` is called after each forward pass. Raises Interrupted once `stop()` is
    true; CallError if the corpus has too few tokens, a site does not exist or has other dimensions than the spec
    says; StageError if the disk is full or a value does not fit the store's precision.
    """
    data, folder = extraction.data, extraction_folder(root_of_store, extraction.data)
    loaded = models.load_model(data, root_of_store, root, device)
    limits: dict[corpora.Part, int] = {TRAIN: data.tokens, HELD_OUT: data.held_out_tokens}
    for part, limit in limits.items():
        _tokenise(data, folder, part, limit, loaded.tokenizer, root)
    dims = {site_key(s): d for s, d in zip(extraction.sites, extraction.dims, strict=True)}
    missing = {site_key(s): s for s in extraction.sites if not (root_of_store / site_mark(data, s)).exists()}
    shards: dict[str, dict[str, list[store.Shard]]] = {key: {} for key in missing}
    done, computed, begun = 0, 0, time.perf_counter()
    for part, limit in limits.items():
        writers = {key: _Writer(folder / key, part, limit, dims[key], data.dtype) for key in missing}
        tokens, place = store.read_contexts(folder, part), 0
        for block in _blocks(tokens, max(1, BATCH_TOKENS[device.type] // data.context)):
            if stop():
                raise Interrupted
            kept = int(np.count_nonzero(block.kept_CT))
            if any(writer.wants(place, place + kept) for writer in writers.values()):
                for key, vectors_VD in _forward(loaded.model, missing, block, device).items():
                    check_dim(dims[key], vectors_VD.shape[1], key)
                    writers[key].add(place, vectors_VD)
                computed += kept
            place += kept
            rate = computed / max(1e-9, time.perf_counter() - begun)
            report(done + place, sum(limits.values()), rate)
        done += place
        for key, writer in writers.items():
            shards[key][part] = writer.records()
    made_by = loaded.revision if isinstance(data.model, PretrainedModel) else model_id(data)
    text = corpora.content_hash(data.corpus, root)
    for key in missing:
        store.write_manifest(folder / key, Manifest(key, data.dtype, dims[key], made_by, text, shards[key]))


def _blocks(tokens: Tokens, size: int) -> Iterator[Tokens]:
    for i in range(0, len(tokens.ids_CT), size):
        yield Tokens(tokens.ids_CT[i : i + size], tokens.mask_CT[i : i + size], tokens.kept_CT[i : i + size])


def _tokenise(
    data: TransformerData, folder: Path, part: corpora.Part, limit: int, tokenizer: Any, root: Path
) -> None:
    """Write the contexts of a part, unless they are there."""
    if (folder / part / "contexts.json").exists():
        return
    documents = corpora.documents(data.corpus, part, root)
    blocks = contexts(documents, tokenizer, data.context, data.bos, data.packing, limit)
    found = store.write_contexts(folder, part, blocks, limit)
    if found < limit:
        (folder / part / "contexts.json").unlink()
        field = "data.tokens" if part == TRAIN else "data.held_out_tokens"
        raise CallError(
            f"the {part} part of the corpus has {found:,} tokens to take activations at, not {limit:,}: "
            f"lower {field}, or take more text"
        )


@torch.no_grad()
def _forward(model: Any, wanted: dict[str, Any], block: Tokens, device: torch.device) -> dict[str, Tensor]:
    """Vectors [V, D] of the kept tokens at each site, by site key, as the model computes them."""
    ids_CT = torch.from_numpy(np.array(block.ids_CT)).long().to(device)
    whole = bool(block.mask_CT.all())
    mask_CT = None if whole else torch.from_numpy(np.array(block.mask_CT)).long().to(device)
    kept_CT = torch.from_numpy(np.array(block.kept_CT)).to(device)
    with sites.capture(model, list(wanted.values())) as found:
        model(input_ids=ids_CT, attention_mask=mask_CT)
    everything = bool(kept_CT.all())
    return {key: (found[key].flatten(0, 1) if everything else found[key][kept_CT]) for key in wanted}


class _Writer:
    """The shards of one site and part: takes vectors in order, writes those shards that are missing."""

    def __init__(self, folder: Path, part: str, rows: int, dim: int, dtype: str) -> None:
        self._folder, self._part, self._rows, self._dtype = folder, part, rows, DTYPES[dtype]
        self._size = store.shard_rows(dim, dtype)
        self._dim = dim
        folder.mkdir(parents=True, exist_ok=True)
        numbers = range(-(-rows // self._size))
        self._missing = {n for n in numbers if store.read_shard_record(self._path(n)) is None}
        self._open: tuple[int, Tensor] | None = None

    def wants(self, start: int, stop: int) -> bool:
        """Whether any vector from `start` to `stop` belongs to a missing shard."""
        return any(n in self._missing for n in range(start // self._size, -(-stop // self._size)))

    def add(self, start: int, vectors_VD: Tensor) -> None:
        """Take the vectors from place `start` on."""
        stop = start + len(vectors_VD)
        for n in range(start // self._size, -(-stop // self._size)):
            if n not in self._missing:
                continue
            first, last = n * self._size, min((n + 1) * self._size, self._rows)
            low, high = max(first, start), min(last, stop)
            if self._open is None or self._open[0] != n:
                self._open = n, torch.empty(last - first, self._dim, dtype=self._dtype)
            self._open[1][low - first : high - first] = vectors_VD[low - start : high - start]
            if high == last:
                self._write(n, self._open[1])

    def records(self) -> list[store.Shard]:
        """The records of all shards; all are finished."""
        found = [store.read_shard_record(self._path(n)) for n in range(-(-self._rows // self._size))]
        assert not self._missing
        return [record for record in found if record is not None]

    def _write(self, number: int, vectors_VD: Tensor) -> None:
        if not torch.isfinite(vectors_VD).all():
            hint = " (float16 ends at 65,504: take dtype: bfloat16)" if self._dtype == torch.float16 else ""
            raise StageError(f"activations at {self._folder.name} are not finite in {self._dtype}{hint}")
        store.write_shard(self._path(number), vectors_VD)
        self._missing.remove(number)
        self._open = None

    def _path(self, number: int) -> Path:
        return store.shard_path(self._folder, self._part, number)
