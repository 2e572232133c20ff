"""JSON Schema of the spec language for editors: completion, descriptions, errors while typing.

It follows the models and adds what YAML may abbreviate. It knows shapes, not combinations: what it accepts
may still be refused by `load`, what it refuses is always refused.
"""

from __future__ import annotations

import copy
from typing import Any, TypeAlias

from pydantic import BeforeValidator
from pydantic.json_schema import models_json_schema

from saespec.spec.measures import Measure
from saespec.spec.spec import Case, CellConfig, Range, Ratio, Spec

from .fields import Field, cell_fields, literals, models, walk

Schema: TypeAlias = dict[str, Any]

_PARTIAL = "Partial"


def json_schema() -> Schema:
    """The schema of a spec file, a new dict that the caller may change."""
    _, found = models_json_schema([(Spec, "validation"), (CellConfig, "validation")])
    definitions: Schema = found["$defs"]
    _described_sections(definitions)
    _abbreviated_sections(definitions)
    spec = definitions["Spec"]["properties"]
    spec["measure"]["items"] = {"anyOf": _measures()}
    axes = {path: _axis(fields, definitions) for path, fields in cell_fields().items()}
    sweep = definitions["Sweep"]["properties"]
    for part in ("grid", "zip"):
        sweep[part] |= {"properties": axes, "additionalProperties": False, "minProperties": 1}
    case = Case.model_json_schema()["properties"]
    case["name"].pop("title")
    case |= {path: _any_of(fields, definitions) for path, fields in cell_fields().items()}
    item = {"type": "object", "properties": case, "additionalProperties": False, "minProperties": 1}
    for part in ("cases", "beside"):
        sweep[part] |= {"items": item, "minItems": 1}
    del definitions["CellConfig"]
    for name in ("queries", "figures", "claims"):
        spec[name]["additionalProperties"] = False
    for schema in list(definitions.values()):
        schema.pop("title", None)
        for inner in schema.get("properties", {}).values():
            inner.pop("title", None)
    _add_partial(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "saespec",
        "description": "One experiment on sparse autoencoders.",
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"$ref": f"#/$defs/Spec{_PARTIAL}"},
        "else": {"$ref": "#/$defs/Spec"},
        "$defs": definitions,
    }


def _described_sections(definitions: Schema) -> None:
    """Pydantic leaves out the description of a section whose annotation has a mark."""
    for field in (field for fields in cell_fields().values() for field in fields):
        inner = definitions[field.owner.__name__]["properties"][field.path.rpartition(".")[2]]
        inner.setdefault("description", field.info.description)


def _abbreviated_sections(definitions: Schema) -> None:
    """`correlation: random` for `{kind: random}` where the rest has defaults."""
    for field in walk(Spec):
        discriminator = field.info.discriminator
        shortened = any(isinstance(mark, BeforeValidator) for mark in field.info.metadata)
        if isinstance(discriminator, str) and shortened:
            short = _short_forms(field, discriminator)
            holder = definitions[field.owner.__name__]["properties"]
            name = field.path.rpartition(".")[2]
            full = {k: holder[name].pop(k) for k in ("oneOf", "discriminator") if k in holder[name]}
            if full:
                holder[name] = {"anyOf": [{"enum": short}, full], **holder[name]}


def _short_forms(field: Field, discriminator: str) -> list[str]:
    return [
        value
        for member in models(field.info.annotation)
        if all(n == discriminator or not f.is_required() for n, f in member.model_fields.items())
        for value in literals(member.model_fields[discriminator].annotation)
    ]


def _measures() -> list[Schema]:
    """A measure by its name, by its name with fields, or written out."""
    forms: list[Schema] = []
    for member in models(Measure):
        (kind,) = literals(member.model_fields["kind"].annotation)
        text = member.model_fields["kind"].description
        full: Schema = {"$ref": f"#/$defs/{member.__name__}"}
        inner = member.model_json_schema()
        fields = {k: v for k, v in inner["properties"].items() if k != "kind"}
        for schema in fields.values():
            schema.pop("title", None)
        with_fields = {"type": ["object", "null"], "properties": fields, "additionalProperties": False}
        if required := [n for n in inner.get("required", []) if n != "kind"]:
            with_fields["required"] = required
        else:
            forms.append({"const": kind, "description": text})
        by_name = {
            "type": "object",
            "description": text,
            "properties": {kind: {"description": text, **with_fields}},
            "required": [kind],
            "additionalProperties": False,
        }
        forms += [by_name, full]
    return forms


def _any_of(fields: tuple[Field, ...], definitions: Schema) -> Schema:
    """The schema of a field that several members of a union may have."""
    schemas: list[Schema] = []
    for field in fields:
        name = field.path.rpartition(".")[2]
        schema = copy.deepcopy(definitions[field.owner.__name__]["properties"][name])
        schema.pop("default", None)
        schema.pop("title", None)
        if schema not in schemas:
            schemas.append(schema)
    text = " ".join(dict.fromkeys(f.info.description or "" for f in fields))
    return schemas[0] if len(schemas) == 1 else {"description": text, "anyOf": schemas}


def _axis(fields: tuple[Field, ...], definitions: Schema) -> Schema:
    value = _any_of(fields, definitions)
    values = {"type": "array", "items": value, "minItems": 1}
    forms: list[Schema] = [values]
    if all(f.is_leaf and not literals(f.info.annotation) for f in fields):
        forms += [{"$ref": f"#/$defs/{form.__name__}"} for form in (Range, Ratio)]
    return {"description": value["description"], "anyOf": forms}


def _add_partial(definitions: Schema) -> None:
    """With `extends` every key may be left out, and null removes figures, claims and axes of the base."""
    for name, schema in list(definitions.items()):
        definitions[f"{name}{_PARTIAL}"] = _partial(schema)
    for name in ("Range", "Ratio"):  # an axis replaces the base's, so it is always whole
        definitions[f"{name}{_PARTIAL}"] = definitions[name]
    spec, sweep = definitions[f"Spec{_PARTIAL}"], definitions[f"Sweep{_PARTIAL}"]
    spec["properties"]["extends"] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        "description": "Path of the spec to start from, relative to this file, or a list: the keys of each override "
        "those of the ones before it, and keys here override all.",
    }
    spec["required"] = ["extends", "name"]
    for name in ("queries", "figures", "claims"):
        holder = spec["properties"][name]
        holder["patternProperties"] = {k: _or_null(v) for k, v in holder["patternProperties"].items()}
        spec["properties"][name] = _or_null(holder)
    for part in ("grid", "zip"):
        holder = sweep["properties"][part]
        holder["properties"] = {path: _or_null(axis) for path, axis in holder["properties"].items()}
        sweep["properties"][part] = _or_null(holder)
    for part in ("cases", "beside"):
        sweep["properties"][part] = _or_null(sweep["properties"][part])
    spec["properties"]["sweep"] = _or_null(spec["properties"]["sweep"])


def _or_null(schema: Schema) -> Schema:
    text = schema.get("description")
    return {**({"description": text} if text else {}), "anyOf": [schema, {"type": "null"}]}


def _partial(schema: Any) -> Any:
    """The schema with nothing required, references going to partial definitions."""
    if isinstance(schema, list):
        return [_partial(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found: Schema = {}
    for name, value in schema.items():
        if (name == "required" and isinstance(value, list)) or name == "discriminator":
            continue
        if name == "$ref":
            found[name] = f"{value}{_PARTIAL}"
        elif name == "oneOf":
            found["anyOf"] = _partial(value)
        else:
            found[name] = _partial(value)
    return found
