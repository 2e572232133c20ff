"""What a cell is called: a digest of everything that its numbers depend on."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from pydantic import BaseModel

from saespec.spec.columns import Added
from saespec.spec.spec import CellConfig
from saespec.spec.transformer import TransformerData

NUMERICS = 2
"""Raised by hand when the numbers of equal cells change; golden-number tests guard it."""

INPUTS = 1
"""The same for models, extractions and how their activations are read. Cells on toy data have none of them."""


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, shortest floats, no NaN, -0.0 as 0.0.

    Raises ValueError for NaN and infinity, TypeError for what JSON has no word for.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    if "-0.0" in text:  # equal numbers, equal text
        value = _positive_zeros(value)
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text


def _positive_zeros(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _positive_zeros(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_positive_zeros(item) for item in value]
    return 0.0 if isinstance(value, float) and value == 0 else value


def sha256_hex(text: str) -> str:
    """SHA-256 of the UTF-8 text, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def described(config: BaseModel) -> dict[str, Any]:
    """What a part of a cell's configuration says, as JSON values.

    Defaults are written out, so a default given and a default left out are the same; but not those of fields
    that the language gained later (`Added`), so that cells keep their ids when it grows.
    """
    found: dict[str, Any] = config.model_dump(mode="json")
    _leave_out_added(config, found)
    return found


def _leave_out_added(config: BaseModel, found: dict[str, Any]) -> None:
    added, others = _fields(type(config))
    for name, default in added:
        if getattr(config, name) == default:
            del found[name]
    for name in others:
        value = getattr(config, name)
        if isinstance(value, BaseModel) and name in found:
            _leave_out_added(value, found[name])


@cache
def _fields(model: type[BaseModel]) -> tuple[tuple[tuple[str, Any], ...], tuple[str, ...]]:
    """Fields with the mark, each with its default, and the names of all that may hold a model."""
    fields = model.model_fields.items()
    added = [(n, f.get_default(call_default_factory=True)) for n, f in fields if _is_added(f.metadata)]
    return tuple(added), tuple(model.model_fields)


def _is_added(metadata: list[Any]) -> bool:
    return any(isinstance(mark, Added) for mark in metadata)


def cell_id(config: CellConfig) -> str:
    """First 12 hex digits of the SHA-256 of the resolved cell and of the versions of what makes its numbers."""
    versions = {"numerics": NUMERICS}
    if isinstance(config.data, TransformerData):
        versions["inputs"] = INPUTS
    return sha256_hex(canonical_json({"cell": described(config), **versions}))[:12]
