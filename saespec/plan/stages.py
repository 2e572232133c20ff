"""A plan's stages: plan → (model → extract →) train (one a batch shape) → measure → figures and claims.

Each is one `saespec stage …`. What models and extractions make lies in the store, shared by specs; their outputs
in the results folder are notes of what it is.

`dvc.yaml` is made from these stages alone. It therefore holds nothing that changes with a sweep value, a
title or a query, and such an edit needs no compiling: the plan stage sees the spec file change, rewrites
`plan.json`, and every other stage follows one fingerprint in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from saespec.errors import CallError
from saespec.spec.language.fields import scope, stored_fields
from saespec.spec.report import Claim, Figure, queries_read
from saespec.spec.spec import Spec
from saespec.spec.transformer import Site, TrainedModel, TransformerData

from . import identity, inputs
from .groups import by_batch
from .model import Cell, Group, Out, Stage
from .project import group_folder, results_folder

TABLES = 3
"""Raised by hand when a measure's numbers or a table's columns change, not for a description. Retrains nothing."""

DRAWINGS = 3
"""Raised by hand when the same figure is drawn, or the same claim judged, differently."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def versions() -> str:
    """Return the versions that the plan stage's command carries, such as `1-1-1`.

    Numerics, tables and drawings. They are part of the command so that a saespec that computes
    differently makes the plan stage, and through it what is affected, out of date.
    """
    return f"{identity.NUMERICS}-{TABLES}-{DRAWINGS}"


def table_names(spec: Spec) -> tuple[str, ...]:
    """Return the tracked tables of a spec: `cells`, `curves`, and those that its measures add."""
    return tuple(dict.fromkeys(["cells", "curves", *(t for m in spec.measure for t in m.columns)]))


def stages(
    spec: Spec, sources: Sequence[PurePosixPath], cells: Sequence[Cell], groups: Sequence[Group]
) -> tuple[Stage, ...]:
    """Return the stages of a spec, in an order in which they can run.

    `sources` are the spec file and the files it extends, relative to the project root.
    """
    folder = results_folder(spec.name)
    planned = folder / "plan.json"
    source = _quoted(str(sources[0]))
    plan = Stage(
        name="plan",
        kind="plan",
        command=f"saespec stage plan {source} --versions {versions()}",
        deps=tuple(sources),
        outs=(Out(planned, cached=False),),
        fingerprint=None,
        description=f"Resolve {sources[0]} into cells, groups and stages.",
    )
    models = tuple(_model(folder, planned, *item) for item in inputs.trained_models(cells).items())
    extracted = tuple(_extract(folder, planned, one) for one in inputs.extractions(cells))
    trained = tuple(_train(folder, planned, *item) for item in by_batch(groups).items())
    tables = tuple(Out(folder / "tables" / f"{name}.parquet", cached=False) for name in table_names(spec))
    measure = Stage(
        name="measure",
        kind="measure",
        command=f"saespec stage measure {planned}",
        deps=tuple(out.path for stage in (*models, *extracted, *trained) for out in stage.outs),
        outs=tables,
        fingerprint=_fingerprint(_measured(spec, cells)),
        description="Measure the trained cells: the tables.",
    )
    report = [stage for stage in (_figures(spec, folder, tables), _claims(spec, folder, tables)) if stage]
    return (plan, *models, *extracted, *trained, measure, *report)


def _model(folder: PurePosixPath, planned: PurePosixPath, name: str, data: TransformerData) -> Stage:
    assert isinstance(data.model, TrainedModel)
    return Stage(
        name=f"model-{name}",
        kind="model",
        command=f"saespec stage model {planned} --id {name}",
        deps=(),
        outs=(Out(_note(folder, f"model-{name}"), cached=False),),
        fingerprint=_fingerprint(name),
        description=f"Train a {data.model.family} of {data.model.layers} layers, width {data.model.width}.",
        marks=(inputs.model_mark(data),),
    )


def _extract(folder: PurePosixPath, planned: PurePosixPath, one: inputs.Extraction) -> Stage:
    trained = isinstance(one.data.model, TrainedModel)
    keys = sorted(map(inputs.site_key, one.sites))  # their order means nothing
    return Stage(
        name=f"extract-{one.id}",
        kind="extract",
        command=f"saespec stage extract {planned} --id {one.id}",
        deps=(_note(folder, f"model-{inputs.model_id(one.data)}"),) if trained else (),
        outs=tuple(Out(_site_note(folder, one.data, site), cached=False) for site in one.sites),
        fingerprint=_fingerprint([one.id, *keys]),
        description=f"Extract activations at {', '.join(keys)}.",
        marks=tuple(inputs.site_mark(one.data, site) for site in one.sites),
    )


def _note(folder: PurePosixPath, name: str) -> PurePosixPath:
    return folder / "inputs" / f"{name}.json"


def _site_note(folder: PurePosixPath, data: TransformerData, site: Site) -> PurePosixPath:
    return _note(folder, f"{inputs.extraction_id(data)}-{inputs.site_key(site)}")


def _train(folder: PurePosixPath, planned: PurePosixPath, batch: str, groups: tuple[Group, ...]) -> Stage:
    cells = [cell for group in groups for cell in group.cells]
    return Stage(
        name=f"train-{batch}",
        kind="train",
        command=f"saespec stage train {planned} --id {batch}",
        deps=tuple(dict.fromkeys(_site_note(folder, d, d.site) for d in inputs.sections(cells))),
        outs=tuple(Out(group_folder(folder, group.name), cached=True) for group in groups),
        fingerprint=_fingerprint([cell.id for cell in cells]),
        description="Train the cells of these groups beside each other.",
        groups=groups,
    )


def _figures(spec: Spec, folder: PurePosixPath, tables: Sequence[Out]) -> Stage | None:
    if not spec.figures:
        return None
    for name in spec.figures:
        if not _FILE_NAME.fullmatch(name):
            raise CallError(f"figures.{name}: a figure's name is a file name: letters, digits, _ and - only")
    return Stage(
        name="figures",
        kind="figures",
        command=f"saespec stage figures {folder / 'plan.json'}",
        deps=tuple(table.path for table in tables),
        outs=tuple(
            Out(folder / "figures" / f"{name}.{suffix}", cached=False)
            for name in spec.figures
            for suffix in ("svg", "png", "vl.json")
        ),
        fingerprint=figures_hash(spec),
        description="Draw the figures.",
    )


def _claims(spec: Spec, folder: PurePosixPath, tables: Sequence[Out]) -> Stage | None:
    if not spec.claims:
        return None
    return Stage(
        name="claims",
        kind="claims",
        command=f"saespec stage claims {folder / 'plan.json'}",
        deps=tuple(table.path for table in tables),
        outs=(Out(folder / "claims.json", cached=False, metric=True),),
        fingerprint=claims_hash(spec),
        description="Check the claims.",
    )


def figures_hash(spec: Spec, names: Sequence[str] | None = None) -> str:
    """SHA-256 of all that drawings of a spec's figures (or of these) depend on besides the tables, in hex."""
    figures = {name: spec.figures[name] for name in (spec.figures if names is None else names)}
    cases = [case["name"] for case in spec.sweep.cases if "name" in case]
    drawn = _dump(figures)
    ordered = cases if "case_name" in json.dumps(drawn) else []
    labels = labels_read(spec, figures)
    queries = queries_read(spec.queries, (figure.sql for figure in figures.values()))
    what = {"figures": drawn, "labels": labels, "cases": ordered, "queries": queries, "drawings": DRAWINGS}
    return _fingerprint(what)


def labels_read(spec: Spec, figures: Mapping[str, Figure]) -> dict[str, str]:
    """Return the labels of columns that these figures show."""
    said = json.dumps(_dump(figures))
    if any(one.y is None for figure in figures.values() for _, one in figure.plotted()):
        said += '"count"'  # what a histogram of rows shows
    return {column: label for column, label in spec.labels.items() if json.dumps(column) in said}


def claims_hash(spec: Spec) -> str:
    """SHA-256 of all that verdicts depend on besides the tables, in hex."""
    queries = queries_read(spec.queries, (claim.sql for claim in spec.claims.values()))
    return _fingerprint({"claims": _dump(spec.claims), "queries": queries, "drawings": DRAWINGS})


def _measured(spec: Spec, cells: Sequence[Cell]) -> dict[str, Any]:
    """What the tables depend on: the cells, their order and their cases' names, the measures, the fields told.

    What this saespec makes of all that is TABLES, which the plan stage's command has too: were anything of the code
    in here that is not in that command, an old `plan.json` would stay, and the tables stale, for ever.
    """
    return {
        "cells": [cell.id for cell in cells],
        "cases": [cell.case for cell in cells],
        "measure": [measure.model_dump(mode="json") for measure in spec.measure],
        "fields": [column.name for _, column in stored_fields(scope(spec))],
        "tables": TABLES,
    }


def _dump(section: Mapping[str, Figure] | Mapping[str, Claim]) -> list[Any]:
    return [[name, item.model_dump(mode="json", exclude_unset=True)] for name, item in section.items()]


def _fingerprint(value: Any) -> str:
    """Keys are not sorted: the order in which a chart is written may show in what is drawn."""
    return identity.sha256_hex(json.dumps(value, separators=(",", ":"), allow_nan=False))


def _quoted(path: str) -> str:
    """Double quotes mean the same to sh, fish and cmd.exe; `project.relative` lets nothing else in."""
    return f'"{path}"' if re.search(r"[^\w./-]", path) else path
