"""Promise 4 for two at once: whatever runs beside whatever, and is killed when, ends as an undisturbed run does."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from corpus_sample import write_corpus

from saespec.plan.identity import sha256_hex

PAIRS = int(os.environ.get("SAESPEC_PAIRS", "1"))
"""Pairs of each kind. Ask for 13 to see fifty and more."""

TOY = """\
version: 1
name: {name}
title: t
data: {{kind: toy, dim: 8, features: 12, active: 1}}
sae: {{kind: relu, latents: 12}}
loss: {{reconstruction: mean, sparsity: {{kind: l1, coefficient: 0.1, per: latents}}}}
train: {{steps: {steps}, batch: 64, optimizer: {{kind: adam, lr: 1e-3}}}}
measure: [losses, recovery]
"""

ON_A_MODEL = """\
version: 1
name: {name}
title: t
data:
  kind: transformer
  model:
    kind: trained
    family: gpt2
    layers: 2
    width: 16
    heads: 2
    mlp: 32
    context: 16
    tokenizer: {{kind: bpe, vocabulary: 280}}
    train: {{tokens: 40000, batch: 8, lr: 5.0e-3}}
  corpus: {{kind: files, paths: [corpus.txt], documents: line, held_out: 0.2}}
  site: {{layer: {layer}, place: resid_pre}}
  dim: 16
  context: 16
  tokens: 8000
  held_out_tokens: 3000
sae: {{kind: relu, latents: 20}}
loss: {{reconstruction: mean, sparsity: {{kind: l1, coefficient: 0.0001, per: sample}}}}
train: {{steps: 300, batch: 64, optimizer: {{kind: adam, lr: 0.003}}}}
sweep: {{grid: {{seed: [0, 1], {axis}}}}}
measure: [losses, model]
"""

SPECS = {
    "qa": TOY.format(name="qa", steps=300),
    "qb": TOY.format(name="qb", steps=310),
    "fa": ON_A_MODEL.format(name="fa", layer=0, axis="sae.latents: [20, 24]"),
    "fb": ON_A_MODEL.format(name="fb", layer=1, axis="data.site.layer: [0, 1]"),
}

SET = ["--set", "train.steps=250"]
SAESPEC, DVC = [sys.executable, "-m", "saespec"], [sys.executable, "-m", "dvc"]

KINDS = {
    "the same spec": (["run", "qa"], ["run", "qa"]),
    "two specs": (["run", "qa"], ["run", "qb"]),
    "the same settings": (["run", "qa", *SET], ["run", "qa", *SET]),
    "one model": (["run", "fa"], ["run", "fb"]),
    "beside DVC": (["run", "qa"], ["repro"]),
}


@dataclass
class Command:
    """A command line of a project, started again until it ends well."""

    root: Path
    words: list[str]
    said: list[str] = field(default_factory=list)
    killed: bool = False
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        words = [*DVC, *self.words] if self.words[0] == "repro" else [*SAESPEC, *self.words]
        self.killed = False
        self.process = subprocess.Popen(
            words, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def kill(self, everything: bool) -> None:
        """Kill saespec alone, whose DVC then goes on, or all that it started."""
        assert self.process
        try:
            below = psutil.Process(self.process.pid).children(recursive=True) if everything else []
        except psutil.NoSuchProcess:
            return
        self.killed = self.process.poll() is None
        for process in (self.process, *below):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.send_signal(signal.SIGKILL)

    def ended_well(self) -> bool:
        assert self.process
        self.said.append(self.process.communicate(timeout=300)[0])
        if self.process.returncode == 0:
            return True
        # A plain DVC does not wait for another one: that is how it is, and its user asks again.
        assert self.killed or self.words[0] == "repro", self.said
        return False


def project(root: Path) -> Path:
    (root / "specs").mkdir(parents=True)
    for name, text in SPECS.items():
        (root / "specs" / f"{name}.yaml").write_text(text)
    write_corpus(root, 2000)
    return root


def results(root: Path) -> dict[str, str]:
    """Digest of every result, those of scratch projects too."""
    files = [
        *root.glob("results/*/tables/*.parquet"),
        *root.glob("results/*/cells/*/*"),
        *root.glob(".saespec/scratch/*/results/*/tables/*.parquet"),
        *root.glob(".saespec/store/models/*/*"),
        *root.glob(".saespec/store/activations/*/*/*"),
    ]
    return {str(path.relative_to(root)): sha256_hex(path.read_bytes().hex()) for path in files}


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_ends_as_an_undisturbed_run(kind: str, tmp_path: Path) -> None:
    alone = project(tmp_path / "alone")
    began = time.perf_counter()
    for words in KINDS[kind]:
        if words == ["repro"]:
            continue
        command = Command(alone, words)
        command.start()
        assert command.ended_well(), command.said
    usual = time.perf_counter() - began
    expected = results(alone)
    assert expected
    draw = random.Random(kind)
    for number in range(PAIRS):
        root = project(tmp_path / f"pair{number}")
        if ["repro"] in KINDS[kind]:
            subprocess.run([*SAESPEC, "compile", "qa"], cwd=root, check=True, capture_output=True)
        first, second = pair = [Command(root, words) for words in KINDS[kind]]
        first.start()
        time.sleep(draw.choice([0.0, draw.uniform(0, 0.8 * usual)]))
        second.start()
        if draw.random() < 0.6:
            time.sleep(draw.uniform(0, 0.8 * usual))
            draw.choice(pair).kill(everything=draw.random() < 0.5)
        waiting = list(pair)
        for _ in range(20):
            waiting = [command for command in waiting if not command.ended_well()]
            for command in waiting:
                command.start()
            if not waiting:
                break
        assert not waiting, [command.said for command in pair]
        assert results(root) == expected, [command.said for command in pair]
        assert all("Traceback" not in text for command in pair for text in command.said)
