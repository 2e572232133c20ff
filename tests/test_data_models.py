"""Language models: training that resumes bit for bit, what it records, and loading."""

from __future__ import annotations

import json
import os
import shutil
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
from corpus_sample import transformer_data, write_corpus

from saespec.data.language import models, pretraining
from saespec.data.language.bigram import Bigram
from saespec.errors import CallError, DamagedFileError, Interrupted
from saespec.plan.inputs import model_folder
from saespec.spec.transformer import TrainedModel, TransformerData

CPU = torch.device("cpu")


def train(
    data: TransformerData,
    root: Path,
    store: str = "store",
    report: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    stop: Callable[[], bool] = lambda: False,
) -> Path:
    models.train_model(data, root / store, root, CPU, report, stop)
    return model_folder(root / store, data)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def record(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "training.json").read_bytes())
    return read


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> Path:
    """The folder of a model trained at one go."""
    return train(transformer_data(), root)


def test_a_training_is_recorded(root: Path, undisturbed: Path) -> None:
    made = record(undisturbed)
    assert made["train_tokens"] == 30 * 64
    assert made["held_out"]["perplexity"] == pytest.approx(np.exp(made["held_out"]["cross_entropy"]))
    assert made["parameters"] == 280 * 8 + 16 * 8 + 2 * (4 * 64 + 4 * 8 + 2 * 8 * 16 + 24 + 4 * 8) + 16
    assert len(made["corpus_sha256"]) == 64
    assert 0 < made["bigram_cross_entropy"] < np.log(280)
    steps = [point["step"] for point in made["curve"]]
    assert steps == sorted(pretraining.curve_steps(30))
    assert steps[-1] == 30
    assert made["curve"][-1]["tokens"] == 30 * 64
    assert made["curve"][-1]["held_out_cross_entropy"] == pytest.approx(made["held_out"]["cross_entropy"])


def test_it_learns(undisturbed: Path) -> None:
    curve = record(undisturbed)["curve"]
    assert curve[0]["held_out_cross_entropy"] > 5.4
    assert curve[-1]["held_out_cross_entropy"] < 4.0
    assert curve[-1]["lr"] == pytest.approx(0, abs=1e-9)
    assert max(point["lr"] for point in curve) <= 1e-2


def test_training_again_gives_the_same_files(root: Path, undisturbed: Path) -> None:
    again = train(transformer_data(), root, "again")
    assert {path.name for path in again.iterdir()} == {path.name for path in undisturbed.iterdir()}
    for path in again.iterdir():
        assert path.read_bytes() == (undisturbed / path.name).read_bytes(), path.name


def test_training_and_loading_print_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pretraining, "SNAPSHOT_SECONDS", 0.0)
    train(transformer_data(), root, str(tmp_path))
    models.load_model(transformer_data(), tmp_path, root, CPU)
    assert capfd.readouterr() == ("", "")


def test_the_seed_changes_the_model(root: Path, undisturbed: Path) -> None:
    assert weights(train(transformer_data({"seed": 1}), root)) != weights(undisturbed)


def test_a_finished_model_is_not_trained_again(root: Path, undisturbed: Path) -> None:
    def report(step: int, steps: int, loss: float) -> None:
        raise AssertionError

    assert models.model_is_finished(root / "store", transformer_data())
    train(transformer_data(), root, report=report)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_stopped_training_continues_with_the_same_result(
    root: Path, tmp_path: Path, dropout: float
) -> None:
    data = transformer_data({"dropout": dropout})
    plain = train(data, root, str(tmp_path / "plain"))
    seen: list[int] = []

    def attempt() -> bool:
        first = len(seen)
        try:
            train(data, root, str(tmp_path), lambda s, n, x: seen.append(s), lambda: len(seen) >= first + 11)
        except Interrupted:
            assert not models.model_is_finished(tmp_path, data)
            return False
        return True

    while not attempt():
        pass
    assert seen == list(range(1, 31))  # no step is done twice
    made = model_folder(tmp_path, data)
    assert weights(made) == weights(plain)
    assert record(made) == record(plain)
    assert [path.name for path in made.parent.iterdir()] == [made.name]


class Killed(BaseException):
    """Stands for the end of the process, in the middle of a step."""


@pytest.mark.parametrize("step", [1, 17, 30])
def test_a_killed_training_continues_from_a_whole_snapshot(
    root: Path, tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(pretraining, "SNAPSHOT_SECONDS", 0.0)
    data = transformer_data()

    def die(at: int, steps: int, loss: float) -> None:
        if at == step:
            raise Killed

    with pytest.raises(Killed):
        train(data, root, str(tmp_path), die)
    newest = max(tmp_path.rglob("checkpoint-*"), key=lambda path: int(path.name[11:]), default=None)
    if newest is not None:  # it died while writing this one
        (newest / "progress.json").unlink()
        (newest / "optimizer.pt").write_bytes(b"")
    first: list[int] = []
    train(data, root, str(tmp_path), lambda at, steps, loss: first.append(at))
    assert first[0] == max(1, step - 1)
    assert weights(model_folder(tmp_path, data)) == weights(undisturbed)
    assert record(model_folder(tmp_path, data)) == record(undisturbed)


@pytest.mark.slow
def test_a_process_killed_at_any_moment(root: Path, tmp_path: Path, undisturbed: Path) -> None:
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch; from pathlib import Path; from corpus_sample import transformer_data
from saespec.data.language import models, pretraining
pretraining.SNAPSHOT_SECONDS = 0.0
models.train_model(transformer_data(), Path({str(tmp_path)!r}), Path({str(root)!r}), torch.device("cpu"),
    lambda step, steps, loss: print(step, flush=True), lambda: False)
"""
    draw = np.random.default_rng(0)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(draw.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    assert weights(model_folder(tmp_path, transformer_data())) == weights(undisturbed)


def test_another_text_begins_anew(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    data = transformer_data()
    with pytest.raises(Interrupted):
        train(data, tmp_path, stop=lambda: True)
    write_corpus(tmp_path, 290)
    first: list[int] = []
    made = train(data, tmp_path, report=lambda step, steps, loss: first.append(step))
    assert first[0] == 1
    assert record(made)["corpus_sha256"] == models.corpora.content_hash(data.corpus, tmp_path)


def test_a_corpus_smaller_than_the_training_is_repeated(tmp_path: Path) -> None:
    write_corpus(tmp_path, 40)
    made = record(train(transformer_data({"tokenizer": {"kind": "bpe", "vocabulary": 260}}), tmp_path))
    assert made["train_tokens"] == 30 * 64


def test_the_curves_contexts_are_spread_over_the_held_out_part() -> None:
    config = transformer_data().model
    assert isinstance(config, TrainedModel)
    held_out_CT = np.repeat(np.arange(10_000, dtype=np.int32)[:, None], 16, axis=1)
    watch = pretraining._Watch(config, held_out_CT, lambda step, steps, loss: None, lambda: False)
    chosen = watch.held_out_CT[:, 0]
    assert pretraining.CURVE_TOKENS <= watch.held_out_CT.size < 2 * pretraining.CURVE_TOKENS
    assert chosen[0] == 0
    assert chosen[-1] > 9900
    assert len(set(np.diff(chosen))) == 1


def test_batches_are_a_permutation_in_each_pass() -> None:
    ids_CT = np.arange(10, dtype=np.int32)[:, None]
    made = pretraining._Batches(ids_CT, 25, seed=3)
    order = [int(made[i][0]) for i in range(25)]
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10] != order[10:20]
    assert order == [int(made[i][0]) for i in range(25)]
    assert [int(pretraining._Batches(ids_CT, 25, seed=3)[i][0]) for i in (24, 3)] == [order[24], order[3]]


def test_a_corpus_without_a_held_out_context_is_refused(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    corpus = {"kind": "files", "paths": ["corpus.txt"]}  # one document
    with pytest.raises(CallError, match="fewer tokens than a context"):
        train(transformer_data(corpus=corpus), tmp_path)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama"])
@pytest.mark.parametrize("tied", [True, False])
def test_every_family_has_the_shape_of_the_section(root: Path, family: str, tied: bool) -> None:
    fields = {"family": family, "width": 16, "mlp": 24, "activation": "gelu", "tied_embeddings": tied}
    train_one = {"tokens": 64, "batch": 4, "lr": 1e-3}
    data = transformer_data({**fields, "train": train_one}, dim=16)
    train(data, root)
    made = models.load_model(data, root / "store", root, CPU)
    config = made.model.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (2, 16, 2)
    assert config.max_position_embeddings == 16
    shapes = {tuple(parameter.shape) for parameter in made.model.parameters()}
    assert shapes & {(16, 24), (24, 16)}
    tables = [p for p in made.model.parameters() if 280 in p.shape]
    assert len(tables) == (1 if tied else 2)
    assert made.vocab == 280


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama"])
def test_the_first_weights_have_the_spread_they_are_asked_for(undisturbed: Path, family: str) -> None:
    tokenizer = models.tokens.read_tokenizer(undisturbed)
    config = transformer_data({"family": family, "init": 0.1, "width": 64, "heads": 4}, dim=64).model
    assert isinstance(config, TrainedModel)
    embedding = models._untrained(config, tokenizer).get_input_embeddings().weight
    assert embedding.std().item() == pytest.approx(0.1, rel=0.03)


def test_the_spread_is_part_of_a_models_identity_unless_it_is_the_familys() -> None:
    names = [model_folder(Path(), transformer_data(m)).name for m in ({}, {"init": 0.02}, {"init": 0.1})]
    assert names[0] == names[1] != names[2]


def test_an_unknown_activation_is_refused_with_those_that_are_known(root: Path) -> None:
    with pytest.raises(CallError, match=r"no activation function 'gelo'; it has .*gelu"):
        train(transformer_data({"activation": "gelo"}), root)


def test_a_loaded_model_is_the_trained_one_and_needs_no_gradients(root: Path, undisturbed: Path) -> None:
    made = models.load_model(transformer_data(), root / "store", root, CPU)
    assert not made.model.training
    assert not any(parameter.requires_grad for parameter in made.model.parameters())
    assert made.revision == ""
    data = transformer_data()
    assert not isinstance(data.model, models.PretrainedModel)
    texts = models.corpora.documents(data.corpus, "held-out", root)
    blocks = list(models.tokens.contexts(texts, made.tokenizer, 16, "none", "packed", 10**9))
    ids_CT = np.concatenate([block.ids_CT for block in blocks])
    found = record(undisturbed)["held_out"]
    assert pretraining.cross_entropy(made.model, ids_CT) == pytest.approx(found["cross_entropy"], abs=1e-6)
    assert found["tokens"] == ids_CT[:, 1:].size


def test_a_model_that_was_not_trained_is_missing_by_name(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="saespec run"):
        models.load_model(transformer_data(), tmp_path, tmp_path, CPU)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "training.json"])
@pytest.mark.parametrize("how", ["altered", "cut short", "missing"])
def test_a_damaged_model_is_named_and_counts_as_not_trained(
    root: Path, undisturbed: Path, tmp_path: Path, name: str, how: str
) -> None:
    data = transformer_data()
    shutil.copytree(undisturbed, model_folder(tmp_path, data))
    file = model_folder(tmp_path, data) / name
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content if how == "altered" else file.read_bytes()[:-3])
    if how == "missing":
        file.unlink()
    with pytest.raises(DamagedFileError, match=r"Run `saespec run") as error:
        models.load_model(data, tmp_path, root, CPU)
    assert error.value.file in (file, file.parent)
    assert not models.model_is_finished(tmp_path, data)


def test_a_model_that_was_damaged_is_trained_to_the_same_files(
    root: Path, undisturbed: Path, tmp_path: Path
) -> None:
    data = transformer_data()
    shutil.copytree(undisturbed, model_folder(tmp_path, data))
    (model_folder(tmp_path, data) / "config.json").write_text("{")
    with pytest.raises(DamagedFileError):
        models.load_model(data, tmp_path, root, CPU)
    again = train(data, root, str(tmp_path))
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in undisturbed.iterdir()
    }


def test_a_local_folder_is_a_checkpoint(root: Path, undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "mine")
    data = transformer_data({"kind": "pretrained", "name": "./mine", "dtype": "bfloat16"})
    made = models.load_model(data, tmp_path / "store", tmp_path, CPU)
    assert made.model.dtype == torch.bfloat16
    ids = torch.arange(4)[None]
    own = models.load_model(transformer_data(), root / "store", root, CPU).model
    assert torch.allclose(made.model(ids).logits.float(), own(ids).logits, atol=0.05)


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("./nothing", None, "no such folder"),
        ("./pickled", None, "safetensors"),
        ("./headless", None, r"lacks weights of the model: lm_head\.weight"),
    ],
)
def test_a_checkpoint_that_cannot_be_used(
    tmp_path: Path, undisturbed: Path, name: str, revision: str | None, message: str
) -> None:
    shutil.copytree(undisturbed, tmp_path / "pickled")
    os.replace(tmp_path / "pickled" / "model.safetensors", tmp_path / "pickled" / "pytorch_model.bin")
    shutil.copytree(undisturbed, tmp_path / "headless")
    config = json.loads((tmp_path / "headless" / "config.json").read_bytes())
    (tmp_path / "headless" / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    data = transformer_data({"kind": "pretrained", "name": name, "revision": revision})
    with pytest.raises(CallError, match=message):
        models.load_model(data, tmp_path, tmp_path, CPU)


def test_a_folder_does_not_stand_in_for_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "someone" / "tiny").mkdir(parents=True)
    data = transformer_data({"kind": "pretrained", "name": "someone/tiny", "revision": "main"})
    with pytest.raises(CallError, match=r"write \./someone/tiny"):
        models.load_model(data, tmp_path, tmp_path, CPU)


def test_bigram_probabilities_sum_to_one() -> None:
    ids_CT = np.random.default_rng(0).integers(0, 9, size=(20, 6)) ** 2 // 9
    model = Bigram(ids_CT, 12)
    for first in range(12):
        assert model.probability(first * 12 + np.arange(12)).sum() == pytest.approx(1)


def test_a_bigram_model_finds_the_entropy_of_a_chain() -> None:
    draw = np.random.default_rng(0)
    ids_CT = np.zeros((400, 200), dtype=np.int64)
    for t in range(1, 200):
        ids_CT[:, t] = (2 * ids_CT[:, t - 1] + draw.integers(2, size=400)) % 11
    model = Bigram(ids_CT[:200], 11)
    assert model.cross_entropy(ids_CT[200:]) == pytest.approx(np.log(2), abs=0.01)
