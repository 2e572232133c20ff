"""JSON results say where they came from, and any change to them is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saespec.errors import DamagedFileError
from saespec.results import document
from saespec.results.document import CHART, CLAIMS, encode, read
from saespec.results.provenance import common

MADE = {"spec": "toy", "git_commit": "0" * 40}

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(texts, values, max_size=4), st.sampled_from([CLAIMS, CHART]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any], place: document.Place
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    content.pop(place[0], None)
    path.write_bytes(encode(content, place, MADE))
    whole, made = read(path, place)
    assert made == MADE
    assert {key: value for key, value in whole.items() if key != place[0]} == content


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    whole = encode({"claims": {"a": {"numbers": {"n": 0.5, "é": None}}}}, CLAIMS, MADE)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(DamagedFileError, match=r"claims\.json: .* run the spec again"):
            read(path, CLAIMS)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (None, "it does not exist. Run the spec"),
        (b"", "empty. Delete it and run the spec again, or take it from git: git checkout -- "),
        (encode({"x": 1}, CLAIMS, MADE)[:-9], "truncated"),
        (encode({"x": 1}, CLAIMS, MADE) + b"\n", "its bytes are not those that saespec wrote"),
        (json.dumps(json.loads(encode({}, CLAIMS, MADE))).encode(), "its bytes are not those"),
        (b'{"saespec": {"sha256": ""}, "x": NaN}', "truncated, or not JSON"),
        (b'{"perfect": {"holds": true}}', "it does not say where it came from: an older saespec wrote it"),
        (b"[]", "it does not say where it came from"),
        (b"[" * 100_000, "truncated, or not JSON"),
    ],
)
def test_damage_is_named_with_a_remedy(tmp_path: Path, data: bytes | None, what: str) -> None:
    path = tmp_path / "claims.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DamagedFileError) as raised:
        read(path, CLAIMS)
    assert str(raised.value).startswith(f"{path}: {what}")


def test_what_the_object_says_already_stays(tmp_path: Path) -> None:
    path = tmp_path / "f.vl.json"
    path.write_bytes(encode({"usermeta": {"own": 1, "saespec": {"not_drawn": 3}}}, CHART, MADE))
    whole, made = read(path, CHART)
    assert made == {**MADE, "not_drawn": 3}
    assert whole["usermeta"]["own"] == 1


def test_a_file_that_is_no_claims_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    path.write_bytes(encode({"claims": {"a": {"holds": True}}}, CLAIMS, MADE))
    with pytest.raises(DamagedFileError, match="not the verdicts that saespec wrote"):
        document.verdicts(path)


def test_tables_that_disagree_are_both_told() -> None:
    cells = {"saespec.table": "cells", "saespec.format": "1", "saespec.spec": "toy", "saespec.device": "cpu"}
    assert common([cells, {**cells, "saespec.table": "truth"}]) == {"spec": "toy", "device": "cpu"}
    assert common([cells, {**cells, "saespec.device": "cuda"}])["device"] == "cpu, cuda"
