"""Groups of features of which exactly one is active: which one, and where they point.

Legend: B samples, K groups, M features of each, D dimensions.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from saespec.spec.toy import Groups


def activity(config: Groups, features: int, uniform_BK2: Tensor) -> Tensor:
    """Which features are active, [B, K·M], bool, from two uniform draws a sample and one more a group, [B, K + 2]."""
    size = features // config.groups
    chosen_BK = (uniform_BK2[:, 2:] * size).long().clamp_(max=size - 1)
    chosen_BK[uniform_BK2[:, 0] < config.boost] = 0
    active_BKM = torch.nn.functional.one_hot(chosen_BK, size).bool()
    single_B = uniform_BK2[:, 1] < config.single
    if config.single:
        # What is left of the draw, once it said that a feature is alone, says which one.
        alone_B = (uniform_BK2[:, 1] / config.single * features).long().clamp_(max=features - 1)
        alone_BG = torch.nn.functional.one_hot(alone_B, features).bool()
        return torch.where(single_B[:, None], alone_BG, active_BKM.flatten(1))
    return active_BKM.flatten(1)


def simplices(config: Groups, features: int, dim: int) -> Tensor:
    """Unit directions [K·M, D]: each group's are the corners of a regular simplex in M - 1 dimensions of its own."""
    size = features // config.groups
    centred_MM = np.eye(size) - 1 / size
    basis_MM, _, _ = np.linalg.svd(centred_MM)
    corners_MC = centred_MM @ basis_MM[:, : size - 1] if size > 1 else np.ones((1, 1))
    corners_MC /= np.linalg.norm(corners_MC, axis=1, keepdims=True)
    own = corners_MC.shape[1]
    out_GD = np.zeros((features, dim))
    for group in range(config.groups):
        out_GD[group * size : (group + 1) * size, group * own : (group + 1) * own] = corners_MC
    return torch.tensor(out_GD, dtype=torch.float32)
