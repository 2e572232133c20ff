"""Combinations that no cell can be: each is refused where it stands, and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_sample import matches_golden
from spec_sample import load_text

from saespec.errors import SpecError

SAE = "sae: {kind: relu, latents: 32}"
LOSS = "loss: {reconstruction: mean, sparsity: {kind: l1, coefficient: 0.1, per: latents}}"
TRAIN = "train: {steps: 100, batch: 16, optimizer: {lr: 1.0e-3}}"
BRICKEN = "resample: {kind: bricken, every: 20, until: 80, window: 10}"


def sae(text: str) -> tuple[str, str]:
    return SAE, f"sae: {{latents: 32, {text}}}"


def loss(text: str) -> tuple[str, str]:
    return LOSS, f"loss: {{reconstruction: mean, {text}}}"


def train(text: str) -> tuple[str, str]:
    return TRAIN, f"train: {{steps: 100, batch: 16, optimizer: {{lr: 1.0e-3}}, {text}}}"


NONE = loss("sparsity: none")

REFUSALS: dict[str, list[tuple[str, str]]] = {
    "k above latents": [sae("kind: topk, k: 33"), NONE],
    "k for relu": [sae("kind: relu, k: 4")],
    "a threshold for relu": [sae("kind: relu, threshold: 0.1")],
    "tied weights with a start of the encoder": [
        sae("kind: relu, weights: tied, init: {encoder: {kind: decoder_transposed}}")
    ],
    "a start of a bias that is not there": [sae("kind: relu, init: {decoder_bias: mean}")],
    "a penalty of norms that are 1": [
        loss("sparsity: {kind: l1, coefficient: 0.1, per: latents, weighted_by_norm: true}")
    ],
    "a penalty that says nothing": [sae("kind: relu, decoder_norm: none")],
    "a count of codes without thresholds": [loss("sparsity: {kind: l0, coefficient: 0.1, per: latents}")],
    "more nested dictionaries than latents": [loss("sparsity: none, prefixes: 7")],
    "an auxiliary k above latents": [loss("sparsity: none, auxiliary: {kind: aux_k, k: 33, window: 10}")],
    "a second auxiliary loss": [
        sae("kind: gated"),
        loss("sparsity: none, auxiliary: {kind: ghost, window: 10}"),
    ],
    "resampling later than the last step": [train(BRICKEN.replace("until: 80", "until: 100"))],
    "resampling never": [train(BRICKEN.replace("every: 20", "every: 90"))],
    "a window longer than the run": [train(BRICKEN.replace("window: 10", "window: 100"))],
    "a window in samples longer than the run": [
        loss("sparsity: none, auxiliary: {kind: ghost, window: 1601, window_in: samples}")
    ],
    "a window of counts longer than the time between two looks": [
        train(BRICKEN.replace("bricken", "taggart").replace("window: 10", "window: 21"))
    ],
    "a window longer than the time to the last look": [
        train(BRICKEN.replace("every: 20, until: 80, window: 10", "every: 50, until: 80, window: 60"))
    ],
    "a schedule of more than all steps": [train("schedule: {warmup: 0.6, decay: {kind: linear, last: 0.5}}")],
    "sparse products of what learns from zeros": [sae("kind: gated"), train("products: sparse")],
    "sparse products of nested dictionaries": [
        loss("sparsity: none, prefixes: 2"),
        train("products: sparse"),
    ],
}


TEXT = f"""\
version: 1
name: refused
title: Refused
data: {{kind: toy, dim: 16, features: 32, active: 3}}
{SAE}
{LOSS}
{TRAIN}
measure: [recovery]
"""


def test_what_does_not_go_together_is_refused_where_it_stands(tmp_path: Path) -> None:
    load_text(tmp_path, TEXT)
    said = []
    for name, changes in REFUSALS.items():
        text = TEXT
        for old, new in changes:
            text = text.replace(old, new)
        with pytest.raises(SpecError) as caught:
            load_text(tmp_path, text)
        said.append(f"{name}\n{caught.value}\n")
    matches_golden("refusals.txt", "\n".join(said))
