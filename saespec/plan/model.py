"""The plan: what a spec resolves to. `plan` prints it, `run` consumes it, stages read it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from saespec.spec.spec import CellConfig, Spec

from .project import results_folder

StageKind = Literal["plan", "model", "extract", "train", "measure", "figures", "claims"]


@dataclass(frozen=True)
class Cell:
    """One SAE to train, every value resolved."""

    id: str
    """First 12 hex digits of the SHA-256 of the canonical configuration and the numerics version."""
    config: CellConfig
    swept: dict[str, Any] = field(default_factory=dict, compare=False)
    """Dotted path → value of the fields that the sweep sets."""
    case: str | None = field(default=None, compare=False)
    """Name of the sweep's case that made it, if its cases have names."""


@dataclass(frozen=True)
class Group:
    """Cells whose tensors have the same shapes; they train together as one batched program.

    Groups that read batches of the same shape train beside each other, in one stage.
    """

    name: str
    """Such as `relu-d64-n128-b256-s5000`."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Out:
    """A path that a stage writes."""

    path: PurePosixPath
    cached: bool
    """In DVC's cache (checkpoints) rather than in git (tables, figures, verdicts).

    Those in git stay in place until the stage replaces them; those in the cache DVC removes first.
    """
    metric: bool = False
    """Listed under `metrics` in `dvc.yaml`."""


@dataclass(frozen=True)
class Stage:
    """One DVC stage: one `saespec stage …` command."""

    name: str
    kind: StageKind
    command: str
    deps: tuple[PurePosixPath, ...]
    outs: tuple[Out, ...]
    fingerprint: str | None
    """SHA-256 of the slice of the plan that the stage reads; None for the plan stage itself, which
    follows the spec files."""
    description: str
    groups: tuple[Group, ...] = ()
    """What a train stage trains."""
    marks: tuple[PurePosixPath, ...] = ()
    """Files in the store, relative to it, without which what the stage made is gone."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of its groups."""
        return tuple(cell for group in self.groups for cell in group.cells)


@dataclass(frozen=True)
class Plan:
    """A spec resolved: what will be trained, measured, drawn and checked, and by which stages."""

    spec: Spec
    sources: tuple[PurePosixPath, ...]
    """The spec file and the files it extends, relative to the project root."""
    cells: tuple[Cell, ...]
    groups: tuple[Group, ...]
    stages: tuple[Stage, ...]
    """In an order in which they can run."""

    @property
    def folder(self) -> PurePosixPath:
        """The folder that this spec owns, relative to the project root."""
        return results_folder(self.spec.name)
