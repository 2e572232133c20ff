"""What a plan will roughly take: seconds, memory and disk."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from saespec.spec.spec import CellConfig

from .model import Group, Plan

CPU_RATE = 60e9
"""FLOP/s that training reaches on two CPU cores; callers that know a measured rate pass that."""

_FLOAT = 4
_STATES = 4
"""Weights, gradients and Adam's two means."""
_COPIES = 2
"""A checkpoint in the store (the results folder links to it) and one in DVC's cache."""


@dataclass(frozen=True)
class Cost:
    """Estimates for one group, or for a whole plan."""

    cells: int
    flops: float
    seconds: float
    memory_bytes: int
    """Peak of the tensors of training, not counting the libraries."""
    disk_bytes: int


@dataclass(frozen=True)
class PlanCost:
    """Estimates by group, and for all: groups train one after another."""

    groups: dict[str, Cost]
    total: Cost


def cost(plan: Plan, rate: float = CPU_RATE, done: Collection[str] = ()) -> PlanCost:
    """Estimate what training will take at `rate` FLOP/s.

    Cells whose ids are in `done` are finished: they cost nothing more. 10·B·d·n FLOPs a step of a cell:
    two products forward, three backward (the encoder's input needs no gradient), 2·B·d·n each.
    """
    groups = {group.name: _group(group, rate, frozenset(done)) for group in plan.groups}
    total = Cost(
        cells=sum(c.cells for c in groups.values()),
        flops=sum(c.flops for c in groups.values()),
        seconds=sum(c.seconds for c in groups.values()),
        memory_bytes=max((c.memory_bytes for c in groups.values()), default=0),
        disk_bytes=sum(c.disk_bytes for c in groups.values()),
    )
    return PlanCost(groups, total)


def cell_flops(config: CellConfig) -> float:
    """Return the FLOPs of training one cell: 10·B·d·n a step."""
    return 10.0 * config.train.batch * config.data.dim * config.sae.latents * config.train.steps


def _group(group: Group, rate: float, done: frozenset[str]) -> Cost:
    left = [cell.config for cell in group.cells if cell.id not in done]
    if not left:
        return Cost(0, 0.0, 0.0, 0, 0)
    dim, latents, batch = left[0].data.dim, left[0].sae.latents, left[0].train.batch
    weights = 2 * dim * latents + latents
    # Codes, their gradient and a mask; input, reconstruction and its gradient.
    activations = batch * (3 * latents + 3 * dim)
    flops = sum(map(cell_flops, left))
    return Cost(
        cells=len(left),
        flops=flops,
        seconds=flops / rate,
        memory_bytes=len(left) * _FLOAT * (_STATES * weights + activations),
        disk_bytes=len(left) * _FLOAT * weights * _COPIES,
    )
