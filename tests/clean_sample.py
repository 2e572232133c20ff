"""A project as runs leave it, written at once: what stages write is made up, ids and plans are real."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from plan_sample import SPEC, make, planned

from saespec.plan import dvcfile, inputs, planfile
from saespec.plan.model import Plan

TRANSFORMER = """\
version: 1
name: tiny
title: A tiny transformer
data:
  kind: transformer
  model:
    kind: trained
    layers: 2
    width: 16
    heads: 2
    mlp: 64
    context: 32
    tokenizer: {kind: bpe, vocabulary: 300}
    train: {tokens: 2000, batch: 16, lr: 1.0e-3}
  corpus: {kind: files, paths: [text/*.txt]}
  context: 32
  site: {layer: 1, place: mlp_hidden}
  dim: 64
  tokens: 2000
  held_out_tokens: 200
sae: {kind: relu, latents: 64}
loss: {reconstruction: sum, sparsity: {kind: l1, coefficient: 0.1, per: sample}}
train: {steps: 50, batch: 64, optimizer: {lr: 1.0e-3}}
sweep: {grid: {data.site.layer: [0, 1]}}
measure: [losses]
"""


def ran(root: Path, name: str = "tiny", text: str = SPEC) -> Plan:
    """Write a spec and what a run of it leaves in results and store; return its plan."""
    plan = planned(make(root, name, text), root)
    dvcfile.write(plan, root)
    dvcfile.write_root(root)
    folder, store = root / plan.folder, root / ".saespec/store"
    put(folder / "plan.json", planfile.dump(plan))
    for file in ("tables/cells.parquet", "figures/fig01.svg", "dvc.lock", "runs.parquet", "inputs/note.json"):
        put(folder / file)
    put(folder / "claims.json", b"{}")
    for cell in plan.cells:
        put(store / f"cells/{cell.id}.safetensors")
        put(folder / f"cells/group/{cell.id}.safetensors")
    for name, data in inputs.trained_models(plan.cells).items():
        put(store / inputs.model_mark(data))
        put(store / f"models/{name}/model.safetensors")
    for one in inputs.extractions(plan.cells):
        for part in ("train", "held-out"):
            put(store / f"activations/{one.id}/{part}/contexts.json")
        for site in one.sites:
            put(store / inputs.site_mark(one.data, site))
    return plan


def put(path: Path, data: bytes = b"1234567890") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def snapshot(root: Path, name: str, *cells: str) -> Path:
    """Write a snapshot of cells in training: a safetensors file with nothing but its header."""
    header = json.dumps({"__metadata__": {"saespec": json.dumps({"cells": cells, "step": 1})}}).encode()
    path = root / f".saespec/store/partial/{name}.safetensors"
    return put(path, len(header).to_bytes(8, "little") + header)


def files(root: Path) -> set[str]:
    """Every file of a project but git's and DVC's own, and locks."""
    skipped = (".git/", ".dvc/", ".saespec/locks/", ".saespec/.gitignore")
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}
    return {path for path in found if not path.startswith(skipped)}


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)
