"""One site, one form: sites that are written in different ways and mean the same tensor are the same cell's."""

from __future__ import annotations

import re
from typing import Any

from .families import FAMILIES, NAMES_OF_PLACES, Family, family

BASES = {"gpt2": "transformer", "gpt_neox": "gpt_neox", "llama": "model"}
"""Where the base model lies in a model that is trained here, by its family."""

_AMBIGUOUS = {name for known in FAMILIES.values() for name in known.names}
"""Names within a block that are a place in one family and another hook in the next."""


def one_form(
    name: str | None, module: str | None, side: str, model_type: str | None
) -> dict[str, Any] | None:
    """The form that stands for a site by name or by module path, as keys of a site; None if it is that one already.

    By place where it is one, else by name. `model_type` is that of a model that is trained here; None where nobody
    knows it before the model is loaded: then module paths stay, and so do names whose place depends on the family.
    """
    known = family(model_type, None) if model_type else None
    if name is not None:
        return _named(name, known)
    assert module is not None
    return _of_module(module, side, known, BASES[model_type]) if known and model_type else None


def _named(name: str, known: Family | None) -> dict[str, Any] | None:
    block = re.fullmatch(r"blocks\.(\d+)\.(.+)", name)
    if block is None:
        return None
    layer, within = int(block[1]), block[2]
    if known is not None:
        place = known.place_of(known.hook_of(within) or "")
    else:
        place = None if within in _AMBIGUOUS else NAMES_OF_PLACES.get(within)
    if place is not None:
        return {"layer": layer, "place": place}
    plain = f"blocks.{layer}.{within}"  # 02 is 2
    return {"name": plain} if plain != name else None


def _of_module(module: str, side: str, known: Family, base: str) -> dict[str, Any] | None:
    if (module, side) == (f"{base}.{known.embedding}", "output"):
        return {"name": "hook_embed"}
    block = re.fullmatch(rf"{base}\.{known.blocks}\.(0|[1-9]\d*)(?:\.(.+))?", module)
    if block is None:
        return None
    layer, hook = int(block[1]), f"{block[2] or ''}@{side}"
    hook = known.aliases.get(hook, hook)
    if place := known.place_of(hook):
        return {"layer": layer, "place": place}
    name = known.name_of(hook)
    return {"name": f"blocks.{layer}.{name}"} if name else None
