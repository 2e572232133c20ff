"""`runs.parquet`: what was done when, where and how fast. Outside git; nothing depends on it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saespec.errors import DamagedFileError
from saespec.results import parquet, provenance, schema


def append(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows to the results folder's `runs.parquet`; host and versions are filled in."""
    if not rows:
        return
    path = folder / "runs.parquet"
    try:
        before = parquet.read(path).to_pylist()
    except DamagedFileError:
        before = []  # missing, or of no use any more
    here = {"host": platform.node(), "saespec": provenance.version(), "python": platform.python_version()}
    parquet.write(path, "runs", schema.RUNS, [*before, *({**row, **here} for row in rows)], {})
