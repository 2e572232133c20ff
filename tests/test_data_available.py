"""What a spec names and this machine lacks is found before anything runs, each thing at its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_sample import Cli, Said

VERSION = metadata.version("ruamel.yaml")

SPEC = """\
version: 1
name: tiny
title: A tiny transformer
data:
  kind: transformer
  model: {kind: pretrained, name: ./gpt2}
  corpus: {kind: files, paths: [text/*.txt], documents: line, held_out: 0.3}
  site: {layer: 1, place: mlp_hidden}
  dim: 64
  tokens: 1000
  held_out_tokens: 200
  context: 32
sae: {kind: relu, latents: 8}
loss: {reconstruction: mean, sparsity: {kind: l1, coefficient: 0.1, per: latents}}
train: {steps: 5, batch: 32, optimizer: {lr: 0.01}}
measure: [losses]
"""

TRAINED = (
    "{kind: trained, family: FAMILY, layers: 2, width: 16, heads: 2, mlp: 64, context: 32,"
    " tokenizer: {kind: bpe, vocabulary: 300}, train: {tokens: 2000, batch: 16, lr: 1.0e-3}}"
)

GPT2 = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 2, "n_embd": 16, "n_inner": None,
    "n_positions": 32,
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose spec has all that it needs, as far as a look can tell."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/tiny.yaml").write_text(SPEC)
    (tmp_path / "text").mkdir()
    (tmp_path / "text/a.txt").write_text("".join(f"line {i} of a text\n" for i in range(500)))
    checkpoint(tmp_path / "gpt2")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint(folder: Path, tokenizer: dict[str, Any] | None = None, **config: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**GPT2, **config}))
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(tokenizer or {"tokenizer_class": "GPT2Tokenizer"})
    )


def change(root: Path, *changes: tuple[str, str]) -> None:
    path = root / "specs/tiny.yaml"
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


def one(said: Said) -> str:
    """The line of the only problem."""
    assert said.code == 2, said.out
    lines = said.err.splitlines()
    assert lines[-1] == "1 problem", said.err
    return lines[0]


def test_nothing_is_found_where_nothing_is_missing(cli: Cli, project: Path) -> None:
    assert cli("validate").out == "specs/tiny.yaml: ok, 1 cell, 0 figures, 0 claims\n"
    assert cli("plan").code == 0


def gzip(root: Path) -> None:
    (root / "text/b.gz").write_bytes(b"\x1f\x8b\x08")


def jsonl(root: Path) -> None:
    (root / "text/b.jsonl").write_text('\n{"body": "a"}\n')


def parquet(root: Path) -> None:
    pq.write_table(pa.table({"body": ["a"]}), root / "text/b.parquet")


def numbers(root: Path) -> None:
    pq.write_table(pa.table({"text": [1]}), root / "text/b.parquet")


def no_parquet(root: Path) -> None:
    (root / "text/b.parquet").write_text("text")


def empty(root: Path) -> None:
    (root / "text/b.txt").write_text("")


def binary(root: Path) -> None:
    (root / "text/b.txt").write_bytes(b"\xff\xfe\x00")


def nothing(root: Path) -> None:
    """No file more."""


@pytest.mark.parametrize(
    ("make", "pattern", "said"),
    [
        (nothing, "txt/*.txt", "the corpus has no file txt/*.txt (relative to "),
        (nothing, "text/b.txt", "): did you mean text/a.txt?"),
        (nothing, "text", "text is a folder: name its files, such as text/*.txt"),
        (gzip, "text/b.gz", "text/b.gz: a .gz file is not read as text: unpack it"),
        (jsonl, "text/b.jsonl", "text/b.jsonl:2: no key 'text'; it has 'body'"),
        (parquet, "text/b.parquet", "text/b.parquet: no column 'text'; it has 'body'"),
        (numbers, "text/b.parquet", "text/b.parquet: 'text' holds int64, not text"),
        (no_parquet, "text/b.parquet", "text/b.parquet: cannot be read as Parquet"),
        (empty, "text/b.txt", "text/b.txt is empty: a corpus needs text"),
        (binary, "text/b.txt", "text/b.txt: not UTF-8 (invalid start byte): convert it"),
    ],
)
def test_text_that_cannot_be_read(
    cli: Cli, project: Path, make: Callable[[Path], None], pattern: str, said: str
) -> None:
    make(project)
    change(project, ("[text/*.txt]", f"[text/a.txt, {pattern}]"))
    for command in ("validate", "plan", "run"):
        line = one(cli(command))
        assert line.startswith("specs/tiny.yaml:7:45  data.corpus.paths.1: "), command
        assert said in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_text_without_permission(cli: Cli, project: Path) -> None:
    (project / "text/a.txt").chmod(0)
    assert "text/a.txt: Permission denied" in one(cli("validate"))


def test_of_a_pattern_the_first_bad_file_is_named_and_the_others_are_counted(cli: Cli, project: Path) -> None:
    for name in "xyz":
        (project / f"text/{name}.txt").write_bytes(b"\xff")
    line = one(cli("validate"))
    assert "text/x.txt: not UTF-8" in line
    assert line.endswith("(as are 2 more of its files)")


@pytest.mark.parametrize(
    ("package", "said"),
    [
        (
            "no-such-package==1.0",
            "no-such-package==1.0, which is not installed: `pip install no-such-package==1.0`",
        ),
        (
            "ruamel.yaml==0.1",
            f"but ruamel.yaml {VERSION} is installed: `pip install ruamel.yaml==0.1`, or write",
        ),
    ],
)
def test_packages_that_are_not_here(cli: Cli, project: Path, package: str, said: str) -> None:
    corpus = f"{{kind: python_sources, packages: [ruamel.yaml=={VERSION}, {package}], held_out: 0.3}}"
    change(project, ("{kind: files, paths: [text/*.txt], documents: line, held_out: 0.3}", corpus))
    line = one(cli("validate"))
    assert "data.corpus.packages.1: the corpus needs " in line
    assert said in line


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "name: ./gpt2",
            "name: ./nowhere",
            "6:35  data.model.name: ./nowhere: there is no such folder under ",
        ),
        (
            "name: ./gpt2",
            "name: ./text",
            "6:35  data.model.name: ./text has no config.json: name a folder that",
        ),
        (
            "layer: 1",
            "layer: 2",
            "8:17  data.site.layer: must be less than the model's layers (2), not 2",
        ),
        (
            "{layer: 1, place: mlp_hidden}",
            "{name: blocks.1.mlp.hook_pst}",
            "8:16  data.site.name: the model has no site blocks.1",
        ),
        (
            "{layer: 1, place: mlp_hidden}",
            "{name: blocks.1.hook_mlp_out}",
            "data.dim: must be 16 at 1.mlp_out",
        ),
        ("dim: 64", "dim: 16", "9:8  data.dim: must be 64 at 1.mlp_hidden, not 16 (write dim: 64)"),
        (
            "place: mlp_hidden",
            "place: resid_pre",
            "9:8  data.dim: must be 16 at 1.resid_pre, not 64 (write dim: 16)",
        ),
        ("context: 32", "context: 33", "12:12  data.context: must be at most the model's (32), not 33"),
        (
            "name: ./gpt2",
            "name: ./gpt2, tokenizer: {kind: named, name: ./text}",
            "data.model.tokenizer.name: ./text holds no tokenizer",
        ),
    ],
)
def test_a_local_model_that_does_not_fit(cli: Cli, project: Path, old: str, new: str, said: str) -> None:
    change(project, (old, new))
    assert said in one(cli("validate"))


@pytest.mark.parametrize(
    ("config", "measure", "said"),
    [
        (
            {"model_type": "mamba"},
            "losses",
            "data.site: places and names are not known for models of type mamba",
        ),
        ({"n_inner": 48}, "losses", "data.dim: must be 48 at 1.mlp_hidden"),
        (
            {"model_type": "gpt_neox", "num_hidden_layers": 1},
            "losses",
            "data.site.layer: must be less than the model's layers (1), not 1",
        ),
        (
            {"architectures": ["GPT2Model"]},
            "losses, language_model",
            "16:19  measure.1: ./gpt2 (GPT2Model) does not",
        ),
    ],
)
def test_what_a_configuration_says(
    cli: Cli, project: Path, config: dict[str, Any], measure: str, said: str
) -> None:
    checkpoint(project / "gpt2", **config)
    change(project, ("[losses]", f"[{measure}]"))
    assert said in one(cli("validate"))


def test_a_configuration_that_cannot_be_read(cli: Cli, project: Path) -> None:
    (project / "gpt2/config.json").write_text("{")
    assert "./gpt2/config.json cannot be read" in one(cli("validate"))
    checkpoint(project / "gpt2")
    (project / "gpt2/model.safetensors").unlink()
    assert "./gpt2 has no *.safetensors" in one(cli("validate"))


@pytest.mark.parametrize(
    ("roles", "bos", "said"),
    [
        (
            {"eos_token": "<eos>"},
            "skip",
            "13:8  data.bos: the tokenizer ./gpt2 has no beginning-of-text token (write",
        ),
        (
            {"bos_token": "<bos>", "eos_token": None},
            "add",
            "data.model.name: the tokenizer ./gpt2 has no end-of-text",
        ),
        ({"bos_token": {"content": "<bos>"}, "eos_token": "<eos>"}, "add", ""),
        ({"eos_token": "<eos>"}, "none", ""),
    ],
)
def test_tokens_that_a_local_tokenizer_lacks(
    cli: Cli, project: Path, roles: dict[str, Any], bos: str, said: str
) -> None:
    checkpoint(project / "gpt2", {"tokenizer_class": "TokenizersBackend", **roles})
    change(project, ("context: 32", f"context: 32\n  bos: {bos}"))
    found = cli("validate")
    assert said in one(found) if said else found.code == 0, found.err


def test_a_trained_model_has_the_places_of_its_family(cli: Cli, project: Path) -> None:
    model = TRAINED.replace("FAMILY", "gpt_neox")
    change(
        project,
        ("{kind: pretrained, name: ./gpt2}", model),
        ("mlp_hidden", "resid_mid"),
        ("dim: 64", "dim: 16"),
    )
    assert "data.site.place: the model has no site 1.resid_mid" in one(cli("validate"))
    change(project, ("resid_mid", "resid_post"))
    assert cli("validate").code == 0


def test_one_document_cannot_be_both_parts(cli: Cli, project: Path) -> None:
    change(project, ("documents: line, ", ""))
    line = one(cli("validate"))
    assert "data.corpus.paths: is one document, which is either trained on or held out" in line


def test_parts_that_cannot_fill(cli: Cli, project: Path) -> None:
    """Read as a whole, the text of a small corpus; of a large one the size says what it cannot hold."""
    change(project, ("held_out_tokens: 200", "held_out_tokens: 20_000"))
    line = one(cli("validate"))
    assert line.startswith(
        "specs/tiny.yaml:11:20  data.held_out_tokens: the held-out part of the corpus has "
    )
    assert "not 20,000 (lower held_out_tokens" in line
    (project / "text/b.txt").write_text("a line of text\n" * 200_000)
    assert cli("validate").code == 0
    change(project, ("  tokens: 1000", "  tokens: 40_000_000"))
    assert "data.tokens: with held_out_tokens, more than the corpus has" in one(cli("validate"))


def test_everything_is_said_at_once_for_all_specs(cli: Cli, project: Path) -> None:
    change(project, ("[text/*.txt]", "[a.txt, b.txt]"), ("./gpt2", "./nowhere"))
    text = (project / "specs/tiny.yaml").read_text().replace("name: tiny", "name: other")
    (project / "specs/other.yaml").write_text(text)
    for command in ("validate", "plan", "run"):
        said = cli(command)
        assert said.code == 2
        assert said.err.splitlines()[-1] == "6 problems", command
    assert not (project / "results").exists()
    assert [p["column"] for p in cli("validate", "--json").json["specs"][1]["problems"]] == [35, 33, 40]


def test_swept_and_overridden_values_are_pointed_at(cli: Cli, project: Path) -> None:
    change(project, ("measure:", "sweep: {grid: {data.model.name: [./gpt2, ./nowhere]}}\nmeasure:"))
    assert one(cli("validate")).startswith("specs/tiny.yaml:16:42  data.model.name: ./nowhere: there is no")
    change(project, ("sweep: {grid: {data.model.name: [./gpt2, ./nowhere]}}\n", ""))
    said = cli("plan", "--set", "data.model.name=./nowhere")
    assert one(said).startswith("--set:1:"), said.err
    assert cli("plan", "--set", "train.steps=6").code == 0, "paths are relative to the project that it is of"


def test_the_hub_is_not_asked(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    change(project, ("name: ./gpt2", "name: no/such, revision: main"))
    assert cli("validate").code == 0
    (project / "no/such").mkdir(parents=True)
    assert "data.model.name: no/such is a folder here: write ./no/such" in one(cli("validate"))


def test_a_look_imports_nothing_heavy() -> None:
    code = (
        "import sys, saespec.data.available; print([m for m in "
        "('torch', 'transformers', 'numpy', 'pyarrow', 'datasets', 'huggingface_hub') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
