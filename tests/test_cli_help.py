from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_sample import Cli, matches_golden

COMMANDS = [
    *("init", "validate", "plan", "compile", "run", "status", "claims", "figures", "sql", "show"),
    *("explain", "report", "examples", "diff", "clean", "schema", "stage"),
]


def test_help(cli: Cli) -> None:
    said = cli("--help")
    assert (said.code, said.err) == (0, "")
    assert "stage" not in said.out.split("Commands:")[1]
    matches_golden("help.txt", said.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(cli: Cli, command: str) -> None:
    said = cli(command, "--help")
    assert (said.code, said.err) == (0, "")
    matches_golden(f"help_{command}.txt", said.out)


def test_the_schema_is_the_one_in_the_repository(cli: Cli) -> None:
    """The specs' first lines lead editors to it."""
    said = cli("schema")
    assert said.json["title"] == "saespec"
    matches_golden("../../saespec.schema.json", said.out)


@pytest.mark.parametrize(
    "words", [["nothing"], ["run", "--nothing"], ["diff", "one"], ["run", "--device", "tpu"]]
)
def test_a_wrong_call_exits_with_2(cli: Cli, words: list[str]) -> None:
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert "Error" in said.err
    assert "Traceback" not in said.err


def test_a_wrong_call_that_asks_for_json_gets_it(cli: Cli) -> None:
    said = cli("plan", "--json", "--nothing")
    assert (said.code, said.err) == (2, "")
    assert said.json["error"]["kind"] == "call"


def test_outside_of_a_project(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("run", "validate", "plan", "status", "claims", "figures", "compile"):
        said = cli(command)
        assert said.code == 2
        assert "saespec init" in said.err
    said = cli("status", "--json")
    assert json.loads(said.out)["error"]["kind"] == "call"
