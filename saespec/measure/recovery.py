"""Recovery of the ground truth: MMCS, its chance level, one-to-one assignment.

Legend: N cells, G truth features, L latents, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from saespec.data.parts import HELD_OUT
from saespec.data.source import Truth
from saespec.data.source import key as data_key
from saespec.sae.cosine import cosines, mmcs
from saespec.spec.measures import Recovery

from .columns import Columns
from .trained import Trained

THRESHOLD = 0.9
FREQUENCY_BATCHES = 100


def measure(config: Recovery, stacks: Sequence[Trained]) -> Columns:
    """MMCS, MCC and recovered features of each cell, and a row for each truth feature."""
    columns = Columns()
    frequencies: dict[tuple[str, int], Tensor] = {}
    for trained in stacks:
        for cell, source, dictionary_LD in zip(
            trained.cells, trained.sources, trained.dictionary_NLD, strict=True
        ):
            if (truth := source.truth) is None:
                continue
            cosines_GL = cosines(truth.truth_GD, dictionary_LD)
            best_G, latent_G = cosines_GL.max(dim=1)
            key = data_key(cell.config.data, cell.config.seed), cell.config.train.batch
            if key not in frequencies:
                frequencies[key] = frequency(truth, cell.config.train.batch)
            columns.add(
                "cells",
                cell=[cell.id],
                mmcs=[best_G.double().mean().item()],
                mmcs_chance=[mmcs(truth.truth_GD, truth.chance_dictionary(len(dictionary_LD)))],
                mcc=[assigned(cosines_GL)],
                recovered=[int((best_G > THRESHOLD).sum())],
            )
            columns.add(
                "truth",
                cell=[cell.id] * len(best_G),
                feature=range(len(best_G)),
                frequency=frequencies[key].tolist(),
                best_cosine=best_G.double().tolist(),
                best_latent=latent_G.tolist(),
            )
    return columns


def frequency(truth: Truth, batch: int) -> Tensor:
    """Share of held-out samples in which each truth feature is active, [G], float64."""
    active_G = sum(
        (truth.codes(HELD_OUT, t, batch) > 0).sum(dim=0).cpu().double() for t in range(FREQUENCY_BATCHES)
    )
    assert isinstance(active_G, Tensor)
    return active_G / (FREQUENCY_BATCHES * batch)


def assigned(cosines_GL: Tensor) -> float:
    """Mean over truth features of the cosine with their latent in the best one-to-one assignment.

    Where latents are fewer than features, features without a latent count 0.
    """
    values = cosines_GL.double().cpu().numpy()
    if not np.isfinite(values).all():
        return float("nan")  # a cell that diverged; NULL in the table
    features, latents = linear_sum_assignment(values, maximize=True)
    return float(values[features, latents].sum() / len(values))
