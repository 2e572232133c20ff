"""What a cell is called: a digest of everything that its numbers depend on."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from saespec.spec.spec import CellConfig

NUMERICS = 1
"""Raised by hand when the numbers of equal cells change; golden-number tests guard it."""


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


def cell_id(config: CellConfig) -> str:
    """First 12 hex digits of the SHA-256 of the resolved cell and the numerics version.

    Defaults are written out, so a default given and a default left out are the same cell.
    """
    return sha256_hex(canonical_json({"cell": config.model_dump(mode="json"), "numerics": NUMERICS}))[:12]
