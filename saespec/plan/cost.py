"""What a plan will roughly take: seconds, memory and disk."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from saespec.spec.spec import CellConfig
from saespec.spec.transformer import TrainedModel

from .inputs import extraction_id, extractions, parameters, sections, site_bytes, site_key, trained_models
from .model import Group, Plan

CPU_RATE = 60e9
"""FLOP/s that training reaches on two CPU cores; callers that know a measured rate pass that."""

MODEL_RATE = 20e9
"""FLOP/s that training a small language model reaches there: its products are small."""

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
    """Estimates by group, and for all: the groups of one stage are in memory together."""

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
        memory_bytes=max(
            (sum(groups[g.name].memory_bytes for g in s.groups) for s in plan.stages), default=0
        ),
        disk_bytes=sum(c.disk_bytes for c in groups.values()),
    )
    return PlanCost(groups, total)


def input_costs(plan: Plan, rate: float = MODEL_RATE) -> dict[str, Cost]:
    """Estimates for the stages that train models and extract activations, by stage.

    6 FLOPs a parameter and token of training, 2 of a forward pass. A checkpoint's size is not known here: its
    extraction counts as no time.
    """
    found = {}
    for name, data in trained_models(plan.cells).items():
        assert isinstance(data.model, TrainedModel)
        flops = 6.0 * parameters(data.model) * data.model.train.tokens
        found[f"model-{name}"] = Cost(0, flops, flops / rate, 0, 4 * parameters(data.model))
    for one in extractions(plan.cells):
        tokens = one.data.tokens + one.data.held_out_tokens
        flops = 2.0 * parameters(one.data.model) * tokens if isinstance(one.data.model, TrainedModel) else 0.0
        inside = (d for d in sections(plan.cells) if extraction_id(d) == one.id)
        disk = sum({site_key(d.site): site_bytes(d) for d in inside}.values())
        found[f"extract-{one.id}"] = Cost(0, flops, flops / rate, 0, disk)
    return found


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
