"""The spec language: models, YAML with positions, errors, JSON Schema. Imports nothing heavy."""

from __future__ import annotations

from saespec.spec.language.load import LoadedSpec, Origin, load

from .spec import CellConfig, Spec

__all__ = ["CellConfig", "LoadedSpec", "Origin", "Spec", "load"]
