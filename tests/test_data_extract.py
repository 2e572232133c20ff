"""Extraction of a tiny model's activations, and the source that reads them back."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from saespec.data import contexts, extract, store, tokens
from saespec.data.activations import Activations
from saespec.data.interrupt import Interrupted
from saespec.data.models import load_model
from saespec.data.source import HELD_OUT, TRAIN, source
from saespec.data.streams import Streams
from saespec.errors import CallError, DamagedFileError, SaespecError, StageError
from saespec.plan.inputs import Extraction, extraction_folder, extraction_id, site_key
from saespec.spec.transformer import Site, TransformerData

CPU = torch.device("cpu")
WORDS = ["import", "def", "return", "class", "self", "for", "in", "if", "else", "print", "range", "open"]
WIDTH, HIDDEN, CONTEXT, VOCABULARY = 16, 24, 16, 280
MLP = Site(layer=1, place="mlp_hidden")
POST = Site(layer=0, place="resid_post")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text, and a GPT-2 of two layers with random weights and its tokenizer."""
    from transformers import GPT2Config, GPT2LMHeadModel

    root = tmp_path_factory.mktemp("project")
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


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("bos", ["none", "add", "skip"])
def test_vectors_are_the_models_at_the_kept_tokens(project: Path, tmp_path: Path, bos: str) -> None:
    section = data(POST, bos=bos)
    folder = run(section, tmp_path, project)
    for part, count in ((TRAIN, 1000), (HELD_OUT, 300)):
        text = contexts.read(folder, part)
        assert text.kept_CT.sum() == count
        assert text.mask_CT.all()
        assert (text.ids_CT[:, 0] == 0).all() == (bos != "none")
        assert text.kept_CT[0, 0] == (bos != "skip")
        states = hidden_states(section, project, text.ids_CT)[1]
        assert torch.allclose(vectors(folder, POST, part), states[torch.from_numpy(text.kept_CT)], atol=1e-5)


def test_no_document_is_in_both_parts(project: Path, tmp_path: Path) -> None:
    folder = run(data(packing="documents", tokens=1200, held_out_tokens=400), tmp_path, project)
    train, held_out = (
        {tuple(row) for row in contexts.read(folder, part).ids_CT} for part in (TRAIN, HELD_OUT)
    )
    assert not train & held_out


def test_padding_never_leaks_in(project: Path, tmp_path: Path) -> None:
    section = data(POST, packing="documents")
    folder = run(section, tmp_path, project)
    text = contexts.read(folder, TRAIN)
    assert not text.mask_CT.all()
    assert not (text.kept_CT & ~text.mask_CT).any()
    alone = [
        hidden_states(section, project, ids_T[None, mask_T])[1][0, : int(kept_T.sum())]
        for ids_T, mask_T, kept_T in zip(text.ids_CT, text.mask_CT, text.kept_CT, strict=True)
    ]
    assert torch.allclose(vectors(folder, POST), torch.cat(alone), atol=1e-5)


def test_sites_of_one_pass_are_those_of_a_pass_each(project: Path, tmp_path: Path) -> None:
    together = contents(run(data(), tmp_path / "together", project, POST))
    run(data(), tmp_path / "apart", project)
    apart = contents(run(data(POST), tmp_path / "apart", project))
    assert together == apart
    assert len(together) > 15


def test_a_site_that_comes_later_leaves_the_others_alone(project: Path, tmp_path: Path) -> None:
    folder = run(data(), tmp_path, project)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    run(data(), tmp_path, project, POST)
    assert (folder / site_key(POST) / "manifest.json").exists()
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in before.items())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_vectors_are_rounded_to_the_stores_precision(project: Path, tmp_path: Path, dtype: str) -> None:
    exact = vectors(run(data(POST), tmp_path, project), POST)
    folder = run(data(POST, dtype=dtype), tmp_path, project)
    rounded = vectors(folder, POST)
    assert rounded.dtype == store.DTYPES[dtype]
    assert torch.equal(rounded, exact.to(rounded.dtype))
    size = sum(path.stat().st_size for path in (folder / site_key(POST)).glob("*.bin"))
    assert size == data(POST, dtype=dtype).bytes()


def test_an_interrupted_extraction_continues(project: Path, tmp_path: Path) -> None:
    undisturbed = contents(run(data(), tmp_path / "a", project, POST))
    passes: list[int] = []
    with pytest.raises(Interrupted):
        run(
            data(), tmp_path / "b", project, POST,
            report=lambda done, of, rate: passes.append(done), stop=lambda: len(passes) == 10,
        )  # fmt: skip
    assert passes[-1] == 640
    folder = extraction_folder(tmp_path / "b", data())
    assert len(list((folder / site_key(MLP)).glob("*.bin"))) == 4
    rates: list[tuple[int, float]] = []
    run(data(), tmp_path / "b", project, POST, report=lambda done, of, rate: rates.append((done, rate)))
    assert contents(folder) == undisturbed
    assert [done for done, rate in rates if rate == 0] == [64 * i for i in range(1, 8)]  # nothing to run


KILLED = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_data_extract as own
from saespec.data import extract, store
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
def test_an_extraction_that_is_killed_while_writing_continues(
    project: Path, tmp_path: Path, after: int
) -> None:
    undisturbed = contents(run(data(), tmp_path / "a", project, POST))
    code = KILLED.format(
        tests=str(Path(__file__).parent), after=after, folder=str(tmp_path / "b"), project=str(project)
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
    assert contents(run(data(), tmp_path / "b", project, POST)) == undisturbed


def test_a_damaged_shard_is_named_and_alone_made_again(project: Path, tmp_path: Path) -> None:
    folder = run(data(), tmp_path, project, POST)
    undisturbed = contents(folder)
    path = store.shard_path(folder / site_key(MLP), TRAIN, 2)
    changed = bytearray(path.read_bytes())
    changed[100] ^= 1
    path.write_bytes(changed)
    with pytest.raises(DamagedFileError, match=r"1\.mlp_hidden/train-00002\.bin: a shard is not what"):
        vectors(folder, MLP)
    others = {p: p.stat().st_mtime_ns for p in folder.rglob("*.bin")}
    run(data(), tmp_path, project, POST)
    assert contents(folder) == undisturbed
    assert all(p.stat().st_mtime_ns == time_ for p, time_ in others.items())


@pytest.mark.parametrize("name", ["ids.i32", "kept.u8", "contexts.json"])
def test_damaged_text_is_named_and_alone_made_again(project: Path, tmp_path: Path, name: str) -> None:
    folder = run(data(), tmp_path, project)
    undisturbed = contents(folder)
    path = folder / HELD_OUT / name
    path.write_bytes(path.read_bytes()[:-3])
    shards = {p: p.stat().st_mtime_ns for p in folder.rglob("*.bin")}
    activations = Activations(data(), Streams("a", CPU), tmp_path)
    with pytest.raises(DamagedFileError, match=rf"held-out/{name}: .*Run `saespec run`"):
        activations.held_out_contexts()
    run(data(), tmp_path, project)
    assert contents(folder) == undisturbed
    assert all(p.stat().st_mtime_ns == time_ for p, time_ in shards.items())


def fails(section: TransformerData, tmp_path: Path, root: Path, kind: type[SaespecError], match: str) -> None:
    with pytest.raises(kind, match=match):
        run(section, tmp_path, root)
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("manifest.json"))


def test_what_does_not_fit_the_model_is_refused(project: Path, tmp_path: Path) -> None:
    fails(
        data(dim=25), tmp_path, project, CallError, r"data\.dim is 25, .* have 24 dimensions: write dim: 24"
    )
    fails(data(context=17), tmp_path, project, CallError, "context is 17, but the model knows 16 positions")
    fails(data(Site(layer=2, place="attn_out")), tmp_path, project, CallError, r"no site 2\.attn_out")
    fails(data(Site(module="transformer.wpe")), tmp_path, project, CallError, "no vector for each token")


def test_too_little_text_is_refused(project: Path, tmp_path: Path) -> None:
    fails(
        data(tokens=100_000), tmp_path, project, CallError,
        r"train part .* has [\d,]+ tokens .*, not 100,000: lower data\.tokens",
    )  # fmt: skip
    fails(
        data(held_out_tokens=90_000), tmp_path, project, CallError, r"held-out part .* data\.held_out_tokens"
    )


def test_the_tokenizer_must_be_the_models(project: Path, tmp_path: Path) -> None:
    texts = [" ".join(WORDS) * 3, "".join(map(chr, range(161, 400)))]
    tokens.train_tokenizer(texts, VOCABULARY + 60).save_pretrained(tmp_path / "other")
    section = data(
        model={
            "kind": "pretrained",
            "name": "./gpt2",
            "tokenizer": {"kind": "named", "name": str(tmp_path / "other")},
        }
    )
    fails(
        section, tmp_path / "store", project, CallError, r"gives token \d+, but the model's embedding ends at"
    )


def test_other_text_under_the_same_name_is_refused(project: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "gpt2").symlink_to(project / "gpt2")
    texts = [json.loads(line)["text"] for line in (project / "text.jsonl").read_text().splitlines()]
    write_texts(root, texts)
    run(data(), tmp_path / "store", root)
    write_texts(root, texts[::-1])
    with pytest.raises(StageError, match=r"not the text that extraction .* began with: .* `revision:`"):
        run(data(), tmp_path / "store", root, POST)


def test_a_full_disk_is_told_and_the_next_run_continues(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = contents(run(data(), tmp_path / "a", project))
    written = []

    def full(number: int) -> None:
        written.append(number)
        if len(written) > 12:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        fails(data(), tmp_path / "b", project, StageError, r"cannot write .*: No space left on device")
    assert contents(run(data(), tmp_path / "b", project)) == undisturbed


GROWING = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_data_extract as own
from saespec.data import store
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
def test_memory_does_not_grow_with_the_tokens(project: Path, tmp_path: Path) -> None:
    draw = random.Random(1)
    texts = [" ".join(draw.choices(WORDS, k=300)) for _ in range(2600)]
    (project / "long.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    code = GROWING.format(tests=str(Path(__file__).parent), folder=str(tmp_path), project=str(project))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, few, many = map(float, done.stdout.split())
    assert many - few < 16  # MB; the vectors that come to it take 32


def test_batches_are_the_stores_vectors(project: Path, tmp_path: Path) -> None:
    folder = run(data(), tmp_path, project)
    activations = Activations(data(), Streams("a", CPU), tmp_path)
    for part, batches in ((TRAIN, 10), (HELD_OUT, 3)):
        epoch = torch.cat([activations.batch(part, t, 100) for t in range(batches)])
        stored = vectors(folder, MLP, part)
        assert not torch.equal(epoch, stored)
        assert torch.equal(epoch[epoch[:, 0].argsort()], stored[stored[:, 0].argsort()])
    assert activations.truth_GD is None


def test_held_out_contexts_are_those_of_the_held_out_vectors(project: Path, tmp_path: Path) -> None:
    run(data(POST), tmp_path, project)
    activations = Activations(data(POST), Streams("a", CPU), tmp_path)
    text = activations.held_out_contexts()
    states = hidden_states(data(POST), project, text.ids_CT)[1][torch.from_numpy(text.kept_CT)]
    assert torch.allclose(activations.held_out_text(0, 400), states, atol=1e-5)


@pytest.mark.parametrize("normalise", ["none", "rms", "mean_norm", "vector"])
def test_normalisation_is_from_the_train_part_and_can_be_undone(
    project: Path, tmp_path: Path, normalise: str
) -> None:
    stored = vectors(run(data(), tmp_path, project), MLP)
    activations = Activations(data(normalise=normalise), Streams("a", CPU), tmp_path)
    x = torch.cat([activations.batch(TRAIN, t, 100) for t in range(10)])
    if normalise == "rms":
        assert x.square().mean() == pytest.approx(1, rel=1e-5)
    elif normalise == "mean_norm":
        assert x.norm(dim=1).mean() == pytest.approx(1, rel=1e-5)
    elif normalise == "vector":
        assert torch.allclose(x.square().mean(dim=1), torch.ones(1000), rtol=1e-5)
    else:
        assert torch.equal(x.sort(dim=0).values, stored.sort(dim=0).values)
    original = stored.view(10, 100, HIDDEN)
    normalised = activations.normalise(original)
    assert torch.allclose(activations.denormalise(normalised, original), original, rtol=1e-5)
    assert torch.allclose(activations.denormalise(0.5 * normalised, original), 0.5 * original, rtol=1e-5)
    assert torch.allclose(activations.mean_D, stored.mean(dim=0), atol=1e-6)


def test_a_zero_vector_stays_zero(project: Path, tmp_path: Path) -> None:
    run(data(), tmp_path, project)
    activations = Activations(data(normalise="vector"), Streams("a", CPU), tmp_path)
    assert torch.equal(activations.normalise(torch.zeros(2, HIDDEN)), torch.zeros(2, HIDDEN))


def test_activations_that_are_not_there_are_named(project: Path, tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"not in the store.*Run `saespec run`"):
        Activations(data(), Streams("a", CPU), tmp_path)


def test_other_dimensions_are_refused(project: Path, tmp_path: Path) -> None:
    run(data(), tmp_path, project)
    with pytest.raises(CallError, match=r"data\.dim is 25, but activations at 1\.mlp_hidden have 24"):
        Activations(data(dim=25), Streams("a", CPU), tmp_path)


def test_the_source_of_a_data_section(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAESPEC_STORE", str(tmp_path))
    run(data(), tmp_path, project)
    one, other = source(data(), 0, CPU), source(data(), 1, CPU)
    assert torch.equal(one.batch(TRAIN, 3, 64), source(data(), 0, CPU).batch(TRAIN, 3, 64))
    assert not torch.equal(one.batch(TRAIN, 3, 64), other.batch(TRAIN, 3, 64))
    assert torch.equal(one.batch(HELD_OUT, 3, 64), other.batch(HELD_OUT, 3, 64))


def test_extracting_again_changes_nothing(project: Path, tmp_path: Path) -> None:
    start = time.time_ns()
    folder = run(data(), tmp_path, project)
    before = contents(folder)
    run(data(), tmp_path, project)
    assert contents(folder) == before
    assert all(path.stat().st_mtime_ns >= start for path in folder.rglob("*"))
