"""Overrides on the command line: a scratch project of their own, never the tracked results."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from saespec.plan.identity import canonical_json, sha256_hex
from saespec.plan.orphans import SOURCE
from saespec.plan.project import scratch_folder, spec_name, store_folder, work_folder
from saespec.results.atomic import write_bytes
from saespec.spec.language.load import LoadedSpec

from .dvc import ensure_repo
from .lock import Notify


@dataclass(frozen=True)
class Scratch:
    """A project below `.saespec/scratch/` for one overridden spec."""

    root: Path
    spec: Path
    """The resolved spec: overrides applied, bases merged."""
    store: Path
    """The main project's store: a cell that was trained there, or here, is not trained again."""


def scratch(loaded: LoadedSpec, root: Path, notify: Notify = lambda message: None) -> Scratch:
    """Make (or find again) the scratch project of an overridden spec of the project `root`.

    The same overrides lead to the same folder, so that the same command continues. Load, plan and run
    `spec` with `root` and `store` of what is returned.
    """
    resolved = loaded.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    name = loaded.spec.name
    work_folder(root)
    folder = scratch_folder(root) / f"{name}-{sha256_hex(canonical_json(resolved))[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    ensure_repo(folder, git=False, notify=notify)
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    yaml.dump(resolved, stream)
    spec = folder / f"{name}.yaml"
    text = f"# Resolved by saespec from {loaded.files[0].name} with overrides; not meant to be edited.\n"
    text += stream.getvalue()
    if not spec.exists() or spec.read_text(encoding="utf-8") != text:
        write_bytes(spec, text.encode())
    file = loaded.files[0]
    record = {"file": os.path.relpath(file.resolve(), root.resolve()), "name": spec_name(file)}
    write_bytes(folder / SOURCE, json.dumps(record).encode())
    return Scratch(root=folder, spec=spec, store=store_folder(root))
