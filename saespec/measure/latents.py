"""A row for each latent."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from saespec.sae.cosine import cosines
from saespec.spec.measures import Latents

from .columns import Columns
from .trained import Trained


def measure(config: Latents, stacks: Sequence[Trained]) -> Columns:
    """Density, mean code, bias, encoder norm and best truth feature of every latent."""
    columns = Columns()
    for trained in stacks:
        activity = trained.activity(config.batches)
        for n, cell in enumerate(trained.cells):
            fired_L = activity.fired_NL[n]
            truth = trained.sources[n].truth
            best: dict[str, list[float | int | None]] = {"best_cosine": [None] * len(fired_L)}
            best["best_feature"] = best["best_cosine"]
            if truth is not None:
                best_L, feature_L = cosines(trained.dictionary_NLD[n], truth.truth_GD).max(dim=1)
                best = {"best_cosine": best_L.tolist(), "best_feature": feature_L.tolist()}
            columns.add(
                "latents",
                cell=[cell.id] * len(fired_L),
                latent=range(len(fired_L)),
                density=(fired_L / activity.samples).tolist(),
                # A latent that never fires has no mean: NULL, not 0.
                mean_active=[
                    code / fired if fired else None
                    for code, fired in zip(activity.codes_NL[n].tolist(), fired_L.tolist(), strict=True)
                ],
                bias=trained.params["bias"][n].tolist(),
                encoder_norm=torch.linalg.vector_norm(trained.params["encoder"][n], dim=1).tolist(),
                **best,
            )
    return columns
