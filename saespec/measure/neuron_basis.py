"""Latents in the basis of the input's dimensions, a site's neurons: concentration, and moments of the codes.

Legend: N cells, B samples, L latents, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from saespec.spec.measures import NeuronBasis

from .columns import Columns
from .trained import Trained


def measure(config: NeuronBasis, stacks: Sequence[Trained]) -> Columns:
    """Entropy and effective number of neurons of each dictionary element, skew and kurtosis of its codes."""
    columns = Columns()
    for trained in stacks:
        skew_NL, kurtosis_NL = moments(trained, config.batches)
        for n, cell in enumerate(trained.cells):
            dictionary_LD = trained.dictionary_NLD[n]
            found = {
                "neuron_entropy": entropy(dictionary_LD).cpu(),
                "effective_neurons": effective_neurons(dictionary_LD).cpu(),
                "skew": skew_NL[n],
                "kurtosis": kurtosis_NL[n],
            }
            latents = len(dictionary_LD)
            columns.add(
                "latents",
                cell=[cell.id] * latents,
                latent=range(latents),
                **{name: values_L.tolist() for name, values_L in found.items()},
            )
            columns.add(
                "cells",
                cell=[cell.id],
                **{name: [values_L.nanmean().item()] for name, values_L in found.items()},
            )
    return columns


def entropy(dictionary_LD: Tensor) -> Tensor:
    """-Σ_j |f_j| ln |f_j| of each element at unit length, [L], float64.

    As the replication's code has it: the |f_j| have a sum of squares of 1, not a sum of 1.
    """
    f_LD = torch.nn.functional.normalize(dictionary_LD.double(), dim=1).abs()
    return -torch.xlogy(f_LD, f_LD).sum(dim=1)


def effective_neurons(dictionary_LD: Tensor) -> Tensor:
    """1 / Σ_j (|f_j| / Σ|f|)², the inverse Simpson index, [L], float64: 1 for one neuron, D for all alike."""
    f_LD = dictionary_LD.double().abs()
    return 1 / (f_LD / f_LD.sum(dim=1, keepdim=True)).square().sum(dim=1)


def moments(trained: Trained, batches: int) -> tuple[Tensor, Tensor]:
    """Skew and kurtosis (3 for a normal distribution) of codes over held-out batches, [N, L] each, float64.

    Central moments of all codes, zeros included; NaN for a latent whose code never changes.
    """
    N, L, _ = trained.dictionary_NLD.shape
    raw_4NL = torch.zeros(4, N, L, dtype=torch.float64)
    for codes_NBL, _ in trained.codes(batches):
        power_NBL = codes_NBL
        for k in range(4):
            raw_4NL[k] += power_NBL.sum(dim=1, dtype=torch.float64).cpu()
            power_NBL = power_NBL * codes_NBL
    m1, m2, m3, m4 = raw_4NL / (batches * trained.cells[0].config.train.batch)
    variance = m2 - m1**2
    variance[variance <= 1e-12 * m2] = torch.nan  # constant, but for rounding
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    return third / variance**1.5, fourth / variance**2
