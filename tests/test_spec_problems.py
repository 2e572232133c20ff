"""Problems as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_sample import GOOD, edit, load_text

from saespec.errors import Problem, SpecError
from saespec.spec.language.problems import render


def test_the_line_and_a_caret(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(tmp_path, edit("steps: 5000", "stepps: 5000.0"), "train.batch=x")
    assert str(caught.value) == (
        '--set:1:1  train.batch: must be a whole number, not the text "x"\n'
        "  1 | train.batch=x\n"
        "    | ^\n"
        "spec.yaml:21:1  train.steps: is missing (Optimiser steps)\n"
        " 21 | train:\n"
        "    | ^\n"
        "spec.yaml:22:3  train.stepps: is not a known key (did you mean steps?)\n"
        " 22 |   stepps: 5000.0\n"
        "    |   ^"
    )


def test_wide_characters_tabs_and_long_lines() -> None:
    text = f"a: 特徴, b\n\tb\n{'x' * 500}\n"
    marked = {"f": text}
    assert render([Problem("f", 1, 8, "", "m")], marked).splitlines()[2] == "    |          ^"
    assert render([Problem("f", 2, 2, "", "m")], marked).splitlines()[1:] == ["  2 |  b", "    |  ^"]
    shown = render([Problem("f", 3, 400, "", "m")], marked).splitlines()
    assert len(shown[1]) <= 110
    assert shown[2].index("^") < 110


def test_nothing_to_show() -> None:
    problem = Problem("f", 1, 1, "", "the file is empty")
    for texts in ({}, {"f": ""}, {"f": "\n"}):
        assert render([problem], texts) == "f:1:1  the file is empty"


def test_good_text_has_no_problems(tmp_path: Path) -> None:
    load_text(tmp_path, GOOD)
