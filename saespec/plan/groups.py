"""Cells into groups: those whose tensors have the same shapes train together as one batched program.

Groups into train stages: those that read batches of the same shape, so that what they share is drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pydantic import BaseModel

from saespec.spec.columns import ByRow
from saespec.spec.spec import CellConfig

from .identity import sha256_hex
from .model import Cell, Group

T = TypeVar("T")

_IN_EVERY_NAME = ("latents", "batch", "steps")
_KINDS = ("relu", "prolu", "topk", "batch_topk", "jumprelu", "gated", "pca", "ica", "random", "neuron_basis")
_UNSAID = (*_KINDS, "l1", "uniform", "none", "adam")
"""Kinds that a name says at its beginning, and those that are usual."""

_LONGEST = 80
"""Characters that a name may spend on what is not usual; of more it has a digest."""


def groups(cells: Iterable[Cell]) -> tuple[Group, ...]:
    """Return the groups in the order of their first cells; each keeps the cells' order."""
    return tuple(Group(*item) for item in _alike(cells, lambda cell: group_name(cell.config)).items())


def group_name(config: CellConfig) -> str:
    """Return the name of the group that a cell belongs to, such as `relu-d64-n128-b256-s5000`.

    It says everything that cells of one group share: architecture, input dimensions, dictionary size, batch, steps,
    and every other field of `sae`, `loss` and `train` that is not its default, unless it is marked as handled row by
    row (`ByRow`). It depends on nothing but the cell, so a stage keeps its name when the sweep changes.
    """
    train = config.train
    name = f"{config.sae.kind}-d{config.data.dim}-n{config.sae.latents}-b{train.batch}-s{train.steps}"
    more = "".join(f"-{word}" for word in (*_words(config.sae), *_words(config.loss), *_words(train)))
    if len(more) > _LONGEST:
        more = f"-{sha256_hex(more)[:12]}"
    return name + more


def by_batch(found: Iterable[Group]) -> dict[str, tuple[Group, ...]]:
    """Return the groups of each train stage by what their batches have in common: see `batch_name`."""
    return _alike(found, lambda group: batch_name(group.cells[0].config))


def batch_name(config: CellConfig) -> str:
    """Return the shape of the batches that a cell reads, such as `d64-b256`: input dimensions and samples."""
    return f"d{config.data.dim}-b{config.train.batch}"


def _words(section: BaseModel) -> Iterator[str]:
    """What a section says that its group's name must say besides shape, batch and steps."""
    for field, info in type(section).model_fields.items():
        value = getattr(section, field)
        if isinstance(value, BaseModel):
            yield from _words(value)
        elif not (field in _IN_EVERY_NAME or any(isinstance(mark, ByRow) for mark in info.metadata)):
            if field == "kind":
                yield from [] if value in _UNSAID else [value]
            elif value != info.get_default(call_default_factory=True):
                yield _word(field, value)


def _word(field: str, value: object) -> str:
    if value is True:
        return field
    return value if isinstance(value, str) and value != "none" else f"{field}_{value}"


def _alike(items: Iterable[T], name: Callable[[T], str]) -> dict[str, tuple[T, ...]]:
    """Items of equal name together, in the order of the first of each."""
    members: dict[str, list[T]] = {}
    for item in items:
        members.setdefault(name(item), []).append(item)
    return {key: tuple(inside) for key, inside in members.items()}
