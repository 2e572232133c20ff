from __future__ import annotations

import subprocess
from pathlib import Path

from cli_sample import Cli, edit, matches_golden, write

from saespec.plan.project import spec_files


def test_plan_of_a_spec_that_has_not_run(cli: Cli, project: Path) -> None:
    said = cli("plan", "--cells")
    assert (said.code, said.err) == (0, "")
    matches_golden("plan.txt", said.out)


def test_plan_as_json(cli: Cli, project: Path) -> None:
    (found,) = cli("plan", "tiny", "--json").json["specs"]
    assert (found["spec"], found["cells"], found["to_train"]) == ("tiny", 2, 2)
    assert [group["cells"] for group in found["groups"]] == [2]
    assert found["stages"][0] == {
        "name": "plan",
        "state": "stale",
        "reasons": ["has not run yet"],
        "command": "saespec stage plan specs/tiny.yaml --versions 2-3-3",
    }
    assert [cell["set"] for cell in found["cell_list"]] == [
        {"loss.sparsity.coefficient": 0.05},
        {"loss.sparsity.coefficient": 0.3},
    ]


def test_a_plan_changes_nothing_that_is_tracked(cli: Cli, project: Path) -> None:
    cli("plan")
    assert {path.name for path in project.iterdir()} <= {"specs", ".saespec"}


def test_diff_of_two_specs(cli: Cli, project: Path) -> None:
    write(project, "other")
    other = project / "specs" / "other.yaml"
    text = other.read_text().replace("[0.05, 0.3]", "[0.05, 0.3, 1.0]").replace("steps: 50", "steps: 60")
    other.write_text(text.replace("curve:", "line:"))
    said = cli("diff", "tiny", "specs/other.yaml")
    assert (said.code, said.err) == (0, "")
    matches_golden("diff.txt", said.out)
    found = cli("diff", "tiny", "other", "--json").json
    assert [cell["set"] for cell in found["added"]] == [{"loss.sparsity.coefficient": 1.0}]
    assert [change["fields"] for change in found["changed"]] == [{"train.steps": [50, 60]}] * 2
    assert (found["removed"], found["kept"]) == ([], 0)


def test_diff_of_two_revisions(cli: Cli, project: Path) -> None:
    write(project, "small", "extends: tiny.yaml\nname: small\ntrain: {batch: 16}\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "specs"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=project, check=True)
    edit(project, "[0.05, 0.3]", "[0.3]")
    said = cli("diff", "HEAD:specs/small.yaml", "specs/small.yaml")
    assert said.out == (
        "cells: 0 added, 1 removed, 0 changed, 1 the same\n  -1 cell: loss.sparsity.coefficient 0.05\n"
    )
    assert cli("diff", "HEAD:small", "small").out == said.out
    said = cli("diff", "nowhere:small", "small")
    assert said.code == 2
    assert "nowhere" in said.err


def test_explain_before_anything_has_run(cli: Cli, project: Path) -> None:
    cell = cli("plan", "--json").json["specs"][0]["cell_list"][1]["cell"]
    for what, name in (
        (cell[:6], "cell"),
        ("tiny.truth", "table"),
        ("curve", "figure"),
        ("tiny.perfect", "claim"),
    ):
        said = cli("explain", what)
        assert (said.code, said.err) == (0, "")
        matches_golden(f"explain_{name}.txt", said.out)


def test_explain_as_json(cli: Cli, project: Path) -> None:
    cell = cli("plan", "--json").json["specs"][0]["cell_list"][1]["cell"]
    found = cli("explain", cell, "--json").json
    fields = {field["path"]: field for field in found["fields"]}
    assert fields["train.steps"] == {
        "path": "train.steps",
        "value": 50,
        "source": "specs/tiny.yaml:12:3",
        "kind": "file",
    }
    assert fields["loss.sparsity.coefficient"]["kind"] == "sweep"
    assert fields["train.optimizer.beta1"]["source"] == "default"
    assert (found["in_store"], found["row"]) == (False, None)


def test_explain_knows_only_what_there_is(cli: Cli, project: Path) -> None:
    write(project, "other")
    said = cli("explain", "cells")
    assert said.code == 2
    assert "other.cells (table), tiny.cells (table)" in said.err
    said = cli("explain", "tiny.kurve", "--json")
    assert said.code == 2
    assert "did you mean tiny.curve?" in said.json["error"]["message"]
    assert cli("explain", "00000000").code == 2


def test_compile_check(cli: Cli, project: Path) -> None:
    said = cli("compile", "--check")
    assert said.code == 1
    assert "saespec compile specs/tiny.yaml" in said.out
    said = cli("compile")
    assert (said.code, said.out) == (0, "results/tiny/dvc.yaml: written\n")
    assert cli("compile").out == "results/tiny/dvc.yaml: unchanged\n"
    assert cli("compile", "--check").code == 0
    edit(project, "steps: 50", "steps: 60")
    assert cli("compile", "--check").code == 1


def test_the_sample_is_a_spec_of_the_project(project: Path) -> None:
    assert [path.name for path in spec_files(project)] == ["tiny.yaml"]
