"""What the store has lost or what was altered in it is made again by the run that comes upon it, to the same bytes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cli_sample import Cli, edit

from saespec.cli import main

SPEC = """\
version: 1
name: tiny
title: A tiny transformer
data:
  kind: transformer
  model: {kind: trained, layers: 1, width: 8, heads: 1, mlp: 16, context: 16,
    tokenizer: {kind: bpe, vocabulary: 257}, train: {tokens: 640, batch: 4, lr: 0.01}}
  corpus: {kind: files, paths: [text.txt], documents: line, held_out: 0.3}
  site: {layer: 0, place: resid_post}
  dim: 8
  tokens: 1000
  held_out_tokens: 300
  context: 16
sae: {kind: relu, latents: 8}
loss: {reconstruction: mean, sparsity: {kind: l1, coefficient: 0.1, per: latents}}
train: {steps: 40, batch: 32, optimizer: {lr: 0.01}}
sweep: {grid: {loss.sparsity.coefficient: [0.1]}}
measure: [losses, model, {language_model: {contexts: 4}}]
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def store(root: Path) -> dict[str, bytes]:
    """What lies in the store, of models and activations."""
    return contents(root / ".saespec/store/models") | contents(root / ".saespec/store/activations")


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    (root / "specs").mkdir(parents=True)
    (root / "specs/tiny.yaml").write_text(SPEC)
    (root / "text.txt").write_text("".join(f"line {i} of a text of lines\n" for i in range(200)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main(("run", "-q")) == 0
    return root


@pytest.fixture
def ran(first_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(first_run, root)
    monkeypatch.chdir(root)
    return root


def test_the_run_that_finds_the_store_damaged_heals_it(cli: Cli, ran: Path) -> None:
    """Shards, a held-out context, the weights; cells and tables are made anew of it all."""
    before, results = store(ran), contents(ran / "results/tiny")
    extraction, model = (
        next((ran / ".saespec/store" / kind).iterdir()) for kind in ("activations", "models")
    )
    alter(extraction / "0.resid_post/train-00000.bin")
    (extraction / "0.resid_post/held-out-00000.bin").unlink()
    alter(extraction / "held-out/ids.i32")
    alter(model / "model.safetensors")
    for lost in (".dvc/cache", ".saespec/store/cells", "results/tiny/cells", "results/tiny/tables"):
        shutil.rmtree(ran / lost)
    said = cli("run")
    assert said.code == 0, said.err
    assert "train-00000.bin: a shard is not what was written: making it again" in said.err
    assert "model.safetensors: a trained model is not what was written" in said.err
    assert store(ran) == before
    for name in ("cells", "tables"):
        made = contents(ran / "results/tiny" / name)
        assert made == {k.removeprefix(f"{name}/"): v for k, v in results.items() if k.startswith(f"{name}/")}


def test_results_that_are_up_to_date_need_no_text(cli: Cli, ran: Path) -> None:
    """Neither do other measures of the same cells; cells at another site do."""
    (ran / "text.txt").rename(ran / "gone.txt")
    assert cli("run").code == 0
    assert cli("plan").code == 0
    assert cli("validate").code == 2
    (ran / "specs/tiny.yaml").write_text(SPEC.replace("[losses,", "[losses, latents,"))
    said = cli("plan")
    assert said.code == 0
    assert "measure latents added" in said.out
    (ran / "specs/tiny.yaml").write_text(SPEC.replace("place: resid_post", "place: resid_pre"))
    for command in ("plan", "run"):
        said = cli(command)
        assert said.code == 2
        assert "data.corpus.paths.0: the corpus has no file text.txt" in said.err, command


def test_a_checkpoint_that_is_damaged_without_a_trace_is_made_again(cli: Cli, project: Path) -> None:
    """Its time of change is as it was, so that neither DVC nor `plan` can know before it is read."""
    assert cli("run", "-q").code == 0
    before = contents(project / "results/tiny/cells")
    file = next((project / "results/tiny/cells").rglob("*.safetensors"))
    stat = file.stat()
    alter(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    edit(project, "measure: [recovery, losses]", "measure: [recovery, losses, latents]")
    said = cli("run")
    assert said.code == 0, said.err
    assert f"{file.name}: its contents do not match its checksum: making it again" in said.err
    assert contents(project / "results/tiny/cells") == before
