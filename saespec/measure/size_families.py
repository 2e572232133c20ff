"""Dictionaries of cells that differ in size alone: what agreement between dictionaries is measured on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from torch import Tensor

from saespec.plan.identity import canonical_json
from saespec.plan.model import Cell

from .trained import Trained

Member = tuple[Cell, Tensor]
"""A cell and its dictionary, [L, D]."""


def with_larger(stacks: Sequence[Trained]) -> Iterator[tuple[Member, list[Member]]]:
    """Each cell with the larger ones of its family, the next larger first; none for the largest."""
    families: dict[str, list[Member]] = defaultdict(list)
    for trained in stacks:
        for cell, dictionary_LD in zip(trained.cells, trained.dictionary_NLD, strict=True):
            families[_family(cell)].append((cell, dictionary_LD))
    for members in families.values():
        members.sort(key=lambda member: member[0].config.sae.latents)
        for member in members:
            size = member[0].config.sae.latents
            yield member, [other for other in members if other[0].config.sae.latents > size]


def _family(cell: Cell) -> str:
    """What a cell shares with those that differ from it in dictionary size alone."""
    config = cell.config.model_dump(mode="json")
    del config["sae"]["latents"]
    return canonical_json(config)
