"""No field is accepted and ignored: every field of a spec changes the plan, or the change is refused."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from spec_sample import PLAIN, load_text

from saespec.errors import SpecError
from saespec.plan.identity import cell_id
from saespec.spec import CellConfig, Spec
from saespec.spec.columns import Column
from saespec.spec.language.effect import reason, unread
from saespec.spec.language.fields import (
    Field,
    cell_fields,
    flat,
    literals,
    models,
    row,
    stored_fields,
    tag,
    walk,
)
from saespec.spec.language.sweep import apply, base_config, points
from saespec.spec.measures import Losses, Measure
from saespec.spec.report import Claim, Figure
from saespec.spec.spec import Case, Ratio, Sweep


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return load_text(tmp_path_factory.mktemp("spec"), PLAIN).spec


CORPUS: dict[str, dict[str, Any]] = {
    "python_sources": {"kind": "python_sources", "packages": ["torch==2.13.0"]},
    "files": {"kind": "files", "paths": ["text/*.txt"]},
    "hub": {"kind": "hub", "name": "a/b", "revision": "main"},
}
TOKENIZER: dict[str, dict[str, Any]] = {
    "bpe": {"kind": "bpe", "vocabulary": 300},
    "named": {"kind": "named", "name": "a/b", "revision": "main"},
}
MODEL: dict[str, dict[str, Any]] = {
    "pretrained": {"kind": "pretrained", "name": "a/b", "revision": "main"},
    "trained": {
        "kind": "trained",
        "layers": 2,
        "width": 8,
        "heads": 2,
        "mlp": 32,
        "context": 16,
        "tokenizer": TOKENIZER["bpe"],
        "train": {"tokens": 1000, "batch": 4, "lr": 1e-3},
    },
}
TRANSFORMER: dict[str, Any] = {
    "kind": "transformer",
    "model": MODEL["trained"],
    "corpus": CORPUS["python_sources"],
    "site": {"layer": 1, "place": "resid_post"},
    "dim": 8,
    "tokens": 1000,
    "held_out_tokens": 100,
    "context": 16,
}
EXAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "data": {"transformer": TRANSFORMER},
    "data.corpus": CORPUS,
    "data.model": MODEL,
    "data.model.tokenizer": TOKENIZER,
    "sae": {
        **{kind: {"kind": kind, "latents": 64} for kind in ("pca", "ica", "random", "neuron_basis")},
        **{kind: {"kind": kind, "latents": 64} for kind in ("prolu", "jumprelu", "gated")},
        **{kind: {"kind": kind, "latents": 64, "k": 4} for kind in ("topk", "batch_topk")},
    },
    "loss.sparsity": {
        kind: {"kind": kind, "coefficient": 0.1, "per": "latents"} for kind in ("l1", "sqrt", "tanh", "l0")
    },
    "loss.auxiliary": {
        "aux_k": {"kind": "aux_k", "k": 8, "window": 20},
        "ghost": {"kind": "ghost", "window": 20},
    },
    "train.resample": {
        kind: {"kind": kind, "every": 100, "until": 300, "window": 20} for kind in ("bricken", "taggart")
    },
}
"""Whole sections, for members of unions that a kind alone does not make."""


def valid(field: Field) -> list[Any]:
    """Some values that the field's own annotation takes."""
    annotation = field.info.annotation
    if values := literals(annotation):
        return list(values)
    if annotation is bool:
        return [False, True]
    if annotation == tuple[str, ...]:
        return [("a==1",), ("a==1", "b==2")]
    if annotation is str or str in get_args(annotation):
        return ["one", "two"]

    def bounds(kind: str) -> list[Any]:
        return [getattr(mark, kind) for mark in field.info.metadata if hasattr(mark, kind)]

    low = max([*bounds("ge"), *(value + 1e-3 for value in bounds("gt"))])
    high = min([*bounds("le"), *(value - 1e-3 for value in bounds("lt")), 9])
    if annotation is float or float in get_args(annotation):
        return [low, (low + high) / 2, high]
    assert annotation is int or int in get_args(annotation)
    return [int(low) + 1, int(low) + 2]


def wrong(field: Field) -> list[Any]:
    """Values of the wrong type, or just outside what the field takes."""
    annotation = field.info.annotation
    values: list[Any] = [[], {}, float("nan"), float("inf")]
    if annotation is str or str in get_args(annotation):
        return [*values, 1, True]
    values.append("nonsense")
    if annotation is bool:
        return [*values, 0, 1, 1.0]
    if literals(annotation):
        lookalikes = {0: False, 1: True}
        values += [1.5, *(k for k in (0, 1, 0.0, 1.0) if literals(annotation)[0] == lookalikes.get(int(k)))]
    else:
        values += [True, "1", -1]
        values += [1.0] if annotation is not float and float not in get_args(annotation) else []
    return values


def with_parents(base: dict[str, Any], field: Field) -> list[dict[str, Any]]:
    """Base cells in which the union members on the way to the field are those that have it."""
    found = [base]
    parts = field.path.split(".")
    for cut in range(1, len(parts)):
        path = ".".join(parts[:cut])
        for parent in cell_fields()[path]:
            members = [m for m in models(parent.info.annotation) if field.owner in _below(m)]
            if not members or len(models(parent.info.annotation)) == 1:
                continue
            name = tag(members[0])
            assert name
            kinds = [k for m in members for k in literals(m.model_fields[name].annotation)]
            sections = [EXAMPLES.get(path, {}).get(kind, {name: kind}) for kind in kinds]
            found = [put(b, path, section) for b in found for section in sections]
    return found


def put(base: dict[str, Any], path: str, section: dict[str, Any]) -> dict[str, Any]:
    """A base cell with one section replaced; a section that says no more than its kind is one with defaults."""
    old = flat(apply(base, {}))
    kind = next(iter(section))
    if len(section) == 1 and old.get(f"{path}.{kind}") == section[kind]:
        return base
    beside: dict[str, Any] = {"sae": EXAMPLES["sae"]["jumprelu"]} if section[kind] == "l0" else {}
    if section[kind] == "groups":
        beside = {"data.features": 12, "data.active": 2, "data.decay": "none"}
    return apply(base, {path: section, **beside}).model_dump(mode="json", exclude_unset=True)


def _below(model: type[BaseModel]) -> list[type[BaseModel]]:
    return [model, *(f.owner for f in walk(model))]


LEAVES = [f for fields in cell_fields().values() for f in fields if f.is_leaf]


@pytest.mark.parametrize("field", LEAVES, ids=lambda f: f"{f.owner.__name__}.{f.path}")
def test_every_field_of_a_cell_changes_its_identity_or_is_refused(spec: Spec, field: Field) -> None:
    changed = refused = 0
    base = base_config(spec) | {"train": {**spec.train.model_dump(mode="json"), "steps": 500}}
    for before in with_parents(base, field):
        old = apply(before, {})
        for value in valid(field):
            try:
                new = apply(before, {field.path: value})
            except ValidationError:
                refused += 1
                continue
            got = flat(new)[field.path]
            assert got == value
            assert (cell_id(new) == cell_id(old)) == (got == flat(old).get(field.path))
            changed += cell_id(new) != cell_id(old)
        for value in wrong(field):
            with pytest.raises(ValidationError):
                apply(before, {field.path: value})
    assert changed or refused or len(valid(field)) == 1


@pytest.mark.parametrize("data", ["toy", "transformer"])
@pytest.mark.parametrize(
    "sae", ["relu", "prolu", "jumprelu", "gated", "pca", "ica", "random", "neuron_basis"]
)
def test_two_values_of_any_field_of_any_kind_make_two_cells_or_are_refused(
    spec: Spec, data: str, sae: str
) -> None:
    toy = {"kind": "toy", "dim": 8, "features": 9, "active": 2}
    sections = {"data": TRANSFORMER if data == "transformer" else toy, "sae": {"kind": sae, "latents": 8}}
    whole = apply({**base_config(spec), **sections}, {"train.steps": 9})
    base = base_config(whole)
    swept = refused = 0
    for field in LEAVES:
        section = getattr(whole, field.path.split(".")[0])
        if field.path != "seed" and field.owner not in _below(type(section)):
            continue
        inner = field.owner not in (type(section), CellConfig) and field.path.startswith("data.")
        for before in with_parents(base, field) if inner else [base]:
            config = apply(before, {})
            old, parts = flat(config).get(field.path), {name: getattr(config, name) for name in before}
            for value in valid(field):
                if value == old:
                    continue
                axis = Sweep.model_validate({"grid": {field.path: [value]}, "beside": [{field.path: old}]})
                whole_spec = spec.model_copy(
                    update={**parts, "sweep": axis, "measure": [Losses(kind="losses")]}
                )
                try:
                    first, second = (point.config for point in points(whole_spec))
                except SpecError:
                    refused += 1
                else:
                    assert not reason(field.path, unread(first))
                    assert cell_id(first) != cell_id(second)
                    swept += 1
    assert swept > 30
    assert refused > 3


def test_unknown_fields_are_refused_at_every_place(spec: Spec) -> None:
    for path, fields in cell_fields().items():
        if not fields[0].is_leaf:
            with pytest.raises(ValidationError):
                apply(base_config(spec), {f"{path}.nonsense": 1})


def test_every_leaf_of_a_cell_is_a_column() -> None:
    assert {path for path, _ in stored_fields()} == {f.path for f in LEAVES}


def test_a_row_has_every_column_and_its_type(spec: Spec) -> None:
    types = {"string": str, "int64": int, "float64": float, "bool": bool}
    config = apply(base_config(spec), {"data.correlation": "none"})
    values = row(config)
    columns = {column.name: column for _, column in stored_fields()}
    assert list(values) == list(columns)
    assert columns["seed"] == Column("seed", "int64", "1", "Seed of truth, data and initial weights.")
    assert values["covariance"] is None
    for name, value in values.items():
        assert value is None or type(value) is types[columns[name].type]
    stored = dict(stored_fields())
    assert {stored[path].name: value for path, value in flat(config).items()}.items() <= values.items()


def test_every_field_and_column_is_described() -> None:
    parts: list[type[BaseModel]] = [Spec, Figure, Claim, Case, Ratio, *models(Measure), *models(Sweep)]
    for model in parts:
        for field in walk(model):
            assert field.info.description, field.path
    for member in models(Measure):
        for column in itertools.chain.from_iterable(member.columns.values()):  # type: ignore[attr-defined]
            assert column.unit
            assert column.description


def test_every_field_outside_the_cells_changes_the_spec(spec: Spec) -> None:
    """What a plan takes from measures, figures and claims is their models; each field is in what they dump."""
    kinds: list[type[BaseModel]] = [Figure, Claim, *models(Measure)]
    for model in kinds:
        values: dict[str, Any] = {
            "title": "a",
            "says": "a",
            "sql": "a",
            "vega_lite": {"mark": "bar"},
            "holds": "a",
        }
        if name := tag(model):
            values = {name: literals(model.model_fields[name].annotation)[0]}
        old = model.model_validate({k: v for k, v in values.items() if k in model.model_fields})
        for field in walk(model):
            if literals(field.info.annotation) or (
                model is Figure and field.path not in values | {"caption": ""}
            ):
                continue
            new_value: Any = 7 if int in (field.info.annotation, *get_args(field.info.annotation)) else "b"
            new_value = {"mark": "rect"} if field.path == "vega_lite" else new_value
            new_value = {"sae.latents": 8} if field.path == "where" else new_value
            new_value = (
                0.5 if float in (field.info.annotation, *get_args(field.info.annotation)) else new_value
            )
            new = model.model_validate({**old.model_dump(), field.path: new_value})
            assert new.model_dump(mode="json") != old.model_dump(mode="json"), field.path
            with pytest.raises(ValidationError):
                model.model_validate({**old.model_dump(), field.path: -1.5})


def test_literals_take_nothing_that_merely_equals_them() -> None:
    for model in {f.owner for f in (*walk(Spec), *walk(CellConfig))}:
        for name, info in model.model_fields.items():
            for value in literals(info.annotation):
                if isinstance(value, str):
                    continue
                for lookalike in (0, 1, 0.0, 1.0, True, False, "1"):
                    if type(lookalike) is type(value):
                        continue
                    with pytest.raises(ValidationError) as caught:
                        model.model_validate({name: lookalike})
                    assert any(e["loc"] == (name,) for e in caught.value.errors())


@pytest.mark.parametrize("name", ["title", "description", "document"])
def test_presentation_never_enters_a_cell(tmp_path: Path, name: str) -> None:
    plain = PLAIN.replace("document: sharkey2022", "document: sharkey2022\ndescription: a")
    old, new = plain, plain.replace(f"{name}: ", f"{name}: x")
    first, second = (load_text(tmp_path, text) for text in (old, new))
    assert cell_id(first.points[0].config) == cell_id(second.points[0].config)
    assert first.spec != second.spec
