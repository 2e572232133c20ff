"""Declarative, reproducible experiments on sparse autoencoders.

`load` reads a spec, `plan` resolves it into cells and stages, `connect` opens all results in DuckDB. The
command line (`saespec --help`) runs what a plan holds. Importing this module is cheap: torch, DuckDB and
the rest are imported by what needs them.

The functions are here for notebooks; inside the package the rooms import each other directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import plan as _plan_room  # noqa: F401  # imported first, so that the function below keeps the name
from .errors import (
    CallError,
    DamagedFileError,
    Interrupted,
    Problem,
    QueryError,
    SaespecError,
    SpecError,
    StageError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from saespec.plan.model import Plan
    from saespec.spec.language.load import LoadedSpec

    __version__: str

__all__ = [
    "CallError",
    "DamagedFileError",
    "Interrupted",
    "Problem",
    "QueryError",
    "SaespecError",
    "SpecError",
    "StageError",
    "__version__",
    "connect",
    "load",
    "plan",
]


def load(path: Path | str, overrides: Sequence[str] = ()) -> LoadedSpec:
    """Read and check a spec.

    `overrides` are settings such as `train.steps=100`, with YAML values. Raises SpecError with every
    problem found.
    """
    from saespec.spec.language.load import load as load_spec

    return load_spec(path, overrides)


def plan(spec: LoadedSpec | Path | str) -> Plan:
    """Resolve a spec (loaded, or the path of one) into its cells, groups and stages.

    Raises SpecError for a spec that is wrong, CallError for one that reaches outside of its project.
    """
    from saespec.plan.build import plan as build
    from saespec.plan.project import find_root
    from saespec.spec.language.load import LoadedSpec

    loaded = spec if isinstance(spec, LoadedSpec) else load(spec)
    return build(loaded, find_root(loaded.path))


def connect(root: Path | str | None = None) -> duckdb.DuckDBPyConnection:
    """Open all results of a project in DuckDB: `toy_mmcs.cells`, or `cells` for all specs together.

    `root` is the project's folder; without it, the project around the working directory. The connection
    is in memory; see `saespec.results.views.connect` for the tables in it. Raises CallError without
    results, DamagedFileError for files that saespec did not write.
    """
    from saespec.plan.project import project_around
    from saespec.results.views import connect as connect_views

    return connect_views(project_around() if root is None else root)


def __getattr__(name: str) -> str:
    if name == "__version__":
        from saespec.results.provenance import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
