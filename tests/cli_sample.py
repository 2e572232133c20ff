"""A project with one tiny spec, the command line called in this process, and golden files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from saespec.cli import main

GOLDEN = Path(__file__).parent / "golden"

SPEC = """\
version: 1
name: tiny
title: A tiny spec
data: {kind: toy, dim: 8, features: 12, active: 2}
sae:
  kind: relu
  latents: 12
loss:
  reconstruction: mean
  sparsity: {kind: l1, coefficient: 0.1, per: latents}
train:
  steps: 50
  batch: 32
  optimizer: {lr: 0.01}

sweep:
  grid:
    loss.sparsity.coefficient: [0.05, 0.3]

measure: [recovery, losses]

figures:
  curve:
    title: MMCS against the coefficient
    sql: |
      select sparsity_coefficient, mmcs
      from cells order by all
    vega_lite:
      mark: point
      encoding:
        x: {field: sparsity_coefficient, type: quantitative}
        y: {field: mmcs, type: quantitative}

claims:
  measured:
    says: Every cell has an MMCS.
    source: nowhere
    sql: select count(mmcs) as measured, count(*) as cells from cells
    holds: measured = cells
  perfect:
    says: Fifty steps are enough to recover everything.
    sql: select max(mmcs) as best from cells
    holds: best > 1
"""


@dataclass(frozen=True)
class Said:
    """What a command line printed and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli:
    """Calls the command line in this process; `run` goes on to real DVC processes."""

    def __init__(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capfd = capfd
        for name, value in {"COLUMNS": "100", "NO_COLOR": "1"}.items():
            monkeypatch.setenv(name, value)

    def __call__(self, *words: str) -> Said:
        self._capfd.readouterr()
        code = main(words)
        return Said(code, *self._capfd.readouterr())


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(capfd, monkeypatch)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the tiny spec, nothing run, and the working directory in it."""
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(root: Path, name: str = "tiny", text: str = SPEC) -> Path:
    path = root / "specs" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("name: tiny", f"name: {name}"))
    return path


def edit(root: Path, old: str, new: str) -> None:
    path = root / "specs" / "tiny.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def matches_golden(name: str, text: str) -> None:
    """Compare with `tests/golden/<name>`; SAESPEC_GOLDEN=write writes it instead."""
    path = GOLDEN / name
    if os.environ.get("SAESPEC_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
