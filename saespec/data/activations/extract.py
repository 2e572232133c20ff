"""Extraction: a model runs over a corpus once, and its activations go to the store, shard by shard.

Legend: C contexts, T tokens of a context, V vectors, D dimensions.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saespec.data import hub
from saespec.data.language import models, sites
from saespec.data.language.models import Loaded
from saespec.data.parts import HELD_OUT, TRAIN
from saespec.data.text import corpora, tokens
from saespec.data.text.tokens import Tokens
from saespec.errors import CallError, Interrupted, StageError
from saespec.plan.inputs import Extraction, extraction_folder, site_key, site_mark, site_of
from saespec.results.lock import Notify, Stop, store_lock
from saespec.spec.transformer import Site, TransformerData

from . import contexts, store
from .store import DTYPES, PARTS, Manifest
from .stored import check_dim
from .withdraw import object_lock_name

WRITERS = 4
"""Shards that are hashed and written at once, at most, while the model runs."""

BATCH_TOKENS = {"cpu": 2**13, "cuda": 2**17}
"""Tokens of a forward pass, by kind of device."""


def extraction_is_finished(extraction: Extraction, root_of_store: Path) -> bool:
    """Whether the store has every site of an extraction, and their text: a look at what was written last."""
    folder = extraction_folder(root_of_store, extraction.data)
    marks = [root_of_store / site_mark(extraction.data, site) for site in extraction.sites]
    return all(path.exists() for path in (*marks, *(folder / part / contexts.RECORD for part in PARTS)))


def extract(
    extraction: Extraction,
    root_of_store: Path,
    root: Path,
    device: torch.device,
    report: Callable[[int, int, float], None],
    stop: Stop,
    notify: Notify = lambda message: None,
) -> None:
    """Write the activations of every site that the store lacks, in one pass over the corpus for all of them.

    What is there of an earlier run is kept: it continues at the first missing shard, with the same result.
    One process extracts; others wait, saying so to `notify`, and find what it made.
    `report(tokens, of, tokens_per_second)` is called after each forward pass. Raises Interrupted once `stop()` is
    true; CallError if the corpus has too few tokens, a site does not exist or has other dimensions than the spec
    says, or the model does not fit context or tokenizer; StageError if the disk is full, a value does not fit the
    store's precision, or the corpus is not the text that an earlier run began with.
    """
    folder = extraction_folder(root_of_store, extraction.data)
    with store_lock(root_of_store, object_lock_name(folder), notify, stop):
        if not extraction_is_finished(extraction, root_of_store):
            _extract(extraction, root_of_store, root, device, report, stop)


def _extract(
    extraction: Extraction,
    root_of_store: Path,
    root: Path,
    device: torch.device,
    report: Callable[[int, int, float], None],
    stop: Stop,
) -> None:
    data, folder = extraction.data, extraction_folder(root_of_store, extraction.data)
    loaded = models.load_model(data, root_of_store, root, device)
    loaded.model.config.use_cache = False  # of keys and values, which nobody reads
    with hub.quiet():
        _refuse_long_contexts(loaded, data)
        model = models.made_by(data, loaded)
        refuse_other_model(folder, model)
        missing = _missing(extraction, loaded, root_of_store)
        corpus = _tokenise(data, folder, loaded, root)
        twins = _twins(loaded.model, missing, folder)
        missing = {key: site for key, site in missing.items() if key not in twins}
        _pass(loaded.model, missing, data, folder, device, report, stop)
    for key, (_, dim) in missing.items():
        shards: dict[str, list[store.Shard]] = {
            part: _records(folder / key, part, rows, dim, data) for part, rows in _rows(data).items()
        }
        store.write_manifest(folder / key, Manifest(key, data.dtype, dim, model, corpus, shards))
    for key, other in twins.items():
        store.link(folder / other, folder / key)


def _twins(model: Any, missing: dict[str, tuple[Site, int]], folder: Path) -> dict[str, str]:
    """Missing sites whose tensor another site has, which is there or is extracted now: key → the other's key."""
    first: dict[tuple[str, str], str] = {}
    for path in sorted(folder.glob("*/manifest.json")):
        with contextlib.suppress(
            CallError
        ):  # another spec's word for a site, from before a model of that name changed
            first.setdefault(sites.tensor(model, site_of(path.parent.name)), path.parent.name)
    twins = {}
    for key, (site, _) in missing.items():
        if (other := first.setdefault(sites.tensor(model, site), key)) != key:
            twins[key] = other
    return twins


def refuse_other_model(folder: Path, model: str) -> None:
    """Raise StageError if an extraction holds another model's activations: a checkpoint's folder was written anew."""
    for path in sorted(folder.glob("*/manifest.json")):
        if store.read_manifest(path.parent).model != model:
            raise StageError(
                f"the model is not the one that the activations in {folder} come from: rename its folder and the "
                f"spec's data.model.name, or remove those activations and the cells of its specs"
            )


def _records(folder: Path, part: str, rows: int, dim: int, data: TransformerData) -> list[store.Shard]:
    """What is known of each shard of a site and part; all are finished."""
    paths = [store.shard_path(folder, part, n) for n in range(-(-rows // store.shard_rows(dim, data.dtype)))]
    found = [record for path in paths if (record := store.read_shard_record(path)) is not None]
    assert sum(record.rows for record in found) == rows, folder
    return found


def _rows(data: TransformerData) -> dict[corpora.Part, int]:
    """Vectors of each part."""
    return {TRAIN: data.tokens, HELD_OUT: data.held_out_tokens}


def _refuse_long_contexts(loaded: Loaded, data: TransformerData) -> None:
    longest = getattr(loaded.model.config, "max_position_embeddings", None)
    if longest is not None and data.context > longest:
        raise CallError(f"data.context is {data.context}, but the model knows {longest} positions: lower it")


def _missing(extraction: Extraction, loaded: Loaded, root_of_store: Path) -> dict[str, tuple[Site, int]]:
    """The sites that the store lacks, each with its dimensions, by site key. Raises CallError as `extract` does."""
    asked = dict(zip(extraction.sites, extraction.dims, strict=True))
    sites_of_model = [s for s in asked if not (root_of_store / site_mark(extraction.data, s)).exists()]
    found = sites.widths(loaded.model, sites_of_model) if sites_of_model else {}
    for site in sites_of_model:
        check_dim(asked[site], found[site_key(site)], site_key(site))
    return {site_key(site): (site, asked[site]) for site in sites_of_model}


def _tokenise(data: TransformerData, folder: Path, loaded: Loaded, root: Path) -> str:
    """Write the contexts of the parts that lack them, and return the corpus's content hash."""
    corpus = corpora.content_hash(data.corpus, root)
    for part, limit in _rows(data).items():
        before = contexts.corpus_sha256(folder, part)
        if before == corpus and contexts.is_there(folder, part):
            continue
        if before not in (None, corpus):
            raise StageError(
                f"the corpus is not the text that extraction {folder.name} began with: give `data.corpus` another "
                f"`revision:` (files), or install the packages again (python_sources)"
            )
        documents = corpora.documents(data.corpus, part, root)
        blocks = tokens.contexts(
            documents, loaded.tokenizer, data.context, data.bos, data.packing, limit, data.special_tokens
        )
        found = contexts.write(folder, part, _known(blocks, loaded.vocab), limit, corpus)
        if found < limit:
            field = "data.tokens" if part == TRAIN else "data.held_out_tokens"
            raise CallError(
                f"the {part} part of the corpus has {found:,} tokens to take activations at, not {limit:,}: "
                f"lower {field}, or take more text"
            )
    return corpus


def _known(blocks: Iterable[Tokens], vocabulary: int) -> Iterator[Tokens]:
    """The blocks, if the model knows their tokens."""
    for block in blocks:
        if (highest := int(block.ids_CT.max())) >= vocabulary:
            raise CallError(
                f"the tokenizer gives token {highest}, but the model's embedding ends at {vocabulary - 1}: "
                f"name the model's own tokenizer"
            )
        yield block


def _pass(
    model: Any,
    missing: dict[str, tuple[Site, int]],
    data: TransformerData,
    folder: Path,
    device: torch.device,
    report: Callable[[int, int, float], None],
    stop: Callable[[], bool],
) -> None:
    """Write the missing shards of these sites in one pass over both parts."""
    of = sum(_rows(data).values())
    done, computed, begun = 0, 0, time.perf_counter()
    size = max(1, BATCH_TOKENS[device.type] // data.context)
    with _Pool() as pool:
        for part, rows in _rows(data).items():
            writers = {
                key: _Writer(folder / key, part, rows, dim, data.dtype, pool)
                for key, (_, dim) in missing.items()
            }
            begin = done
            for block in contexts.blocks(folder, part, size):
                if stop():
                    raise Interrupted
                kept = int(np.count_nonzero(block.kept_CT))
                place = done - begin
                wanting = [missing[key][0] for key, w in writers.items() if w.wants(place, place + kept)]
                if wanting:
                    for key, vectors_VD in _forward(model, wanting, block, device).items():
                        assert len(vectors_VD) == kept, key
                        writers[key].add(place, vectors_VD)
                    computed += kept
                done += kept
                report(done, of, computed / max(1e-9, time.perf_counter() - begun))


@torch.no_grad()
def _forward(model: Any, wanted: list[Site], block: Tokens, device: torch.device) -> dict[str, Tensor]:
    """Vectors [V, D] of the kept tokens at each site, by site key, as the model computes them."""
    longest = int(block.mask_CT.sum(axis=1).max())  # what is padding everywhere is left out
    ids_CT, mask_CT, kept_CT = (
        torch.from_numpy(np.ascontiguousarray(values[:, :longest])).to(device)
        for values in (block.ids_CT, block.mask_CT, block.kept_CT)
    )
    # Attention has a faster path without a mask, and one that hides nothing is none.
    mask = None if block.mask_CT[:, :longest].all() else mask_CT.long()
    with sites.capture(model, wanted) as found:
        model(input_ids=ids_CT.long(), attention_mask=mask)
    everything = bool(block.kept_CT[:, :longest].all())
    return {key: x_CTD.flatten(0, 1) if everything else x_CTD[kept_CT] for key, x_CTD in found.items()}


class _Writer:
    """The shards of one site and part: takes vectors in order, writes those shards that are missing."""

    def __init__(self, folder: Path, part: str, rows: int, dim: int, dtype: str, pool: _Pool) -> None:
        self._paths = [
            store.shard_path(folder, part, n) for n in range(-(-rows // store.shard_rows(dim, dtype)))
        ]
        self._rows, self._dim, self._dtype, self._pool = rows, dim, DTYPES[dtype], pool
        self._size = store.shard_rows(dim, dtype)
        folder.mkdir(parents=True, exist_ok=True)
        self._missing = {n for n, path in enumerate(self._paths) if not store.shard_is_whole(path)}
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
                self._pool.write(self._paths[n], self._open[1])
                self._open = None


class _Pool:
    """Threads that hash and write shards while the model runs; so few wait that memory stays bounded."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(WRITERS, thread_name_prefix="shards")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._threads.shutdown(wait=True)  # what is whole is kept, also after an interruption
        if error is None:
            for one in self._waiting:
                one.result()

    def write(self, path: Path, vectors_VD: Tensor) -> None:
        """Write a shard soon. Raises what the writing of an earlier one raised."""
        self._waiting.append(self._threads.submit(store.write_shard, path, vectors_VD))
        while len(self._waiting) > WRITERS:
            self._waiting.popleft().result()
