"""Promises 1 and 4 for every architecture and rule: a cell's bits depend on the cell alone, and survive a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells import cell, stop_after

from saespec.errors import Interrupted
from saespec.plan.model import Cell
from saespec.sae.captured import CapturedStep
from saespec.sae.checkpoint import Store, read
from saespec.sae.stack import Stack
from saespec.sae.train import train

CPU = torch.device("cpu")

SHARED = {"decoder_bias": "shared", "init": {"decoder_bias": "geometric_median"}}
BRICKEN = {"resample": {"kind": "bricken", "every": 10, "until": 30, "window": 4, "batches": 3}}
TAGGART = {"resample": {**BRICKEN["resample"], "kind": "taggart", "frequency": 0.01, "warmup": 5}}
NONE: dict[str, Any] = {"sparsity": "none"}
L0 = {"sparsity": {"kind": "l0", "coefficient": 0.1, "per": "latents"}}

KINDS: dict[str, dict[str, Any]] = {
    "topk": {"sae": {"kind": "topk", "k": 4, **SHARED}, "loss": NONE},
    "topk, sparse": {"sae": {"kind": "topk", "k": 2}, "loss": NONE, "products": "sparse"},
    "topk, aux k": {
        "sae": {"kind": "topk", "k": 4, "decoder_norm": "unit_projected"},
        "loss": {**NONE, "auxiliary": {"kind": "aux_k", "k": 3, "window": 5}},
    },
    "batch topk": {"sae": {"kind": "batch_topk", "k": 4, "weights": "tied"}, "loss": NONE},
    "batch topk, nested": {
        "sae": {"kind": "batch_topk", "k": 4, **SHARED, "weights": "tied"},
        "loss": {**NONE, "prefixes": 3},
    },
    "jumprelu": {"sae": {"kind": "jumprelu", "threshold": 0.02, "bandwidth": 0.05}, "loss": L0},
    "gated": {"sae": {"kind": "gated", **SHARED, "decoder_norm": "unit_projected"}},
    "prolu": {"sae": {"kind": "prolu", "gradient": "ste", **SHARED}},
    "prolu, hybrid, square root": {
        "sae": {"kind": "prolu", "hybrid": True},
        "loss": {"sparsity": {"kind": "sqrt", "coefficient": 0.1, "per": "latents"}},
    },
    "resampled": {"sae": {"decoder_bias": "learned"}, "train": BRICKEN},
    "resampled, tied": {"sae": {"weights": "tied"}, "train": BRICKEN},
    "resampled by frequency": {"train": TAGGART},
    "ghost": {"loss": {"auxiliary": {"kind": "ghost", "window": 5}}},
    "informed, clipped, scheduled": {
        "sae": {
            "init": {
                "decoder": "data",
                "encoder": {"kind": "decoder_transposed", "scale": 0.1},
                "bias": "zero",
            }
        },
        "train": {"clip": 0.05, "schedule": {"warmup": 0.2, "decay": "linear"}},
    },
    "weighted, free": {
        "sae": {"decoder_norm": "none"},
        "loss": {
            "sparsity": {
                "kind": "tanh",
                "coefficient": 0.1,
                "per": "latents",
                "weighted_by_norm": True,
                "warmup": 0.4,
            }
        },
    },
}


def stack(kind: str, number: int = 17, **changes: Any) -> list[Cell]:
    """Cells of one group that differ where cells of a stack may."""
    return [
        cell(
            **{"l1": 0.1 * 1.5 ** (i % 6), "seed": i % 3, "lr": (1e-2, 3e-3, 2e-2)[i % 3], "features": 24 + i}
            | KINDS[kind]
            | changes
        )
        for i in range(number)
    ]


def trained(cells: list[Cell], folder: Path) -> dict[str, bytes]:
    train(cells, Store(folder), [CPU])
    return {c.id: Store(folder).cell(c.id).read_bytes() for c in cells}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_alone_or_among_seventeen_has_the_same_bytes(
    kind: str, precision: str, tmp_path: Path
) -> None:
    cells = stack(kind, precision=precision)
    together = trained(cells, tmp_path / "together")
    assert len(together) == 17
    for own in (cells[0], cells[7], cells[16]):
        assert trained([own], tmp_path / own.id)[own.id] == together[own.id]
    some = [cells[i] for i in (9, 2, 4)]
    assert trained(some, tmp_path / "some").items() <= together.items()


@pytest.mark.parametrize("calls", [7, 21, 33])
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_run_continues_bit_for_bit(kind: str, calls: int, tmp_path: Path) -> None:
    cells = stack(kind, 3)
    undisturbed = trained(cells, tmp_path / "undisturbed")
    store = Store(tmp_path / "interrupted")
    with pytest.raises(Interrupted):
        train(cells, store, [CPU], stop=stop_after(calls))
    assert trained(cells, tmp_path / "interrupted") == undisturbed


@pytest.mark.parametrize("kind", KINDS)
def test_looking_on_changes_nothing(kind: str, tmp_path: Path) -> None:
    """More points of the curve are more looks at a cell, not another cell's numbers."""
    few, many = (stack(kind, 1, curve_points=points)[0] for points in (1, 40))
    train([few, many], Store(tmp_path), [CPU])
    seen = [read(Store(tmp_path).cell(own.id))[0] for own in (few, many)]
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0] if name != "curve")
    assert torch.equal(seen[0]["curve"][-1], seen[1]["curve"][-1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_that_diverges_costs_the_others_nothing(kind: str, tmp_path: Path) -> None:
    cells = [*stack(kind, 2), cell(**{"lr": 1e30, "seed": 5} | KINDS[kind])]
    together = trained(cells, tmp_path / "together")
    alone = trained(cells[:2], tmp_path / "alone")
    assert alone.items() <= together.items()
    tensors, header = read(Store(tmp_path / "together").cell(cells[2].id))
    finite = all(own.isfinite().all() for name, own in tensors.items() if name != "curve")
    assert finite == ("diverged" not in header)
    if not finite:
        assert header["diverged"]["why"] == "loss"
        assert 1 <= header["diverged"]["at"] <= 40


# What follows has not run yet where it was written, for want of a GPU.
cuda_only = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
ON_CUDA = [kind for kind in KINDS if "products" not in KINDS[kind]]


@cuda_only
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ON_CUDA)
def test_alone_or_among_sixteen_and_interrupted_on_cuda(kind: str, precision: str, tmp_path: Path) -> None:
    cells, cuda = stack(kind, 16, precision=precision), [torch.device("cuda", 0)]
    stores = [Store(tmp_path / name) for name in ("together", "alone", "interrupted")]
    torch.use_deterministic_algorithms(True)
    try:
        train(cells, stores[0], cuda)
        train(cells[:1], stores[1], cuda)
        with pytest.raises(Interrupted):
            train(cells, stores[2], cuda, stop=stop_after(21))
        train(cells, stores[2], cuda)
    finally:
        torch.use_deterministic_algorithms(False)
    files = [
        [store.cell(own.id).read_bytes() for own in cells if store.cell(own.id).exists()] for store in stores
    ]
    assert files[0] == files[2]
    assert files[1] == files[0][:1]


@cuda_only
@pytest.mark.parametrize("kind", ON_CUDA)
def test_a_captured_step_is_the_step_on_a_cpu(kind: str) -> None:
    """Near it, after a few steps: the two multiply in other orders."""
    cells = tuple(stack(kind, 16))
    plain, captured = Stack(cells, CPU), Stack(cells, torch.device("cuda", 0))
    step = CapturedStep(captured)
    vectors = np.random.default_rng(0).standard_normal((64, 16))
    for one in (plain, captured):
        one.initialise(lambda n, count: vectors[:count])
    for t in range(3):
        x_NBD = torch.randn(1, 32, 16, generator=torch.Generator().manual_seed(t)).expand(
            len(plain.rows), -1, -1
        )
        for one in (plain, captured):
            one.prepare(t)
        plain.step(x_NBD, x_NBD)
        moved_NBD = x_NBD.cuda()
        step(moved_NBD, moved_NBD)
    for name, value in plain.params.items():
        found = captured.params[name][: len(cells)].cpu()
        assert torch.allclose(found, value[: len(cells)], rtol=1e-2, atol=1e-4), name
