from __future__ import annotations

from pathlib import Path

import pytest
from cli_sample import Cli, edit, matches_golden, write


def test_a_good_spec(cli: Cli, project: Path) -> None:
    said = cli("validate")
    assert (said.code, said.err) == (0, "")
    assert said.out == "specs/tiny.yaml: ok, 2 cells, 1 figure, 2 claims\n"


def test_all_problems_of_fields_and_of_queries_at_once(cli: Cli, project: Path) -> None:
    edit(project, "latents: 12", "latnts: 12")
    edit(project, "steps: 50", "steps: 1.5")
    edit(project, "select sparsity_coefficient, mmcs\n", "select sparsity_coefficient, mcs\n")
    edit(project, "holds: best > 1", "holds: besst > 1")
    said = cli("validate")
    assert (said.code, said.out) == (2, "")
    matches_golden("validate_errors.txt", said.err)


def test_a_chart_that_only_drawing_refuses(cli: Cli, project: Path) -> None:
    y = "y: {field: mmcs, type: quantitative}"
    edit(project, y, f'{y}\n        href: {{value: "javascript:alert(document.domain)"}}')
    linked = cli("validate")
    assert (linked.code, linked.out) == (2, "")
    edit(project, 'href: {value: "javascript:alert(document.domain)"}', "size: {value: {expr: nosuch * 2}}")
    said = cli("validate")
    assert (said.code, said.out) == (2, "")
    matches_golden("validate_chart.txt", linked.err + said.err)


def test_the_same_errors_stop_every_command(cli: Cli, project: Path) -> None:
    edit(project, "field: mmcs", "field: mcs")
    expected = cli("validate").err
    assert "did you mean mmcs?" in expected
    for command in ("run", "plan", "figures", "claims", "compile"):
        said = cli(command, "tiny")
        assert (said.code, said.err) == (2, expected), command


def test_json_lists_the_problems(cli: Cli, project: Path) -> None:
    write(project, "other")
    edit(project, "steps: 50", "stepps: 50")
    said = cli("validate", "--json")
    assert (said.code, said.err, said.json["ok"]) == (2, "", False)
    other, tiny = said.json["specs"]
    assert other == {
        "spec": "other",
        "path": "specs/other.yaml",
        "ok": True,
        "cells": 2,
        "figures": 1,
        "claims": 2,
        "problems": [],
    }
    assert [(p["line"], p["column"], p["path"]) for p in tiny["problems"]] == [
        (11, 1, "train.steps"),
        (12, 3, "train.stepps"),
    ]
    assert tiny["problems"][1]["hint"] == "did you mean steps?"


def test_settings_are_checked_too(cli: Cli, project: Path) -> None:
    assert cli("validate", "--set", "train.steps=10").code == 0
    said = cli("validate", "--set", "train.stepps=10")
    assert said.code == 2
    assert "did you mean steps?" in said.err


@pytest.mark.parametrize("name", ["tiny", "specs/tiny.yaml", "./specs/tiny.yaml"])
def test_a_spec_goes_by_name_and_by_path(cli: Cli, project: Path, name: str) -> None:
    assert cli("validate", name).out.startswith("specs/tiny.yaml: ok")


def test_specs_are_found_from_a_folder_inside(
    cli: Cli,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (project / "specs" / "full").mkdir()
    monkeypatch.chdir(project / "specs" / "full")
    assert cli("validate").out.endswith("specs/tiny.yaml: ok, 2 cells, 1 figure, 2 claims\n")
    edit(project, "steps: 50", "steps: 0")
    assert cli("validate", "tiny").err.startswith("../tiny.yaml:12:10  train.steps")


def test_specs_below_the_folder_are_taken_only_by_name(cli: Cli, project: Path) -> None:
    write(project, "full/large", "extends: ../tiny.yaml\nname: large\ntrain: {steps: 60}\n")
    (project / "specs/full/large.yaml").write_text("extends: ../tiny.yaml\nname: large\ntrain: {steps: 60}\n")
    assert "large" not in cli("validate").out
    assert cli("validate", "large").out.startswith("specs/full/large.yaml: ok")


@pytest.mark.parametrize(
    ("name", "words"),
    [("tny", "did you mean tiny?"), ("zzz", "there are tiny"), ("no/such.yaml", "there is no file")],
)
def test_a_spec_that_is_not_there(cli: Cli, project: Path, name: str, words: str) -> None:
    said = cli("validate", name)
    assert said.code == 2
    assert words in said.err
