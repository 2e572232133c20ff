"""Tokenizers, and documents as contexts of token ids.

Legend: C contexts, T tokens of a context.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from saespec.data import hub
from saespec.errors import CallError
from saespec.spec.transformer import NamedTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

END_OF_TEXT = "<|endoftext|>"

TOKENIZER_TEXT = 32_000_000
"""Characters that a tokenizer is trained on at most, from the first documents: more changes few merges."""

BLOCK = 2**17
"""Tokens of a block, about: what is in memory at once."""


@dataclass(frozen=True)
class Tokens:
    """A block of contexts.

    ids_CT   token ids, int32; padding holds the end-of-text token
    mask_CT  where there is a token and not padding, bool: the attention mask
    kept_CT  the tokens whose activations are wanted: all but padding, with `bos: skip` the first, and with
             `special_tokens: skip` every special one
    """

    ids_CT: NDArray[np.int32]
    mask_CT: NDArray[np.bool_]
    kept_CT: NDArray[np.bool_]


def train_tokenizer(documents: Iterable[str], vocabulary: int) -> PreTrainedTokenizerBase:
    """Byte-level BPE of `vocabulary` tokens, END_OF_TEXT (id 0) and the 256 bytes among them.

    Equal documents give an equal tokenizer. Raises CallError if the text is too short for the vocabulary.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_first_characters(documents, TOKENIZER_TEXT), trainer)
    found = tokenizer.get_vocab_size()
    if found < vocabulary:
        raise CallError(
            f"the corpus has words for {found} tokens only, not {vocabulary}: lower the tokenizer's vocabulary"
        )
    fast: Any = PreTrainedTokenizerFast
    made: PreTrainedTokenizerBase = fast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    )
    return made


def _first_characters(documents: Iterable[str], limit: int) -> Iterator[str]:
    for document in documents:
        yield document[:limit]
        limit -= len(document)
        if limit <= 0:
            return


def load_tokenizer(config: NamedTokenizer, root: Path) -> PreTrainedTokenizerBase:
    """A tokenizer of the hub, at a pinned revision, or of a folder relative to `root`.

    Raises CallError if there is none of that name or revision, StageError if the hub does not answer.
    """
    folder = hub.local_folder(config.name, root)
    if folder is not None:
        return read_tokenizer(folder)
    return read_tokenizer(config.name, hub.commit("model", config.name, config.revision))


def read_tokenizer(where: Path | str, commit: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, or of a hub id at a commit. Raises as `load_tokenizer` does."""
    from transformers import AutoTokenizer

    with hub.asking("model", str(where), commit or ""):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(where), revision=commit or "main", trust_remote_code=False, local_files_only=commit is None
        )
    return tokenizer


def end_of_text(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id between packed documents, and of padding. Raises CallError if the tokenizer has none."""
    for token in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        if token is not None:
            return int(token)
    raise CallError("the tokenizer has no end-of-text token: documents cannot be packed or padded with it")


def beginning_of_text(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that `bos: add` and `bos: skip` put first. Raises CallError if the tokenizer has none."""
    for token in (tokenizer.bos_token_id, tokenizer.cls_token_id):
        if token is not None:
            return int(token)
    raise CallError("the tokenizer has no beginning-of-text token: write bos: none")


def special_ids(tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int32]:
    """The ids that the tokenizer declares special, in order: by a role such as end of text, or added as special."""
    added = [id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special]
    return np.unique(np.array([*tokenizer.all_special_ids, *added], dtype=np.int32))


def contexts(
    documents: Iterable[str],
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    bos: Literal["none", "add", "skip"],
    packing: Literal["packed", "documents"],
    limit: int,
    special: Literal["keep", "skip"] = "keep",
) -> Iterator[Tokens]:
    """Contexts of `context` tokens, in the documents' order, in blocks of bounded size.

    It ends with the context that brings the kept tokens to `limit`, or earlier, when the documents end.
    Packed documents follow each other with an end-of-text token after each; what does not fill the last
    context is left out. Raises CallError if the tokenizer lacks a token that this needs.
    """
    first = [] if bos == "none" else [beginning_of_text(tokenizer)]
    ids = _encoded(documents, tokenizer)
    room = context - len(first)
    rows = _packed(ids, end_of_text(tokenizer), room) if packing == "packed" else (i[:room] for i in ids if i)
    skipped = special_ids(tokenizer) if special == "skip" else None
    size = max(1, BLOCK // context)
    while limit > 0 and (block := list(itertools.islice(rows, size))):
        made = _block([first + row for row in block], context, end_of_text(tokenizer), bos == "skip")
        if skipped is not None:
            made.kept_CT[np.isin(made.ids_CT, skipped)] = False
        kept_C = made.kept_CT.sum(axis=1).cumsum()
        needed = int(np.searchsorted(kept_C, limit)) + 1
        limit -= int(kept_C[-1])
        yield Tokens(made.ids_CT[:needed], made.mask_CT[:needed], made.kept_CT[:needed])


def _block(rows: list[list[int]], context: int, padding: int, skip_first: bool) -> Tokens:
    ids_CT = np.full((len(rows), context), padding, dtype=np.int32)
    for i, row in enumerate(rows):
        ids_CT[i, : len(row)] = row
    length_C1 = np.array([[len(row)] for row in rows])
    mask_CT = np.arange(context) < length_C1
    kept_CT = mask_CT.copy()
    if skip_first:
        kept_CT[:, 0] = False
    return Tokens(ids_CT, mask_CT, kept_CT)


def _packed(ids: Iterable[list[int]], separator: int, size: int) -> Iterator[list[int]]:
    """The ids one document after the other, cut into rows of `size`."""
    waiting: list[int] = []
    for document in ids:
        waiting.extend(document)
        waiting.append(separator)
        whole = len(waiting) // size * size
        for start in range(0, whole, size):
            yield waiting[start : start + size]
        del waiting[:whole]


def _encoded(documents: Iterable[str], tokenizer: Any) -> Iterator[list[int]]:
    """Token ids of each document, special tokens left out; read in bunches of bounded size."""
    for bunch in _bunches(documents):
        encoded = tokenizer(
            bunch,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            split_special_tokens=True,  # "<|endoftext|>" in a document is text, not its end
            verbose=False,  # of documents longer than the model: they are cut into contexts
        )
        yield from encoded["input_ids"]


def _bunches(documents: Iterable[str]) -> Iterator[list[str]]:
    bunch: list[str] = []
    characters = 0
    for document in documents:
        bunch.append(document)
        characters += len(document)
        if characters >= 4 * BLOCK:
            yield bunch
            bunch, characters = [], 0
    if bunch:
        yield bunch
