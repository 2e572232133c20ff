"""Cells into groups: those whose tensors have the same shapes train together as one batched program.

Groups into train stages: those that read batches of the same shape, so that what they share is drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from saespec.spec.sae import ReluSAE, TiedReluSAE
from saespec.spec.spec import CellConfig
from saespec.spec.train import Train

from .model import Cell, Group

T = TypeVar("T")


def groups(cells: Iterable[Cell]) -> tuple[Group, ...]:
    """Return the groups in the order of their first cells; each keeps the cells' order."""
    return tuple(Group(*item) for item in _alike(cells, lambda cell: group_name(cell.config)).items())


def group_name(config: CellConfig) -> str:
    """Return the name of the group that a cell belongs to, such as `relu-d64-n128-b256-s5000`.

    It says everything that cells of one group share: architecture, input dimensions, dictionary size, batch, steps,
    and where they are not the default the number of curve points, precision, kind of products, whether dictionary
    elements are normalised in the forward pass alone, and whether movement is recorded. It depends on nothing but the
    cell, so a stage keeps its name when the sweep changes.
    """
    train = config.train
    name = f"{config.sae.kind}-d{config.data.dim}-n{config.sae.latents}-b{train.batch}-s{train.steps}"
    if train.curve_points != _default("curve_points"):
        name += f"-c{train.curve_points}"
    for field in ("precision", "products"):
        if getattr(train, field) != _default(field):
            name += f"-{getattr(train, field)}"
    if normalised_in_forward(config):
        name += "-in_forward"
    return f"{name}-movement" if train.movement else name


def by_batch(found: Iterable[Group]) -> dict[str, tuple[Group, ...]]:
    """Return the groups of each train stage by what their batches have in common: see `batch_name`."""
    return _alike(found, lambda group: batch_name(group.cells[0].config))


def batch_name(config: CellConfig) -> str:
    """Return the shape of the batches that a cell reads, such as `d64-b256`: input dimensions and samples."""
    return f"d{config.data.dim}-b{config.train.batch}"


def normalised_in_forward(config: CellConfig) -> bool:
    """Whether dictionary elements get unit length in the forward pass alone."""
    return isinstance(config.sae, ReluSAE | TiedReluSAE) and config.sae.decoder_norm == "unit_in_forward"


def _alike(items: Iterable[T], name: Callable[[T], str]) -> dict[str, tuple[T, ...]]:
    """Items of equal name together, in the order of the first of each."""
    members: dict[str, list[T]] = {}
    for item in items:
        members.setdefault(name(item), []).append(item)
    return {key: tuple(inside) for key, inside in members.items()}


def _default(field: str) -> object:
    return Train.model_fields[field].default
