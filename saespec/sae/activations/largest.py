"""Keeping the largest of many numbers, exactly: of equal ones the first.

None of the numbers is negative, so that their bits, read as integers, are in the same order; NumPy sorts integers
faster than torch finds the k-th of floats, and has no slow cases, which its `partition` has where most numbers are 0.
What is kept does not depend on how it is found.

Legend: R rows, M numbers a row, K candidates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saespec.sae.products.active import SIGNED

Bits = NDArray[np.signedinteger]

LONG = 1024
"""Rows of more numbers are searched in two steps."""


def keep_largest(values_RM: Tensor, k: int) -> None:
    """Set all but the k largest of each row to 0, in place."""
    if k >= values_RM.shape[1]:
        return
    if values_RM.device.type != "cpu":
        _keep_on_device(values_RM, k)
        return
    bits_RM = values_RM.view(SIGNED[values_RM.dtype]).numpy()
    kth_R = kth_largest(bits_RM, k)
    kept_RM = bits_RM >= np.maximum(kth_R, 1)[:, None]
    surplus_R = kept_RM.sum(axis=1) - k
    if (rows := np.flatnonzero(surplus_R > 0)).size:  # equal numbers: all but the first of them go
        equal_SM = bits_RM[rows] == kth_R[rows, None]
        last_SM = np.cumsum(equal_SM[:, ::-1], axis=1)[:, ::-1]
        kept_RM[rows] &= ~(equal_SM & (last_SM <= surplus_R[rows, None]))
    bits_RM *= kept_RM


def kth_largest(bits_RM: Bits, k: int) -> Bits:
    """The k-th largest of each row."""
    M = bits_RM.shape[1]
    if M <= LONG or (parts := _parts(M, k)) == 1:
        return np.sort(bits_RM, axis=1)[:, M - k]
    # Of groups' largest numbers the k-th is no larger than that of all: few are candidates.
    largest_RG = bits_RM.reshape(len(bits_RM), parts, -1).max(axis=1)
    groups = largest_RG.shape[1]
    least_R = np.maximum(np.sort(largest_RG, axis=1)[:, groups - k], 1)
    candidate_RM = bits_RM >= least_R[:, None]
    count_R = candidate_RM.sum(axis=1)
    width = max(int(count_R.max()), k)
    padded_RK = np.zeros((len(bits_RM), width), bits_RM.dtype)
    padded_RK[np.arange(width) < count_R[:, None]] = bits_RM[candidate_RM]
    return np.sort(padded_RK, axis=1)[:, width - k]


def _parts(numbers: int, k: int) -> int:
    """Numbers in a group: a power of two such that there are at least twice as many groups as are kept."""
    parts = 1
    while parts < 32 and numbers % (2 * parts) == 0 and numbers // (2 * parts) >= 2 * k:
        parts *= 2
    return parts


def _keep_on_device(values_RM: Tensor, k: int) -> None:
    kth_R1 = values_RM.topk(k, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
    above_RM, equal_RM = values_RM > kth_R1, values_RM == kth_R1
    wanted_R1 = k - above_RM.sum(dim=1, keepdim=True)
    values_RM.mul_(above_RM | (equal_RM & (equal_RM.cumsum(dim=1) <= wanted_R1)))
