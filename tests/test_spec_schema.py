"""The JSON Schema for editors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from spec_sample import GOOD, PLAIN, edit

from saespec.spec.language.schema import json_schema
from saespec.spec.language.yaml import parse, plain

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def accepts(text: str) -> bool:
    root = parse(text, "f").root
    assert root is not None
    return bool(VALIDATOR.is_valid(plain(root)))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        PLAIN,
        edit("correlation: random", "correlation: {kind: random, strength: 0.5}"),
        edit("correlation: random", "correlation: none"),
        edit("decay: {rule: multiply, rate: 0.99}", "decay: power"),
        edit("[recovery, ", "[recovery, {latents: null}, "),
        PLAIN + "sweep: {grid: {data.correlation: [none, {kind: random}]}, cases: [{sae.latents: 3}]}",
        PLAIN + "sweep: {cases: [{name: baseline}, {name: a b, seed: 3}]}",
        "extends: a.yaml\nname: b\nsweep: {cases: [{name: baseline}, {name: more, seed: 3}]}",
        "extends: a.yaml\nname: b\n",
        "extends: a.yaml\nname: b\ndata: {dim: 3, correlation: {strength: 0.5}}\ntrain: {optimizer: {lr: 1.0e-3}}\n",
        "extends: a.yaml\nname: b\nfigures: {a: null}\nclaims: {a: {holds: x}}\nsweep: {grid: {seed: null}}\n",
        "extends: a.yaml\nname: b\nsweep: {zip: null, cases: null}\n",
    ],
)
def test_accepted(text: str) -> None:
    assert accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "bogus: 1\n",
        edit("steps: 5000", "stps: 5000"),
        edit("steps: 5000", "steps: x"),
        edit("correlation: random", "correlation: rnd"),
        edit("correlation: random", "correlation: {kind: none, rank: 3}"),
        edit("window: 100", "windw: 100"),
        edit("sae.latents: {of", "sae.latent: {of"),
        edit("sae.latents: {of: data.features, ratios: [0.5, 1]}", "sae.latents: [a]"),
        edit("sae.latents: {of: data.features, ratios: [0.5, 1]}", "sae.latents: []"),
        edit("sae.latents: {of: data.features, ratios: [0.5, 1]}", "sae.latents: null"),
        edit("{seed: 0}", "{sead: 0}"),
        PLAIN + "sweep: {cases: [{}]}",
        PLAIN + "sweep: {cases: [{name: 3}]}",
        PLAIN + "sweep: {cases: [{name: ''}]}",
        PLAIN + "sweep: {cases: [{name: a, title: b}]}",
        edit("fig03_mmcs:", "Fig3:"),
        edit("  fig03_mmcs:", "  fig4: null\n  fig03_mmcs:"),
        "extends: a.yaml\n",
        "extends: 3\nname: b\n",
        "extends: a.yaml\nname: b\ntrain: {stps: 1}\n",
        "extends: a.yaml\nname: b\nsweep: {grid: {seed: {from: 1}}}\n",
    ],
)
def test_refused(text: str) -> None:
    assert not accepts(text)


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            if isinstance(inner, dict):
                yield f"{path}/{name}", inner
        for name, inner in schema.items():
            yield from properties(inner, f"{path}/{name}")
    elif isinstance(schema, list):
        for i, inner in enumerate(schema):
            yield from properties(inner, f"{path}/{i}")


def test_every_property_is_described() -> None:
    assert [path for path, schema in properties(SCHEMA) if not schema.get("description")] == []


def test_every_object_refuses_unknown_keys() -> None:
    free = {"vega_lite", "where", "labels"}
    for path, schema in properties(SCHEMA):
        if schema.get("type") == "object" and path.rpartition("/")[2] not in free:
            closed = schema.get("additionalProperties") is False or "enum" in schema.get("propertyNames", {})
            assert closed, path
    for name, schema in SCHEMA["$defs"].items():
        assert schema["additionalProperties"] is False, name
