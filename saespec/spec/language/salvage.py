"""What is right in a spec that has errors, so that its figures and claims can be checked all the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from saespec.spec.report import Claim, Figure
from saespec.spec.spec import Spec

from .fields import Field, holder
from .load import LoadedSpec, _Reader
from .merge import override
from .yaml import plain

M = TypeVar("M", bound=BaseModel)


def salvage(path: Path, overrides: Sequence[str] = (), root: Path | None = None) -> LoadedSpec | None:
    """Return a spec with errors, reduced to its name, measures, and what of queries, figures and claims is well formed.

    None if its name or measures are wrong, since its tables are then unknown. It has no cells.
    """
    reader = _Reader(root)
    tree = reader.read(Path(path))
    if tree is None:
        return None
    tree, _ = override(tree, overrides)
    data = plain(tree)
    try:
        whole: dict[str, Any] = {
            "name": _field("name", data),
            "measure": _field("measure", data),
            "labels": _texts(data.get("labels")),
            "queries": _texts(data.get("queries")),
            "figures": _well_formed(Figure, data.get("figures")),
            "claims": _well_formed(Claim, data.get("claims")),
        }
    except ValidationError:
        return None
    return LoadedSpec(Spec.model_construct(**whole), tuple(reader.files), reader.texts, (), tree)


def _field(name: str, data: dict[str, Any]) -> Any:
    checked: Any = holder(Field(name, Spec, Spec.model_fields[name]))(value=data.get(name))
    return checked.value


def _texts(section: Any) -> dict[str, str]:
    items = section.items() if isinstance(section, dict) else ()
    return {str(name): text for name, text in items if isinstance(text, str)}


def _well_formed(model: type[M], section: Any) -> dict[str, M]:
    found = {}
    for name, item in section.items() if isinstance(section, dict) else ():
        try:
            found[str(name)] = model.model_validate(item)
        except ValidationError:
            continue  # reported already
    return found
