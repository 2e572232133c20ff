"""How fast this machine is beside the benchmark machine, by what earlier runs took: estimates of time follow it."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable
from pathlib import Path

from saespec.errors import DamagedFileError, StageError

from . import parquet

_SOME = 3.0
"""Seconds of the benchmark machine's training after which this machine's own runs count for half."""

_READ = ("spec", "stage", "started", "seconds", "benchmark_seconds", "device", "host")


def measured_speed(roots: Iterable[Path]) -> float:
    """Return how long this machine's CPU takes, as a multiple of what the benchmark machine does.

    The median over all rounds of training in the projects' `runs`, each weighted by its seconds; drawn towards 1 while
    the benchmark machine would take few for them. Runs on other hosts and on GPUs do not count, nor does a file that
    cannot be read or is another's.
    """
    found = sorted(
        (row["seconds"] / row["benchmark_seconds"], row["seconds"], row["benchmark_seconds"])
        for root in roots
        for path in sorted((root / "results").glob("*/runs.parquet"))
        for row in _rounds(path)
    )
    whole = sum(seconds for _, seconds, _ in found)
    evidence = sum(expected for _, _, expected in found)
    passed = 0.0
    for ratio, seconds, _ in found:
        passed += seconds
        if passed >= whole / 2:
            return math.exp(math.log(ratio) * evidence / (evidence + _SOME))
    return 1.0


def _rounds(path: Path) -> list[dict[str, float]]:
    """Rounds of training on this machine's CPU. Cells that trained together have the same row here."""
    try:
        content = parquet.read(path)
    except (DamagedFileError, StageError):
        return []
    if not set(_READ) <= set(content.column_names):
        return []  # of an earlier saespec, or another table
    rows = content.select(_READ).group_by(list(_READ)).aggregate([]).to_pylist()
    return [
        row
        for row in rows
        if (row["device"], row["host"]) == ("cpu", platform.node())
        and (row["seconds"] or 0.0) > 0
        and (row["benchmark_seconds"] or 0.0) > 0
    ]
