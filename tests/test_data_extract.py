"""Extraction of a tiny model's activations."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from extract_sample import (
    CPU,
    MLP,
    POST,
    VOCABULARY,
    WORDS,
    contents,
    data,
    gpt2_project,
    hidden_states,
    run,
    small_shards,
    vectors,
    write_texts,
)

from saespec.data.activations import contexts, extract, store
from saespec.data.activations.stored import Activations
from saespec.data.parts import HELD_OUT, TRAIN
from saespec.data.streams import Streams
from saespec.data.text import tokens
from saespec.errors import CallError, DamagedFileError, Interrupted, SaespecError, StageError
from saespec.plan.inputs import extraction_folder, site_key
from saespec.spec.transformer import Site, TransformerData


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gpt2_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_shards(monkeypatch)


@pytest.mark.parametrize("bos", ["none", "add", "skip"])
def test_vectors_are_the_models_at_the_kept_tokens(gpt2: Path, tmp_path: Path, bos: str) -> None:
    section = data(POST, bos=bos)
    folder = run(section, tmp_path, gpt2)
    for part, count in ((TRAIN, 1000), (HELD_OUT, 300)):
        text = contexts.read(folder, part)
        assert text.kept_CT.sum() == count
        assert text.mask_CT.all()
        assert (text.ids_CT[:, 0] == 0).all() == (bos != "none")
        assert text.kept_CT[0, 0] == (bos != "skip")
        states = hidden_states(section, gpt2, text.ids_CT)[1]
        assert torch.allclose(vectors(folder, POST, part), states[torch.from_numpy(text.kept_CT)], atol=1e-5)


def test_no_document_is_in_both_parts(gpt2: Path, tmp_path: Path) -> None:
    folder = run(data(packing="documents", tokens=1200, held_out_tokens=400), tmp_path, gpt2)
    train, held_out = (
        {tuple(row) for row in contexts.read(folder, part).ids_CT} for part in (TRAIN, HELD_OUT)
    )
    assert not train & held_out


def test_padding_never_leaks_in(gpt2: Path, tmp_path: Path) -> None:
    section = data(POST, packing="documents")
    folder = run(section, tmp_path, gpt2)
    text = contexts.read(folder, TRAIN)
    assert not text.mask_CT.all()
    assert not (text.kept_CT & ~text.mask_CT).any()
    alone = [
        hidden_states(section, gpt2, ids_T[None, mask_T])[1][0, : int(kept_T.sum())]
        for ids_T, mask_T, kept_T in zip(text.ids_CT, text.mask_CT, text.kept_CT, strict=True)
    ]
    assert torch.allclose(vectors(folder, POST), torch.cat(alone), atol=1e-5)


def test_sites_of_one_pass_are_those_of_a_pass_each(gpt2: Path, tmp_path: Path) -> None:
    together = contents(run(data(), tmp_path / "together", gpt2, POST))
    run(data(), tmp_path / "apart", gpt2)
    apart = contents(run(data(POST), tmp_path / "apart", gpt2))
    assert together == apart
    assert len(together) > 15


def test_a_site_that_comes_later_leaves_the_others_alone(gpt2: Path, tmp_path: Path) -> None:
    folder = run(data(), tmp_path, gpt2)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    run(data(), tmp_path, gpt2, POST)
    assert (folder / site_key(POST) / "manifest.json").exists()
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in before.items())


BY_NAME, BY_MODULE = Site(name="blocks.0.hook_resid_post"), Site(module="transformer.h.0")


def test_one_tensor_under_three_names_is_extracted_once(
    gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run(data(POST), tmp_path / "alone", gpt2)
    wanted: list[list[Site]] = []
    forward = extract._forward
    monkeypatch.setattr(
        extract,
        "_forward",
        lambda model, sites, *more: (wanted.append(sites), forward(model, sites, *more))[1],
    )
    folder = run(data(POST), tmp_path / "all", gpt2, BY_NAME)
    assert {site_key(site) for sites in wanted for site in sites} == {site_key(POST)}
    wanted.clear()
    run(data(POST), tmp_path / "all", gpt2, BY_MODULE)  # another spec, later
    assert wanted == []
    for site in (POST, BY_NAME, BY_MODULE):
        for part in (TRAIN, HELD_OUT):
            assert torch.equal(vectors(folder, site, part), vectors(alone, POST, part))
        assert store.read_manifest(folder / site_key(site)).site == site_key(site)
    files = [sorted((folder / site_key(site)).glob("*.bin")) for site in (POST, BY_NAME, BY_MODULE)]
    assert len({tuple(path.stat().st_ino for path in some) for some in files}) == 1, (
        "hard links take no space"
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_vectors_are_rounded_to_the_stores_precision(gpt2: Path, tmp_path: Path, dtype: str) -> None:
    exact = vectors(run(data(POST), tmp_path, gpt2), POST)
    folder = run(data(POST, dtype=dtype), tmp_path, gpt2)
    rounded = vectors(folder, POST)
    assert rounded.dtype == store.DTYPES[dtype]
    assert torch.equal(rounded, exact.to(rounded.dtype))
    size = sum(path.stat().st_size for path in (folder / site_key(POST)).glob("*.bin"))
    assert size == data(POST, dtype=dtype).bytes()


def test_an_interrupted_extraction_continues(gpt2: Path, tmp_path: Path) -> None:
    undisturbed = contents(run(data(), tmp_path / "a", gpt2, POST))
    passes: list[int] = []
    with pytest.raises(Interrupted):
        run(
            data(), tmp_path / "b", gpt2, POST,
            report=lambda done, of, rate: passes.append(done), stop=lambda: len(passes) == 10,
        )  # fmt: skip
    assert passes[-1] == 640
    folder = extraction_folder(tmp_path / "b", data())
    assert len(list((folder / site_key(MLP)).glob("*.bin"))) == 4
    rates: list[tuple[int, float]] = []
    run(data(), tmp_path / "b", gpt2, POST, report=lambda done, of, rate: rates.append((done, rate)))
    assert contents(folder) == undisturbed
    assert [done for done, rate in rates if rate == 0] == [64 * i for i in range(1, 8)]  # nothing to run


KILLED = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import extract_sample as own
from saespec.data.activations import extract, store
store.SHARD_BYTES, extract.BATCH_TOKENS = own.HIDDEN * 4 * 150, {{"cpu": 64}}
write, count = store.write_bytes, 0
def slowly(path, data):
    global count
    count += 1
    if count > {after}:
        Path(path).parent.joinpath(f".{{path.name}}.{{os.getpid()}}.tmp").write_bytes(bytes(data)[:9])
        os.write(1, b"ready\\n")  # in one piece: threads write at once
        time.sleep(60)
    write(path, data)
store.write_bytes = slowly
own.run(own.data(), Path({folder!r}), Path({project!r}), own.POST)
"""


@pytest.mark.parametrize("after", [3, 8])
def test_an_extraction_that_is_killed_while_writing_continues(gpt2: Path, tmp_path: Path, after: int) -> None:
    undisturbed = contents(run(data(), tmp_path / "a", gpt2, POST))
    code = KILLED.format(
        tests=str(Path(__file__).parent), after=after, folder=str(tmp_path / "b"), project=str(gpt2)
    )
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"ready\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    folder = extraction_folder(tmp_path / "b", data())
    left = contents(folder)
    assert any(name.endswith(".tmp") for name in left)
    assert not any(name.endswith("manifest.json") for name in left)
    assert contents(run(data(), tmp_path / "b", gpt2, POST)) == undisturbed


def test_a_damaged_shard_is_named_and_alone_made_again(gpt2: Path, tmp_path: Path) -> None:
    folder = run(data(), tmp_path, gpt2, POST)
    undisturbed = contents(folder)
    path = store.shard_path(folder / site_key(MLP), TRAIN, 2)
    changed = bytearray(path.read_bytes())
    changed[100] ^= 1
    path.write_bytes(changed)
    with pytest.raises(DamagedFileError, match=r"1\.mlp_hidden/train-00002\.bin: a shard is not what"):
        vectors(folder, MLP)
    others = {p: p.stat().st_mtime_ns for p in folder.rglob("*.bin")}
    run(data(), tmp_path, gpt2, POST)
    assert contents(folder) == undisturbed
    assert all(p.stat().st_mtime_ns == time_ for p, time_ in others.items())


def test_all_damaged_shards_of_a_site_are_made_again_once_one_is_found(gpt2: Path, tmp_path: Path) -> None:
    folder = run(data(), tmp_path, gpt2)
    undisturbed = contents(folder)
    for part, number in ((TRAIN, 1), (TRAIN, 4), (HELD_OUT, 0)):
        path = store.shard_path(folder / site_key(MLP), part, number)
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFileError, match=r"train-0000\d\.bin: a shard is not what"):
        vectors(folder, MLP)
    run(data(), tmp_path, gpt2)
    assert contents(folder) == undisturbed


@pytest.mark.parametrize("name", ["ids.i32", "kept.u8", "contexts.json"])
def test_damaged_text_is_named_and_alone_made_again(gpt2: Path, tmp_path: Path, name: str) -> None:
    folder = run(data(), tmp_path, gpt2)
    undisturbed = contents(folder)
    path = folder / HELD_OUT / name
    path.write_bytes(path.read_bytes()[:-3])
    shards = {p: p.stat().st_mtime_ns for p in folder.rglob("*.bin")}
    activations = Activations(data(), Streams("a", CPU), tmp_path)
    with pytest.raises(DamagedFileError, match=rf"held-out/{name}: .*Run `saespec run`"):
        activations.held_out_contexts()
    run(data(), tmp_path, gpt2)
    assert contents(folder) == undisturbed
    assert all(p.stat().st_mtime_ns == time_ for p, time_ in shards.items())


def fails(section: TransformerData, tmp_path: Path, root: Path, kind: type[SaespecError], match: str) -> None:
    with pytest.raises(kind, match=match):
        run(section, tmp_path, root)
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("manifest.json"))


def test_what_does_not_fit_the_model_is_refused(gpt2: Path, tmp_path: Path) -> None:
    fails(data(dim=25), tmp_path, gpt2, CallError, r"data\.dim is 25, .* have 24 dimensions: write dim: 24")
    fails(data(context=17), tmp_path, gpt2, CallError, "context is 17, but the model knows 16 positions")
    fails(data(Site(layer=2, place="attn_out")), tmp_path, gpt2, CallError, r"no site 2\.attn_out")
    fails(data(Site(module="transformer.wpe")), tmp_path, gpt2, CallError, "no vector for each token")


def test_too_little_text_is_refused(gpt2: Path, tmp_path: Path) -> None:
    fails(
        data(tokens=100_000), tmp_path, gpt2, CallError,
        r"train part .* has [\d,]+ tokens .*, not 100,000: lower data\.tokens",
    )  # fmt: skip
    fails(data(held_out_tokens=90_000), tmp_path, gpt2, CallError, r"held-out part .* data\.held_out_tokens")


def test_the_tokenizer_must_be_the_models(gpt2: Path, tmp_path: Path) -> None:
    texts = [" ".join(WORDS) * 3, "".join(map(chr, range(161, 400)))]
    tokens.train_tokenizer(texts, VOCABULARY + 60).save_pretrained(tmp_path / "other")
    section = data(
        model={
            "kind": "pretrained",
            "name": "./gpt2",
            "tokenizer": {"kind": "named", "name": str(tmp_path / "other")},
        }
    )
    fails(section, tmp_path / "store", gpt2, CallError, r"gives token \d+, but the model's embedding ends at")


def test_other_text_under_the_same_name_is_refused(gpt2: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "gpt2").symlink_to(gpt2 / "gpt2")
    texts = [json.loads(line)["text"] for line in (gpt2 / "text.jsonl").read_text().splitlines()]
    write_texts(root, texts)
    run(data(), tmp_path / "store", root)
    write_texts(root, texts[::-1])
    with pytest.raises(StageError, match=r"not the text that extraction .* began with: .* `revision:`"):
        run(data(), tmp_path / "store", root, POST)


def test_a_full_disk_is_told_and_the_next_run_continues(
    gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = contents(run(data(), tmp_path / "a", gpt2))
    written = []

    def full(number: int) -> None:
        written.append(number)
        if len(written) > 12:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        fails(data(), tmp_path / "b", gpt2, StageError, r"cannot write .*: No space left on device")
    assert contents(run(data(), tmp_path / "b", gpt2)) == undisturbed


GROWING = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import extract_sample as own
from saespec.data.activations import store
store.SHARD_BYTES = 2**18
texts = {{"kind": "files", "paths": ["long.jsonl"], "held_out": 0.01}}
def now():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024
for site in (own.MLP, own.POST):
    for tokens in (100_000, 600_000):
        section, seen = own.data(site, tokens=tokens, held_out_tokens=1000, corpus=texts), []
        own.run(section, Path({folder!r}), Path({project!r}), report=lambda *_: seen.append(now()))
        print(max(seen))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_tokens(gpt2: Path, tmp_path: Path) -> None:
    draw = random.Random(1)
    texts = [" ".join(draw.choices(WORDS, k=300)) for _ in range(2600)]
    (gpt2 / "long.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    code = GROWING.format(tests=str(Path(__file__).parent), folder=str(tmp_path), project=str(gpt2))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, few, many = map(float, done.stdout.split())
    assert many - few < 16  # MB; the vectors that come to it take 32


def test_extracting_again_changes_nothing(gpt2: Path, tmp_path: Path) -> None:
    start = time.time_ns()
    folder = run(data(), tmp_path, gpt2)
    before = contents(folder)
    run(data(), tmp_path, gpt2)
    assert contents(folder) == before
    assert all(path.stat().st_mtime_ns >= start for path in folder.rglob("*"))
