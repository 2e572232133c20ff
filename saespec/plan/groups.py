"""Cells into groups: those whose tensors have the same shapes train together as one batched program.

Groups into train stages: those that read batches of the same shape, so that what they share is drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from saespec.spec.columns import ByRow
from saespec.spec.spec import CellConfig

from .identity import canonical_json, sha256_hex
from .model import Cell, Group

T = TypeVar("T")

_IN_EVERY_NAME = ("latents", "batch", "steps")
_UNSAID = ("l1", "uniform", "adam")
"""Kinds of sections that are usual."""

_LONGEST = 80
"""Characters that a name may spend on what is not usual; of more it has a digest."""


def groups(cells: Iterable[Cell]) -> tuple[Group, ...]:
    """Return the groups in the order of their first cells; each keeps the cells' order."""
    return tuple(Group(*item) for item in _alike(cells, lambda cell: group_name(cell.config)).items())


def group_name(config: CellConfig) -> str:
    """Return the name of the group that a cell belongs to, such as `relu-d64-n128-b256-s5000`.

    It says everything that cells of one group share: architecture, input dimensions, dictionary size, batch, steps,
    and every other field of `sae`, `loss` and `train` that is not its default, unless it is marked as handled row by
    row (`ByRow`). It depends on nothing but the cell, so a stage keeps its name when the sweep changes. Cells have
    equal names if and only if `shared` is equal.
    """
    train = config.train
    name = f"{config.sae.kind}-d{config.data.dim}-n{config.sae.latents}-b{train.batch}-s{train.steps}"
    more = "".join(f"-{word}" for section in (config.sae, config.loss, train) for word in _words(section))
    if len(more) > _LONGEST:
        more = f"-{sha256_hex(more)[:12]}"
    return name + more


def shared(config: CellConfig) -> str:
    """Return all that cells of one stack have in common, as JSON: what is not handled row by row."""
    sections = {name: _said(getattr(config, name)) for name in ("sae", "loss", "train")}
    return canonical_json({"dim": config.data.dim, **sections})


def by_batch(found: Iterable[Group]) -> dict[str, tuple[Group, ...]]:
    """Return the groups of each train stage by what their batches have in common: see `batch_name`."""
    return _alike(found, lambda group: batch_name(group.cells[0].config))


def batch_name(config: CellConfig) -> str:
    """Return the shape of the batches that a cell reads, such as `d64-b256`: input dimensions and samples."""
    return f"d{config.data.dim}-b{config.train.batch}"


def _words(section: BaseModel, inside: str = "") -> Iterator[str]:
    """What a section says that its group's name must say besides kind, shape, batch and steps.

    `inside` is the name of the field that a section of a section stands in.
    """
    for field, info in type(section).model_fields.items():
        value = getattr(section, field)
        if field in _IN_EVERY_NAME or _by_row(info) or value == info.get_default(call_default_factory=True):
            continue
        if isinstance(value, BaseModel):
            yield from _words(value, field)
        elif field == "kind":
            yield from [f"{inside}_{value}"] if inside and value not in _UNSAID else []
        else:
            yield _word(f"{inside}_{field}" if inside else field, value, inside)


def _word(name: str, value: object, inside: str) -> str:
    if value is True:
        return name
    return value if isinstance(value, str) and value != "none" and not inside else f"{name}_{value}"


def _said(section: BaseModel) -> dict[str, Any]:
    """The fields of a section that are not handled row by row."""
    return {
        field: _said(value) if isinstance(value, BaseModel) else value
        for field, info in type(section).model_fields.items()
        if not _by_row(info)
        for value in (getattr(section, field),)
    }


def _by_row(info: FieldInfo) -> bool:
    return any(isinstance(mark, ByRow) for mark in info.metadata)


def _alike(items: Iterable[T], name: Callable[[T], str]) -> dict[str, tuple[T, ...]]:
    """Items of equal name together, in the order of the first of each."""
    members: dict[str, list[T]] = {}
    for item in items:
        members.setdefault(name(item), []).append(item)
    return {key: tuple(inside) for key, inside in members.items()}
