"""Sparse coding over a cell's dictionary: what its losses would be, had its encoder found the best codes.

Legend: B samples, D dimensions, L latents.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from saespec.data.parts import HELD_OUT
from saespec.spec.loss import L1
from saespec.spec.measures import SparseCoding
from saespec.spec.spec import CellConfig

from .columns import Columns
from .trained import Trained


def measure(config: SparseCoding, stacks: Sequence[Trained]) -> Columns:
    """Loss, L0 and fraction of variance unexplained of the best codes, none negative, on held-out data.

    The reconstruction's offset is the cell's. Cells without an L1 penalty have no value unless the measure names
    a coefficient.
    """
    columns = Columns()
    for trained in stacks:
        N, L, _ = trained.dictionary_NLD.shape
        offset_N1D = trained.coder.decode(trained.params, trained.dictionary_NLD.new_zeros(N, 1, L))
        found = {
            n: _Coding(
                cell.config, config.iterations, coefficient, trained.dictionary_NLD[n], offset_N1D[n, 0]
            )
            for n, cell in enumerate(trained.cells)
            if not trained.diverged[n] and (coefficient := _coefficient(config, cell.config)) is not None
        }
        for t in range(config.batches):
            _, target_NBD = trained.batches.batch(HELD_OUT, t)
            for n, coding in found.items():
                coding.add(target_NBD[n])
        for n, cell in enumerate(trained.cells):
            loss, l0, fvu = found[n].means() if n in found else (None, None, None)
            columns.add("cells", cell=[cell.id], coding_loss=[loss], coding_l0=[l0], coding_fvu=[fvu])
    return columns


def fista(
    dictionary_LD: Tensor, target_BD: Tensor, scale: float, penalty_L: Tensor, iterations: int
) -> Tensor:
    """Codes c ≥ 0, [B, L], that minimise scale·‖cD − x‖² + Σ penalty·c (Beck & Teboulle 2009).

    A sample's momentum begins anew where it points uphill (O'Donoghue & Candès 2015).
    """
    steepest = 2 * scale * float(torch.linalg.matrix_norm(dictionary_LD.double(), 2)) ** 2
    codes_BL = target_BD.new_zeros(len(target_BD), len(dictionary_LD))
    if not steepest:
        return codes_BL
    ahead_BL, t_B1 = codes_BL, target_BD.new_ones(len(target_BD), 1)
    for _ in range(iterations):
        slope_BL = (ahead_BL @ dictionary_LD - target_BD) @ dictionary_LD.T * (2 * scale) + penalty_L
        next_BL = (ahead_BL - slope_BL / steepest).clamp_(min=0)
        moved_BL = next_BL - codes_BL
        uphill_B1 = ((ahead_BL - next_BL) * moved_BL).sum(dim=1, keepdim=True) > 0
        t_B1 = torch.where(uphill_B1, torch.ones_like(t_B1), t_B1)
        next_t_B1 = (1 + (1 + 4 * t_B1.square()).sqrt()) / 2
        ahead_BL = next_BL + (t_B1 - 1) / next_t_B1 * moved_BL
        codes_BL, t_B1 = next_BL, next_t_B1
    return codes_BL


class _Coding:
    """Sums over the samples that one cell's dictionary codes, float64."""

    def __init__(
        self, config: CellConfig, iterations: int, coefficient: float, dictionary_LD: Tensor, offset_D: Tensor
    ) -> None:
        self._scale = config.loss.reconstruction_scale(config.data.dim)
        self._iterations = iterations
        self._dictionary_LD, self._offset_D = dictionary_LD.clone(), offset_D  # in memory of its own: aligned
        self._penalty_L = torch.full_like(
            dictionary_LD[:, 0], coefficient * config.loss.sparsity_scale(len(dictionary_LD))
        )
        if getattr(config.loss.sparsity, "weighted_by_norm", False):
            self._penalty_L *= dictionary_LD.norm(dim=1)
        self._samples = self._active = 0
        self._squared_error = self._penalty = self._power = 0.0
        self._sum_D = torch.zeros_like(offset_D, dtype=torch.float64)

    def add(self, target_BD: Tensor) -> None:
        """Code some samples."""
        D_LD, left_BD = self._dictionary_LD, target_BD - self._offset_D
        codes_BL = fista(D_LD, left_BD, self._scale, self._penalty_L, self._iterations)
        self._squared_error += _sum(torch.addmm(left_BD, codes_BL, D_LD, beta=-1).square())
        self._penalty += _sum(codes_BL * self._penalty_L)
        self._active += int((codes_BL > 0).sum())
        self._power += _sum(target_BD.square())
        self._sum_D += target_BD.sum(dim=0, dtype=torch.float64)
        self._samples += len(target_BD)

    def means(self) -> tuple[float, float, float | None]:
        """Loss, L0, and fraction of variance unexplained."""
        variance = self._power - float(self._sum_D.square().sum()) / self._samples
        loss = (self._scale * self._squared_error + self._penalty) / self._samples
        return loss, self._active / self._samples, self._squared_error / variance if variance else None


def _sum(values: Tensor) -> float:
    return float(values.sum(dtype=torch.float64))


def _coefficient(measure: SparseCoding, config: CellConfig) -> float | None:
    if measure.coefficient is not None:
        return measure.coefficient
    return config.loss.coefficient if isinstance(config.loss.sparsity, L1) else None
