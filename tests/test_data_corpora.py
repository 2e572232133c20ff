"""Corpora: fixed order, parts by document, and errors that say what to do."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_sample import WORDS, sentences
from pydantic import TypeAdapter

from saespec.data.text.corpora import content_hash, documents, is_held_out
from saespec.data.text.tokens import END_OF_TEXT, Tokens, contexts, end_of_text, train_tokenizer
from saespec.errors import CallError
from saespec.spec.corpus import Corpus


def corpus(**fields: Any) -> Corpus:
    made: Corpus = TypeAdapter(Corpus).validate_python(fields)
    return made


def files(*paths: str, **fields: Any) -> Corpus:
    return corpus(kind="files", paths=list(paths), **fields)


def sources(package: str) -> Corpus:
    return corpus(kind="python_sources", packages=[f"{package}=={metadata.version(package)}"])


def both(made: Corpus, root: Path) -> list[str]:
    return [*documents(made, "train", root), *documents(made, "held-out", root)]


def test_a_document_is_in_one_part_and_copies_follow_it(tmp_path: Path) -> None:
    lines = sentences(400)
    (tmp_path / "a.txt").write_text("\n".join([*lines, *lines]))
    made = files("a.txt", documents="line", held_out=0.25)
    train = [line.strip() for line in documents(made, "train", tmp_path)]
    held_out = [line.strip() for line in documents(made, "held-out", tmp_path)]
    assert sorted(train + held_out) == sorted([*lines, *lines])
    assert not set(train) & set(held_out)
    assert 0.15 < len(held_out) / 800 < 0.35


def test_the_part_is_the_documents_own_and_not_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo\n\nthree\n")
    made = files("a.txt", documents="paragraph", held_out=0.5)
    for text in both(made, tmp_path):
        assert (text in list(documents(made, "held-out", tmp_path))) == is_held_out(text, 0.5)


def test_files_come_in_the_order_of_the_patterns_then_sorted_and_once(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(f"file {name}")
    made = files("c.txt", "*.txt", held_out=1e-9)
    assert list(documents(made, "train", tmp_path)) == ["file c", "file a", "file b"]


def test_json_lines_and_parquet_hold_a_document_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "one"}\n\n{"body": "two\\nlines"}\n{"body": null}\n')
    pq.write_table(pa.table({"body": ["three", None, " "], "n": [1, 2, 3]}), tmp_path / "b.parquet")
    made = files("a.jsonl", "b.parquet", column="body", held_out=1e-9)
    assert list(documents(made, "train", tmp_path)) == ["one", "two\nlines", "three"]


def test_paragraphs_lines_and_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\nmore\r\n \r\ntwo\r\n")

    def split(by: str) -> list[str]:
        return list(documents(files("a.txt", documents=by, held_out=1e-9), "train", tmp_path))

    assert split("file") == ["one\nmore\n \ntwo\n"]
    assert split("paragraph") == ["one\nmore\n", "two\n"]
    assert split("line") == ["one\n", "more\n", "two\n"]


def test_half_a_surrogate_pair_becomes_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a \\ud83d b"}')
    assert both(files("a.jsonl"), tmp_path) == ["a ? b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", None, r"no file a\.txt"),
        ("a.txt", b"\xff\xfe\x00", r"a\.txt: not UTF-8"),
        ("a.jsonl", b'{"text": 1}', r"a\.jsonl:1: 'text' holds int"),
        ("a.jsonl", b'{"text": ""}\n{"txt": ""}', r"a\.jsonl:2: no key 'text'; it has 'txt'"),
        ("a.jsonl", b"{", r"a\.jsonl:1: not JSON"),
        ("a.jsonl", b"[1]", r"a\.jsonl:1: .*JSON object"),
        ("a.parquet", b"PAR1", r"a\.parquet: cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CallError, match=message):
        both(files(name), tmp_path)


def test_a_missing_column_of_parquet_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(CallError, match="no column 'text'; it has 'body'"):
        both(files("a.parquet"), tmp_path)


def test_python_sources_are_the_files_of_the_package(tmp_path: Path) -> None:
    import iniconfig

    texts = both(sources("iniconfig"), tmp_path)
    assert Path(iniconfig.__file__).read_text() in texts
    assert not any("__version__ = version" in text for text in texts)  # _version.py, made by its build
    assert both(sources("iniconfig"), tmp_path) == texts


def test_a_local_version_is_the_same_version(tmp_path: Path) -> None:
    plain = sources("iniconfig")
    local = corpus(kind="python_sources", packages=[f"iniconfig=={metadata.version('iniconfig')}+cpu"])
    assert content_hash(plain, tmp_path) == content_hash(local, tmp_path)


def test_another_version_is_refused_with_both_and_what_to_do(tmp_path: Path) -> None:
    installed = metadata.version("iniconfig")
    with pytest.raises(CallError, match=rf"needs iniconfig==0\.1, but iniconfig {installed}.*pip install"):
        both(corpus(kind="python_sources", packages=["iniconfig==0.1"]), tmp_path)
    with pytest.raises(CallError, match="not installed: `pip install nothing_here==1`"):
        both(corpus(kind="python_sources", packages=["nothing_here==1"]), tmp_path)


def test_the_content_hash_follows_the_documents(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo")
    made = files("a.txt", documents="paragraph")
    before = content_hash(made, tmp_path)
    assert before == content_hash(made, tmp_path)
    assert before == content_hash(made.model_copy(update={"held_out": 0.9}), tmp_path)
    assert before != content_hash(files("a.txt"), tmp_path)  # one document is not two
    (tmp_path / "a.txt").write_text("one\n\nthree")
    assert before != content_hash(made, tmp_path)


# Tokens


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(sentences(200), 285)


def joined(blocks: list[Tokens]) -> Tokens:
    return Tokens(
        *(np.concatenate([getattr(b, n) for b in blocks]) for n in ("ids_CT", "mask_CT", "kept_CT"))
    )


def test_a_tokenizer_has_the_vocabulary_it_is_asked_for_and_reads_back_its_text(tokenizer: Any) -> None:
    text = "the cat saw naïve π \n\t and ran"
    assert len(tokenizer) == 285
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == end_of_text(tokenizer) == 0


def test_equal_text_makes_an_equal_tokenizer(tokenizer: Any) -> None:
    again = train_tokenizer(sentences(200), 285)
    assert json.loads(again.backend_tokenizer.to_str()) == json.loads(tokenizer.backend_tokenizer.to_str())


def test_too_little_text_for_a_vocabulary_is_refused() -> None:
    with pytest.raises(CallError, match="lower the tokenizer's vocabulary"):
        train_tokenizer(["a b"], 300)


def test_packed_contexts_hold_the_documents_one_after_the_other(tokenizer: Any) -> None:
    texts = sentences(50)
    whole = [i for text in texts for i in [*tokenizer(text)["input_ids"], 0]]
    blocks = list(contexts(texts, tokenizer, 16, "none", "packed", 10**9))
    made = joined(blocks)
    assert made.ids_CT.dtype == np.int32
    assert made.ids_CT.ravel().tolist() == whole[: made.ids_CT.size]
    assert len(whole) - made.ids_CT.size < 16
    assert made.mask_CT.all()
    assert made.kept_CT.all()


@pytest.mark.parametrize(("bos", "kept"), [("add", 16), ("skip", 15)])
def test_each_context_begins_with_the_beginning_of_text(tokenizer: Any, bos: Any, kept: int) -> None:
    plain = joined(list(contexts(sentences(50), tokenizer, 15, "none", "packed", 10**9)))
    made = joined(list(contexts(sentences(50), tokenizer, 16, bos, "packed", 10**9)))
    assert (made.ids_CT[:, 0] == 0).all()
    assert (made.ids_CT[:, 1:] == plain.ids_CT).all()
    assert (made.kept_CT.sum(axis=1) == kept).all()
    assert made.mask_CT.all()


def test_documents_apart_are_padded_and_padding_is_masked(tokenizer: Any) -> None:
    texts = ["the cat", " ".join(WORDS * 3), "", "a"]
    made = joined(list(contexts(texts, tokenizer, 8, "skip", "documents", 10**9)))
    assert len(made.ids_CT) == 3
    for row, mask, text in zip(made.ids_CT, made.mask_CT, [t for t in texts if t], strict=True):
        expected = [0, *tokenizer(text)["input_ids"]][:8]
        assert row[mask].tolist() == expected
        assert mask.sum() == len(expected)
        assert mask[: len(expected)].all()
    assert (made.kept_CT.sum(axis=1) == made.mask_CT.sum(axis=1) - 1).all()


@pytest.mark.parametrize("packing", ["packed", "documents"])
def test_contexts_end_once_enough_is_kept(tokenizer: Any, packing: Any) -> None:
    made = joined(list(contexts(sentences(50), tokenizer, 16, "skip", packing, 100)))
    assert made.kept_CT.sum() >= 100
    assert made.kept_CT[:-1].sum() < 100


def test_blocks_do_not_change_what_they_hold(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = joined(list(contexts(sentences(50), tokenizer, 16, "none", "packed", 300)))
    monkeypatch.setattr("saespec.data.text.tokens.BLOCK", 48)
    blocks = list(contexts(sentences(50), tokenizer, 16, "none", "packed", 300))
    assert max(len(block.ids_CT) for block in blocks) == 3
    assert (joined(blocks).ids_CT == whole.ids_CT).all()
    assert (joined(blocks).kept_CT == whole.kept_CT).all()


def test_the_end_of_text_written_in_a_document_is_not_its_end(tokenizer: Any) -> None:
    made = joined(list(contexts([f"the {END_OF_TEXT} cat"], tokenizer, 4, "none", "documents", 8)))
    assert (made.ids_CT != end_of_text(tokenizer)).all()


ROLES = {
    "nobos": {"eos_token": "<eos>"},
    "noeos": {"bos_token": "<bos>", "pad_token": "<pad>"},
    "padeos": {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<eos>"},
    "boseos": {"bos_token": "<eos>", "eos_token": "<eos>", "pad_token": "<eos>"},
}
"""Tokenizers that lack a role, or give two roles to one token; ids 0 to 2 are <bos>, <eos>, <pad> in all."""


def with_roles(name: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=280,
        special_tokens=["<bos>", "<eos>", "<pad>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(sentences(50), trainer)
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=made, **ROLES[name])


TEXTS = ["a mat", "the cat sat on a mat", "<eos> and <bos>", "a"]


@pytest.mark.parametrize(
    ("name", "bos", "packing"),
    [
        ("nobos", "none", "packed"),
        ("nobos", "none", "documents"),
        ("padeos", "none", "packed"),
        ("padeos", "skip", "packed"),
        ("padeos", "skip", "documents"),
        ("boseos", "none", "packed"),
        ("boseos", "skip", "packed"),
        ("boseos", "skip", "documents"),
    ],
)
def test_skipped_special_tokens_are_read_and_not_kept(name: str, bos: Any, packing: Any) -> None:
    """All that is kept is text, and all text is: also what only looks like a special token."""
    tokenizer = with_roles(name)
    kept = joined(list(contexts(TEXTS, tokenizer, 5, bos, packing, 10**9, "keep")))
    made = joined(list(contexts(TEXTS, tokenizer, 5, bos, packing, 10**9, "skip")))
    assert (made.ids_CT == kept.ids_CT).all()
    assert (made.mask_CT == kept.mask_CT).all()
    assert (made.kept_CT == (kept.mask_CT & (kept.ids_CT > 2))).all()
    separators = packing == "packed"
    assert bool((kept.kept_CT & (kept.ids_CT <= 2)).any()) == separators, "bos: skip alone leaves them in"
    text = [i for t in TEXTS for i in tokenizer(t, split_special_tokens=True)["input_ids"]]
    if packing == "packed":
        found = made.ids_CT[made.kept_CT].tolist()
        assert found == text[: len(found)]


@pytest.mark.parametrize("name", ["padeos", "boseos"])
def test_bos_skip_leaves_out_the_first_place_alone(name: str) -> None:
    made = joined(list(contexts(TEXTS, with_roles(name), 5, "skip", "packed", 10**9)))
    assert not made.kept_CT[:, 0].any()
    assert made.kept_CT[:, 1:].all()
    assert (made.ids_CT[:, 1:] == 1).any(), "the separators among them"


@pytest.mark.parametrize(
    ("name", "bos", "packing", "said"),
    [
        ("nobos", "skip", "packed", "no beginning-of-text token: write bos: none"),
        ("nobos", "add", "documents", "no beginning-of-text token: write bos: none"),
        ("noeos", "none", "packed", "no end-of-text token"),
        ("noeos", "skip", "documents", "no end-of-text token"),
    ],
)
def test_a_tokenizer_that_lacks_a_token_is_refused(name: str, bos: Any, packing: Any, said: str) -> None:
    with pytest.raises(CallError, match=said):
        list(contexts(TEXTS, with_roles(name), 5, bos, packing, 10**9, "skip"))


def test_contexts_end_once_enough_text_is_kept() -> None:
    texts = sentences(50)
    made = joined(list(contexts(texts, with_roles("boseos"), 16, "skip", "packed", 100, "skip")))
    assert made.kept_CT.sum() >= 100
    assert made.kept_CT[:-1].sum() < 100
