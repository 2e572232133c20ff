"""Agreement between dictionaries of different size (method 3 of Sharkey et al. 2022)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from torch import Tensor

from saespec.plan.identity import canonical_json
from saespec.plan.model import Cell
from saespec.sae.cosine import cosines
from saespec.spec.measures import LargerDictionaries

from .rows import Rows
from .trained import Trained

THRESHOLD = 0.9


def measure(config: LargerDictionaries, stacks: Sequence[Trained]) -> Rows:
    """MMCS of each dictionary with the larger ones of cells that differ in nothing but their size.

    The smaller dictionary takes the place of the truth. Cells with no larger partner get no value.
    """
    families: dict[str, list[tuple[Cell, Tensor]]] = defaultdict(list)
    for trained in stacks:
        for cell, dictionary_LD in zip(trained.cells, trained.dictionary_NLD, strict=True):
            families[family(cell)].append((cell, dictionary_LD))
    rows = Rows()
    for members in families.values():
        members.sort(key=lambda member: member[0].config.sae.latents)
        for cell, dictionary_LD in members:
            larger = [m for m in members if m[0].config.sae.latents > cell.config.sae.latents]
            means = []
            for other, other_LD in larger[: config.nearest]:
                best_L = cosines(dictionary_LD, other_LD).amax(dim=1)
                means.append(best_L.double().mean().item())
                rows.add(
                    "pairs",
                    cell=[cell.id],
                    other_cell=[other.id],
                    other_latents=[other.config.sae.latents],
                    mmcs=[means[-1]],
                    above_09=[int((best_L > THRESHOLD).sum())],
                )
            if means:
                rows.add("cells", cell=[cell.id], mmcs_larger=[sum(means) / len(means)])
    return rows


def family(cell: Cell) -> str:
    """What a cell shares with those that differ from it in dictionary size alone."""
    config = cell.config.model_dump(mode="json")
    del config["sae"]["latents"]
    return canonical_json(config)
