"""Keeping the largest of many numbers, exactly: of equal ones the first.

Bits of positive floats, read as integers, are in the floats' order, and those of negative ones are negative: NumPy's
partition of integers then finds the k-th largest several times faster than torch does. It is given the numbers as they
are, for it is slow where many are equal, as they would be with the negative ones set to 0.

Legend: R rows, M numbers a row.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from saespec.sae.products.active import bits


def keep_largest(values_RM: Tensor, k: int) -> None:
    """Set all but the k largest positive numbers of each row to 0, in place."""
    M = values_RM.shape[1]
    if k >= M:
        values_RM.relu_()
        return
    if values_RM.device.type != "cpu":
        _keep_on_device(values_RM.relu_(), k)
        return
    bits_RM = bits(values_RM)
    sorted_RM = bits_RM.astype(np.promote_types(bits_RM.dtype, np.int32))  # of 16 bits it is slow
    sorted_RM.partition(M - k, axis=1)
    kth_R = np.maximum(sorted_RM[:, M - k], 1)
    kept_RM = bits_RM >= kth_R[:, None]
    surplus_R = kept_RM.view(np.uint8).sum(axis=1, dtype=np.int32) - k
    if (rows := np.flatnonzero(surplus_R > 0)).size:  # equal numbers: all but the first of them go
        equal_SM = bits_RM[rows] == kth_R[rows, None]
        last_SM = np.cumsum(equal_SM[:, ::-1], axis=1)[:, ::-1]
        kept_RM[rows] &= ~(equal_SM & (last_SM <= surplus_R[rows, None]))
    bits_RM *= kept_RM


def smallest_positive(values_RM: Tensor) -> Tensor:
    """The smallest number of each row that is not 0, given that none is negative, [R]; infinity where all are 0."""
    if values_RM.device.type != "cpu":
        return values_RM.masked_fill(values_RM <= 0, math.inf).amin(dim=1)
    bits_RM = bits(values_RM)
    unsigned_RM = bits_RM.view(np.dtype(f"u{bits_RM.itemsize}"))
    least_R = (unsigned_RM - 1).min(axis=1) + 1  # 0 - 1 is the largest number, and the largest + 1 is 0
    found_R = torch.from_numpy(least_R.view(bits_RM.dtype)).view(values_RM.dtype)
    return found_R.masked_fill(found_R == 0, math.inf)


def _keep_on_device(values_RM: Tensor, k: int) -> None:
    kth_R1 = values_RM.topk(k, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
    above_RM, equal_RM = values_RM > kth_R1, values_RM == kth_R1
    wanted_R1 = k - above_RM.sum(dim=1, keepdim=True)
    values_RM.mul_(above_RM | (equal_RM & (equal_RM.cumsum(dim=1) <= wanted_R1)))
