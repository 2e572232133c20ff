"""Identity of cells."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spec_sample import PLAIN

from saespec.plan import identity
from saespec.plan.identity import canonical_json, cell_id, sha256_hex
from saespec.spec.language.load import check
from saespec.spec.language.sweep import apply, base_config
from saespec.spec.language.yaml import parse
from saespec.spec.spec import CellConfig


def config(**swept: object) -> CellConfig:
    root = parse(PLAIN, "f").root
    assert root is not None
    spec, _, problems = check(root)
    assert spec is not None, problems
    return apply(base_config(spec), {path.replace("__", "."): value for path, value in swept.items()})


def test_the_identity_of_a_known_cell() -> None:
    """Golden: a change here retrains every cell of every spec. Raise NUMERICS only when numbers change."""
    assert identity.NUMERICS == 2
    assert cell_id(config()) == "a9b601ae410b"


def test_defaults_written_out_are_the_same_cell() -> None:
    full = CellConfig.model_validate(config().model_dump(mode="json"))
    assert cell_id(full) == cell_id(config())


def test_whole_numbers_and_negative_zeros_are_the_same_cell() -> None:
    assert cell_id(config(data__active=3)) == cell_id(config(data__active=3.0))
    assert cell_id(config(data__jitter=-0.0)) == cell_id(config(data__jitter=0.0))


def test_another_numerics_version_is_another_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cell_id(config())
    monkeypatch.setattr(identity, "NUMERICS", identity.NUMERICS + 1)
    assert cell_id(config()) != before


def test_canonical_json() -> None:
    assert canonical_json({"b": [1, -0.0, "é"], "a": {"d": None, "c": 1e-05}}) == (
        '{"a":{"c":1e-05,"d":null},"b":[1,0.0,"é"]}'
    )
    assert canonical_json(["-0.0"]) == '["-0.0"]'
    assert sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            canonical_json(value)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_canonical_json_keeps_the_value_and_forgets_the_order(value: object) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text
    if isinstance(value, dict):
        assert canonical_json(dict(reversed(value.items()))) == text
