"""A small spec and made-up rows of its tables, for the tests of the results and figures rooms."""

from __future__ import annotations

import math
from typing import Any

from saespec.spec.spec import Spec

SPEC: dict[str, Any] = {
    "version": 1,
    "name": "toy",
    "title": "A toy",
    "data": {"kind": "toy", "dim": 64, "features": 128, "active": 3.0},
    "sae": {"kind": "relu", "latents": 128},
    "loss": {"reconstruction": "mean", "sparsity": {"kind": "l1", "coefficient": 0.1, "per": "latents"}},
    "train": {"steps": 10, "batch": 8, "optimizer": {"lr": 0.001}},
    "measure": ["recovery", "losses", "dead_latents", "latents", "larger_dictionaries"],
}

PROVENANCE = {"saespec.spec": "toy", "saespec.torch": "2.13.0", "saespec.device": "cpu"}


def spec(**changes: Any) -> Spec:
    """The sample spec with top-level sections replaced."""
    return Spec.model_validate({**SPEC, **changes})


def cell_rows() -> list[dict[str, Any]]:
    """Rows of `cells` on a grid of 13 coefficients and 6 sizes, with a diagonal ridge of high MMCS."""
    rows = []
    for latents in (32, 64, 128, 256, 512, 1024):
        for k in range(-8, 5):
            coefficient = float(f"{10 ** (k / 4):.6g}")
            ratio = latents / 128
            distance = math.log10(coefficient) - math.log10(0.1 * ratio)
            recovered = math.exp(-(distance**2)) * min(1.0, 0.55 + 0.45 * ratio)
            rows.append(
                {
                    "cell": f"{latents:06d}{k + 8:06d}",
                    "spec": "toy",
                    "seed": 0,
                    "latents": latents,
                    "latent_ratio": ratio,
                    "sparsity_coefficient": coefficient,
                    "mmcs": round(0.19 + 0.8 * recovered, 6),
                    "mmcs_chance": 0.19,
                    "dead_latents": max(0, int(latents * (distance - 0.4))),
                    "sparsity_loss": 0.0 if distance > 1.4 else round(0.3 / (1 + math.exp(3 * distance)), 6),
                    "reconstruction_loss": round(0.001 + 0.02 / (1 + math.exp(-6 * (distance - 0.7))), 6),
                }
            )
    return rows
