"""JSON results that say where they came from, `claims.json` and Vega-Lite charts: damage is noticed, as in tables.

One object of the file, at a place that depends on its kind, holds provenance and, in `sha256`, the SHA-256 of
the file's bytes as they are without that key. The bytes are canonical, so nothing can change unnoticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saespec.errors import DamagedFileError, StageError, reason

Place = tuple[str, ...]

CLAIMS: Place = ("saespec",)
CHART: Place = ("usermeta", "saespec")
"""Vega-Lite leaves `usermeta` to others."""
NOT_DRAWN = "not_drawn"
"""There, a list of texts: what of its data a chart does not show. Not there if it shows all."""

_CHECKSUM = "sha256"
_VERDICT = frozenset({"says", "source", "holds", "why", "numbers", "condition", "sql"})


def canonical(content: Any) -> bytes:
    """Return the one JSON text of a value for files in git: sorted keys, a line each, shortest floats."""
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def encode(content: Mapping[str, Any], place: Place, provenance: Mapping[str, Any]) -> bytes:
    """Return a file's bytes: `content`, with provenance and checksum added to its object at `place`."""
    told = _added(content, place, provenance)
    return canonical(_added(told, place, {_CHECKSUM: hashlib.sha256(canonical(told)).hexdigest()}))


def read(path: Path, place: Place) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `encode` wrote and, on its own, what the object at `place` says, less the checksum.

    Raises DamagedFileError if the file is missing or not what saespec wrote.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedFileError(path, "it does not exist", "Run the spec: that writes it") from error
    except OSError as error:
        raise StageError(f"cannot read {path}: {reason(error)}") from error
    try:
        content = json.loads(data)
        own = _at(content, place)
        intact = own is None or encode(content, place, {}) == data
    except (ValueError, RecursionError) as error:
        what = "truncated, or not JSON written by saespec" if data else "empty"
        raise DamagedFileError(path, what, _remedy(path)) from error
    if own is None:
        what = "it does not say where it came from: an older saespec wrote it, or another program"
        raise DamagedFileError(path, what, "Delete it and run the spec again")
    if not intact:
        what = "its bytes are not those that saespec wrote (checksum)"
        raise DamagedFileError(path, what, _remedy(path))
    return content, {key: value for key, value in own.items() if key != _CHECKSUM}


def verdicts(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return the verdicts of a `claims.json` by claim, and its provenance. Raises as `read` does."""
    content, provenance = read(path, CLAIMS)
    found = content.get("claims")
    if not isinstance(found, dict) or not all(_is_verdict(one) for one in found.values()):
        raise DamagedFileError(path, "not the verdicts that saespec wrote", _remedy(path))
    return found, provenance


def _added(content: Mapping[str, Any], place: Place, more: Mapping[str, Any]) -> dict[str, Any]:
    """`content` with `more` in its object at `place`; a checksum that was there is left out."""
    if place:
        key, *below = place
        return {**content, key: _added(content.get(key, {}), tuple(below), more)}
    return {**{key: value for key, value in content.items() if key != _CHECKSUM}, **more}


def _at(content: Any, place: Place) -> dict[str, Any] | None:
    """The object at `place`, None if there is none with a checksum."""
    for key in place:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) and _CHECKSUM in content else None


def _is_verdict(one: Any) -> bool:
    return isinstance(one, dict) and one.keys() >= _VERDICT and isinstance(one["numbers"], dict)


def _remedy(path: Path) -> str:
    return f"Delete it and run the spec again, or take it from git: git checkout -- {path}"
