"""Cells of a spec."""

from __future__ import annotations

import time
from pathlib import Path

from spec_sample import GOOD, PLAIN, load_text

from saespec.plan.cells import resolve_cells
from saespec.plan.identity import cell_id


def test_cells_of_a_spec(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, GOOD)
    cells = resolve_cells(loaded)
    assert len(cells) == len({c.id for c in cells}) == 5 * 2 * 2 * 2
    assert all(c.id == cell_id(c.config) for c in cells)
    assert cells == resolve_cells(loaded.spec)
    assert cells[1].swept == {
        "loss.sparsity.coefficient": 0.01,
        "sae.latents": 32,
        "data.dim": 32,
        "data.features": 64,
        "seed": 1,
        "train.optimizer.lr": 0.0003,
    }
    assert cells[1].config.train.optimizer.lr == 0.0003


def test_an_added_value_leaves_the_other_cells_as_they_are(tmp_path: Path) -> None:
    few = resolve_cells(load_text(tmp_path, f"{PLAIN}sweep: {{grid: {{seed: [0, 1]}}}}"))
    more = resolve_cells(load_text(tmp_path, f"{PLAIN}sweep: {{grid: {{seed: [2, 0, 1]}}}}"))
    assert [c.id for c in more[1:]] == [c.id for c in few]


def test_ten_thousand_cells(tmp_path: Path) -> None:
    axes = "data.active: {from: 0.01, to: 10, per_decade: 33}, sae.latents: {of: data.features, ratios: [0.5, 1]}"
    text = f"{PLAIN}sweep: {{grid: {{{axes}, seed: [{', '.join(map(str, range(50)))}]}}}}"
    started = time.process_time()
    cells = resolve_cells(load_text(tmp_path, text))
    assert len(cells) == 10_000
    assert time.process_time() - started < 3  # well under 1.5 s on an idle machine
