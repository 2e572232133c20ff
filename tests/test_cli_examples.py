"""`saespec examples`: the page from the table, without a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_sample import Cli, edit, write
from spec_sample import one_problem
from test_spec_fields import TRANSFORMER

from saespec.results import parquet
from saespec.results.schema import tables
from saespec.spec.language.load import load

SPEC = f"""\
version: 1
name: tiny
title: A <tiny> model
data: {json.dumps(TRANSFORMER)}
sae: {{kind: relu, latents: 12}}
loss: {{reconstruction: mean, sparsity: {{kind: l1, coefficient: 0.1, per: latents}}}}
train: {{steps: 50, batch: 32, optimizer: {{lr: 0.01}}}}
sweep: {{grid: {{loss.sparsity.coefficient: [0.05, 0.3]}}}}
measure: [losses, {{top_examples: {{where: {{sae.latents: 12}}}}}}]
"""


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A project whose spec has a table of examples; the ids of its cells."""
    from saespec.plan.cells import resolve_cells

    monkeypatch.chdir(tmp_path)
    loaded = load(write(tmp_path, text=SPEC), root=tmp_path)
    ids = [cell.id for cell in resolve_cells(loaded)]
    rows = [
        {
            "cell": cell, "latent": latent, "density": 0.1, "rank": 1, "activation": 2.0, "context": 0, "position": 1,
            "token": " cat", "before": "the", "after": "", "tokens": json.dumps([["the", 0.0], [" cat", 2.0]]),
        }
        for cell in ids for latent in (1, 4)
    ]  # fmt: skip
    file = tmp_path / "results/tiny/tables/examples.parquet"
    parquet.write(file, "examples", tables(loaded.spec)["examples"], rows, {})
    return ids


def test_a_page_is_written_beside_the_tables(cli: Cli, cells: list[str], tmp_path: Path) -> None:
    said = cli("examples", "tiny")
    assert (said.code, said.out) == (0, "results/tiny/examples.html\n")
    page = (tmp_path / "results/tiny/examples.html").read_text()
    assert page.count("<h3>latent") == 4
    assert "A &lt;tiny&gt; model" in page
    assert "loss.sparsity.coefficient = 0.3" in page


def test_one_cell_is_shown_by_the_beginning_of_its_id(cli: Cli, cells: list[str], tmp_path: Path) -> None:
    said = cli("examples", "tiny", "--cell", cells[1][:5], "--out", "some/page.html", "--json")
    assert said.json == {
        "ok": True, "spec": "tiny", "file": "some/page.html", "cells": 1, "latents": 2, "examples": 2,
    }  # fmt: skip
    page = (tmp_path / "some/page.html").read_text()
    assert f'id="{cells[1]}"' in page
    assert cells[0] not in page


def test_a_cell_without_examples_is_named(cli: Cli, cells: list[str]) -> None:
    said = cli("examples", "tiny", "--cell", "zzzz")
    assert said.code == 2
    assert "cell zzzz has no top examples" in said.err
    assert cells[0] in said.err


def test_examples_that_nobody_measured(cli: Cli, cells: list[str], tmp_path: Path) -> None:
    (tmp_path / "results/tiny/tables/examples.parquet").unlink()
    said = cli("examples", "tiny")
    assert said.code == 1
    assert "saespec run specs/tiny.yaml" in said.err
    edit(tmp_path, ", {top_examples: {where: {sae.latents: 12}}}", "")
    said = cli("examples", "tiny")
    assert said.code == 2
    assert "add top_examples to measure" in said.err


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("sae.latent: 12", "did you mean sae.latents?"),
        ("sae.latents: 13", "no cell has these values"),
        ("sae.weights: tied", "no cell has these values"),
        ("loss.sparsity.coefficient: 0.1", "no cell has these values"),
    ],
)
def test_a_choice_of_cells_that_means_none_is_refused(tmp_path: Path, where: str, said: str) -> None:
    problem = one_problem(tmp_path, SPEC.replace("sae.latents: 12}", f"{where}}}"))
    assert said in str(problem)
    assert problem.line == 9
