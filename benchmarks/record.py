"""Benchmark results as Parquet, with the same provenance as saespec's own tables."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from saespec.results import parquet
from saespec.results.provenance import provenance
from saespec.results.provenance import version as saespec_version
from saespec.spec.columns import Column

from . import machine

RESULTS = Path(__file__).parent / "results"

WHERE = (
    Column("others", "float64", "cores", "Cores that other processes kept busy during the measurement."),
    Column("load", "float64", "processes", "Load average over the minute before the measurement."),
    Column("host", "string", "name", "Name of the machine."),
    Column("processor", "string", "name", "Its processor and number of cores."),
    Column("python", "string", "version", "Version of Python."),
    Column("torch", "string", "version", "Version of torch."),
    Column("saespec", "string", "version", "Version of saespec."),
)


def write(
    path: Path, name: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], device: str
) -> None:
    """Write the rows of a benchmark on a kind of device (cpu, cuda); where it ran is added."""
    here = {
        "host": platform.node(),
        "processor": machine.processor(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "saespec": saespec_version(),
    }
    footer = provenance(
        name,
        "none",
        device,
        torch=version("torch"),
        root=machine.ROOT,
        sources=["saespec", "benchmarks/*.py", "benchmarks/trainers"],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write(path, name, [*columns, *WHERE], [{**here, **row} for row in rows], footer)
