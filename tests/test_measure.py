"""Measures on trained and on hand-made cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells import cell, rows

from saespec.data.source import source
from saespec.errors import DamagedFileError
from saespec.measure import recovery
from saespec.measure.tables import tables
from saespec.measure.trained import Trained, load
from saespec.plan.model import Cell
from saespec.sae.checkpoint import Store
from saespec.sae.cosine import cosines, mmcs
from saespec.sae.train import train
from saespec.spec.measures import (
    DeadLatents,
    LargerDictionaries,
    Latents,
    Losses,
    Nonlinearity,
    Recovery,
    Response,
    SparseCoding,
)

CPU = torch.device("cpu")
ALL = [
    Recovery(kind="recovery"),
    Losses(kind="losses", batches=5),
    DeadLatents(kind="dead_latents", window=5),
    Latents(kind="latents", batches=5),
    LargerDictionaries(kind="larger_dictionaries"),
]


def measured(
    cells: Sequence[Cell], folder: Path, measures: list[Any] = ALL
) -> dict[str, list[dict[str, Any]]]:
    return {name: rows(table) for name, table in tables("x", cells, measures, loaded(cells, folder)).items()}


def loaded(cells: Sequence[Cell], folder: Path) -> list[Trained]:
    store = Store(folder)
    by_size: dict[int, list[Cell]] = {}
    for own in cells:
        by_size.setdefault(own.config.sae.latents, []).append(own)
    for members in by_size.values():
        train([c for c in members if not store.finished(c.id)], store, [CPU])
    return load([(tuple(members), folder / "cells") for members in by_size.values()], CPU)


def test_every_declared_column_is_measured(tmp_path: Path) -> None:
    cells = [cell(latents=n, steps=60) for n in (12, 24, 48)]
    found = measured(cells, tmp_path)
    declared: dict[str, set[str]] = {}
    for measure in ALL:
        for table, columns in measure.columns.items():
            declared.setdefault(table, set()).update(column.name for column in columns)
    for table, columns in declared.items():
        assert columns <= set(found[table][0]), table
    assert [row["cell"] for row in found["cells"]] == [c.id for c in cells]
    assert len(found["latents"]) == 12 + 24 + 48
    assert len(found["truth"]) == 3 * 24
    assert [(row["cell"], row["other_latents"]) for row in found["pairs"]] == [
        (cells[0].id, 24), (cells[0].id, 48), (cells[1].id, 48)
    ]  # fmt: skip
    assert found["cells"][2]["mmcs_larger"] is None


def test_a_cells_rows_do_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    cells = [cell(dim=19, latents=37, l1=0.02 * 1.7**i, seed=i % 2, steps=30) for i in range(9)]
    together = measured(cells, tmp_path, ALL[:4])
    alone = measured(cells[4:5], tmp_path, ALL[:4])
    for table, own in alone.items():
        assert own == [row for row in together[table] if row["cell"] == cells[4].id], table


def test_a_perfect_dictionary_is_recovered_whole() -> None:
    truth = torch.nn.functional.normalize(
        torch.randn(24, 16, generator=torch.Generator().manual_seed(0)), dim=1
    )
    shuffled = truth[torch.randperm(24)]
    assert mmcs(truth, shuffled) == pytest.approx(1.0, abs=1e-6)
    assert recovery.assigned(cosines(truth, shuffled)) == pytest.approx(1.0, abs=1e-6)
    assert mmcs(truth, torch.cat([shuffled, torch.randn(50, 16)])) == pytest.approx(1.0, abs=1e-6)


def test_assignment_counts_a_latent_once_and_missing_latents_as_zero() -> None:
    both = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert mmcs(both, both[:1]) == pytest.approx(2 / 3)
    assert recovery.assigned(cosines(both, both[:1])) == pytest.approx(1 / 3)
    assert recovery.assigned(cosines(both, both)) == pytest.approx(1.0)


@pytest.mark.parametrize(("latents", "documented"), [(128, 0.162), (512, 0.190), (2048, 0.213)])
def test_chance_level_is_the_documents(latents: int, documented: float, tmp_path: Path) -> None:
    # 512 random features in 256 dimensions against a random dictionary: documents §0.4
    made = cell(dim=256, features=512, latents=latents)
    own = source(made.config.data, 0, CPU)
    assert mmcs(own.truth_GD, own.chance_dictionary(latents)) == pytest.approx(documented, abs=0.002)


def test_a_silent_dictionary_loses_what_predicting_zero_loses(tmp_path: Path) -> None:
    # A penalty this large silences every latent, so the reconstruction is zero.
    own = cell(l1=1e4, steps=200, lr=1e-2)
    row = measured([own], tmp_path)["cells"][0]
    (stack,) = loaded([own], tmp_path)
    power = np.mean([x.square().mean().item() for _, x in stack.codes(5)])
    assert row["l0"] == 0
    assert row["sparsity_loss"] == 0
    assert row["dead_latents"] == 24
    assert row["reconstruction_loss"] == pytest.approx(power, rel=1e-5)
    assert row["fvu"] >= 1


def test_losses_are_those_that_the_curve_ends_with(tmp_path: Path) -> None:
    own = cell(steps=300, batch=256, per="sample", reconstruction="sum")
    found = measured([own], tmp_path, [Losses(kind="losses", batches=40)])
    row, last = found["cells"][0], found["curves"][-1]
    for name in ("loss", "reconstruction_loss", "sparsity_loss", "l0"):
        assert row[name] == pytest.approx(last[name], rel=0.1)
    assert row["loss"] == pytest.approx(row["reconstruction_loss"] + 0.1 * row["sparsity_loss"])


def test_dead_latents_are_those_of_density_zero_on_the_same_batches(tmp_path: Path) -> None:
    found = measured([cell(l1=2.0, steps=200)], tmp_path)
    silent = sum(row["density"] == 0 for row in found["latents"])
    assert found["cells"][0]["dead_latents"] == silent > 0
    assert all((row["mean_active"] is None) == (row["density"] == 0) for row in found["latents"])


def test_larger_dictionaries_differ_in_size_alone(tmp_path: Path) -> None:
    cells = [cell(latents=12), cell(latents=24), cell(latents=48), cell(latents=24, l1=0.5)]
    found = measured(cells, tmp_path, [LargerDictionaries(kind="larger_dictionaries")])
    small = found["cells"][0]
    pairs = [row["mmcs"] for row in found["pairs"] if row["cell"] == small["cell"]]
    assert len(pairs) == 2
    assert small["mmcs_larger"] == pytest.approx(sum(pairs) / 2)
    nearest = measured(cells, tmp_path, [LargerDictionaries(kind="larger_dictionaries", nearest=1)])
    assert nearest["cells"][0]["mmcs_larger"] == pairs[0]


def test_truth_frequencies_sum_to_the_active_features(tmp_path: Path) -> None:
    found = measured([cell(active=2.0, batch=256)], tmp_path, ALL[:1])
    assert sum(row["frequency"] for row in found["truth"]) == pytest.approx(2.0, rel=0.02)


def test_a_checkpoint_of_another_cell_is_refused(tmp_path: Path) -> None:
    one, other = cell(), cell(seed=1)
    loaded([one, other], tmp_path)
    path = Store(tmp_path).cell(one.id)
    path.write_bytes(Store(tmp_path).cell(other.id).read_bytes())
    with pytest.raises(DamagedFileError, match=other.id):
        load([((one,), tmp_path / "cells")], CPU)


def test_truth_frequencies_are_counted_on_the_cells_own_batches(tmp_path: Path) -> None:
    one, other = cell(batch=32), cell(batch=64)
    both = measured([one, other], tmp_path, ALL[:1])["truth"]
    alone = measured([other], tmp_path, ALL[:1])["truth"]
    assert [row for row in both if row["cell"] == other.id] == alone


def test_a_cell_that_diverged_has_a_status_and_no_numbers(tmp_path: Path) -> None:
    bad, good = cell(lr=1e30), cell()
    found = measured([bad, good], tmp_path)
    first, second = found["cells"]
    assert (first["status"], first["diverged_by"]) == ("diverged", "loss")
    assert 1 <= first["diverged_at"] <= 16
    for name in (
        "mmcs",
        "mcc",
        "recovered",
        "l0",
        "loss",
        "fvu",
        "dead_latents",
        "mmcs_alive",
        "mmcs_larger",
    ):
        assert first.get(name) is None, name
    assert (second["status"], second.get("diverged_at")) == ("finished", None)
    assert second["mcc"] > 0
    for table in ("latents", "truth"):
        rows = [row for row in found[table] if row["cell"] == bad.id]
        assert rows
        assert all(
            value is None
            for row in rows
            for name, value in row.items()
            if name not in ("cell", "latent", "feature")
        )


def test_a_dictionary_is_not_compared_with_one_that_diverged(tmp_path: Path) -> None:
    small, large = cell(latents=8), cell(latents=24, lr=1e30)
    # Of one family but for the learning rate, which made the larger one diverge.
    large = Cell(large.id, large.config.model_copy(update={"train": small.config.train}))
    train([cell(latents=24, lr=1e30)], Store(tmp_path), [CPU])
    found = measured([small, large], tmp_path)
    assert found["cells"][0].get("mmcs_larger") is None or np.isnan(found["cells"][0]["mmcs_larger"])
    for row in found["pairs"]:
        assert (row["mmcs"], row["above_09"]) == (None, None)


def test_sparse_coding_finds_the_codes_of_least_loss(tmp_path: Path) -> None:
    """Against scikit-learn's coordinate descent, for a penalty per sample and per latent, with an offset."""
    from sklearn.linear_model import Lasso

    cells = [
        cell(sae={"decoder_bias": "learned"}, l1=l1, per=per, reconstruction=mean, steps=200)
        for l1, per, mean in ((0.01, "sample", "mean"), (2.0, "latents", "sum"))
    ]
    rows = measured(
        cells, tmp_path, [SparseCoding(kind="sparse_coding", batches=2), Losses(kind="losses", batches=2)]
    )
    (trained,) = loaded(cells, tmp_path)
    for n, own in enumerate(cells):
        config, row = own.config, rows["cells"][n]
        x = torch.cat([trained.batches.batch("held-out", t)[1][n] for t in range(2)]).double().numpy()
        dictionary = trained.dictionary_NLD[n].double().numpy()
        left = x - trained.params["decoder_bias"][n].double().numpy()
        scale = config.loss.reconstruction_scale(config.data.dim)
        penalty = config.loss.coefficient * config.loss.sparsity_scale(len(dictionary))
        # Lasso's loss is ‖y − Xw‖² / 2D + alpha ‖w‖₁.
        alpha = penalty / scale / 2 / config.data.dim
        lasso = Lasso(alpha=alpha, positive=True, fit_intercept=False, tol=1e-10, max_iter=100_000)
        codes = np.stack([lasso.fit(dictionary.T, sample).coef_ for sample in left])
        error = np.square(codes @ dictionary - left).sum(axis=1).mean()
        assert row["coding_loss"] == pytest.approx(
            scale * error + penalty * codes.sum(axis=1).mean(), rel=1e-5
        )
        assert row["coding_l0"] == pytest.approx((codes > 0).sum(axis=1).mean(), abs=0.2)
        assert row["coding_fvu"] == pytest.approx(
            error / np.square(x - x.mean(axis=0)).sum(axis=1).mean(), rel=1e-3
        )
        assert row["coding_loss"] <= row["loss"]


def test_sparse_coding_takes_a_coefficient_where_a_cell_has_none(tmp_path: Path) -> None:
    topk = cell(sae={"kind": "topk", "k": 2}, loss={"sparsity": "none"})
    own = measured([topk], tmp_path, [SparseCoding(kind="sparse_coding", batches=1)])["cells"][0]
    assert [own[f"coding_{name}"] for name in ("loss", "l0", "fvu")] == [None] * 3
    named = SparseCoding(kind="sparse_coding", batches=1, coefficient=0.01)
    assert measured([topk], tmp_path, [named])["cells"][0]["coding_l0"] > 0


def test_the_response_to_a_feature_is_that_of_its_own_code(tmp_path: Path) -> None:
    own = cell(latents=8, steps=30)
    found = measured([own], tmp_path, [Response(kind="response", features=2, up_to=3, points=4)])["response"]
    assert [(row["feature"], row["magnitude"]) for row in found] == [(f, m) for f in (0, 1) for m in range(4)]
    (trained,) = loaded([own], tmp_path)
    truth = trained.sources[0].truth
    assert truth is not None
    x_1BD = 3 * truth.truth_GD[1].view(1, 1, -1)
    made = trained.coder.decode(trained.params, trained.coder.encode(trained.params, x_1BD))
    assert found[-1]["reconstructed"] == pytest.approx(float(made.view(-1) @ truth.truth_GD[1]), rel=1e-5)


@pytest.mark.parametrize("gradient", ["relu", "ste"])
def test_a_nonlinearity_has_the_gradients_that_are_written_of_it(gradient: str, tmp_path: Path) -> None:
    cells = [cell(steps=2), cell(steps=2, kind="prolu", latents=8, sae={"gradient": gradient})]
    found = measured(cells, tmp_path, [Nonlinearity(kind="nonlinearity", up_to=1, points=5)])["nonlinearity"]
    assert len(found) == 2 * 25
    for row in found:
        m, b = row["pre"], row["bias"]
        if row["cell"] == cells[0].id:
            assert (row["code"], row["by_pre"], row["by_bias"]) == (max(m + b, 0), m + b > 0, m + b > 0)
        else:
            open_ = m > 0 and m + b > 0
            by = (1 + m, m) if gradient == "ste" else (1, 1)
            assert (row["code"], row["by_pre"], row["by_bias"]) == (m * open_, by[0] * open_, by[1] * open_)
