"""Small cells for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from saespec.plan.identity import cell_id
from saespec.plan.model import Cell
from saespec.spec.spec import CellConfig


def stop_after(calls: int) -> Callable[[], bool]:
    """What training asks whether to stop: no so many times, then yes."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


def cell(
    *,
    dim: int = 16,
    features: int = 24,
    active: float = 2.0,
    latents: int = 24,
    l1: float = 0.1,
    per: str = "latents",
    reconstruction: str = "mean",
    steps: int = 40,
    batch: int = 32,
    lr: float = 1e-2,
    seed: int = 0,
    input_noise: float = 0.0,
    curve_points: int = 4,
    precision: str = "float32",
    products: str = "dense",
    movement: bool = False,
    kind: str = "relu",
    weights: str = "untied",
    decoder_norm: str = "unit",
    sae: dict[str, Any] | None = None,
    loss: dict[str, Any] | None = None,
    train: dict[str, Any] | None = None,
    **data: Any,
) -> Cell:
    """A cell on toy data; `sae`, `loss` and `train` add to sections, what is not named goes to the data section."""
    toy = {"kind": "toy", "dim": dim, "features": features, "active": active, **data}
    config = CellConfig.model_validate(
        {
            "data": toy,
            "sae": {
                "kind": kind,
                "latents": latents,
                "weights": weights,
                "decoder_norm": decoder_norm,
                **(sae or {}),
            },
            "loss": {
                "reconstruction": reconstruction,
                "sparsity": {"kind": "l1", "coefficient": l1, "per": per},
                **(loss or {}),
            },
            "train": {
                "steps": steps,
                "batch": batch,
                "optimizer": {"lr": lr},
                "input_noise": input_noise,
                "curve_points": curve_points,
                "precision": precision,
                "movement": movement,
                "products": products,
                **(train or {}),
            },
            "seed": seed,
        }
    )
    return Cell(cell_id(config), config)


def rows(table: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Columns as rows."""
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
