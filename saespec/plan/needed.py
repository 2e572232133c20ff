"""What plans need of the store: cells, trained models, extractions and of these which sites."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from saespec.spec.spec import Spec

from .cells import applier, base_config
from .inputs import extractions, site_key, trained_models
from .model import Cell

PARTS = frozenset({"train", "held-out"})
"""Folders of an extraction that hold its text; all others are sites."""


@dataclass
class Needs:
    """Ids of what is needed; it grows with every plan that is added."""

    cells: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    sites: dict[str, set[str] | None] = field(default_factory=dict)
    """Extraction → keys of its sites; None: all that there are."""

    def add_cells(self, cells: Iterable[Cell]) -> None:
        """Add cells and what they are trained on."""
        cells = list(cells)
        self.cells.update(cell.id for cell in cells)
        self.models.update(trained_models(cells))
        for one in extractions(cells):
            self._add_sites(one.id, {site_key(site) for site in one.sites})

    def add_plan(self, text: str | bytes) -> None:
        """Add what a `plan.json` names. Raises ValueError if it is none.

        Ids are taken as they stand: another saespec may have written them. Where its spec cannot be read any more,
        the plan needs every site of its extractions.
        """
        try:
            content = json.loads(text)
            self.cells.update(str(entry["id"]) for entry in content["cells"])
            stages = [stage.partition("-")[::2] for stage in content["fingerprints"]]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError("not a plan") from error
        self.models.update(name for kind, name in stages if kind == "model")
        if extracted := [name for kind, name in stages if kind == "extract"]:
            sites = _sites(content)
            for name in extracted:
                self._add_sites(name, sites.get(name))

    def site(self, extraction: str, key: str) -> bool:
        """Whether a site of an extraction is needed."""
        keys = self.sites.get(extraction, set())
        return keys is None or key in keys

    def _add_sites(self, extraction: str, keys: set[str] | None) -> None:
        known = self.sites.get(extraction, set())
        self.sites[extraction] = None if known is None or keys is None else known | keys


def _sites(content: Any) -> dict[str, set[str]]:
    """Extraction → its sites, as this saespec reads the plan's spec; nothing if it cannot."""
    with suppress(ValidationError, LookupError, TypeError, ValueError):
        cell_at = applier(base_config(Spec.model_validate(content["spec"])))
        cells = [Cell(entry["id"], cell_at(entry["set"]), entry["set"]) for entry in content["cells"]]
        return {one.id: {site_key(site) for site in one.sites} for one in extractions(cells)}
    return {}
