"""A good spec to break in tests, and helpers to write and load texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from saespec.errors import Problem, SpecError
from saespec.spec import LoadedSpec, load

GOOD = """\
# yaml-language-server: $schema=spec.schema.json
version: 1
name: toy_mmcs
title: Recovering toy features with an L1 sparse autoencoder
document: sharkey2022

data:
  kind: toy
  dim: 64
  features: 128
  active: 3                       # mean active features a sample
  correlation: random
  decay: {rule: multiply, rate: 0.99}
sae:
  kind: relu
  latents: 128
  weights: untied
loss:
  reconstruction: mean
  sparsity: {kind: l1, coefficient: 0.1, per: latents}
train:
  steps: 5000
  batch: 256
  optimizer: {kind: adam, lr: 1.0e-3}
seed: 0

sweep:
  grid:
    loss.sparsity.coefficient: {from: 0.01, to: 1, per_decade: 2}
    sae.latents: {of: data.features, ratios: [0.5, 1]}
  zip:
    data.dim: [32, 64]
    data.features: [64, 128]
  cases:
    - {seed: 0}
    - {seed: 1, train.optimizer.lr: 3.0e-4}

measure: [recovery, losses, {dead_latents: {window: 100}}, {kind: larger_dictionaries, nearest: 2}]

figures:
  fig03_mmcs:
    title: "MMCS with the ground truth"
    sql: |
      select sparsity_coefficient, latents, avg(mmcs) as mmcs
      from cells group by all order by all
    vega_lite: {mark: rect, encoding: {x: {field: sparsity_coefficient, type: ordinal}}}

claims:
  goldilocks_zone:
    says: The range of acceptable L1 penalties is wide, almost an order of magnitude.
    sql: select max(sparsity_coefficient) / min(sparsity_coefficient) as width from cells where mmcs >= 0.9
    holds: width >= 5
"""

PLAIN = GOOD[: GOOD.index("sweep:")] + GOOD[GOOD.index("measure:") :]
"""The same without a sweep: one cell."""


def write(folder: Path, text: str | bytes, name: str = "spec.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load_text(folder: Path, text: str | bytes, *overrides: str) -> LoadedSpec:
    return load(write(folder, text), overrides, root=folder)


def problems_of(folder: Path, text: str | bytes, *overrides: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        load_text(folder, text, *overrides)
    return caught.value.problems


def one_problem(folder: Path, text: str | bytes, *overrides: str) -> Problem:
    (problem,) = problems_of(folder, text, *overrides)
    return problem


def edit(old: str, new: str, text: str = GOOD) -> str:
    """The good spec with one piece of text replaced; the piece must be there once."""
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)
