"""The house: imports run downward, files stay small, light rooms stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "saespec"
ROOMS = ["cli", "engine", "stages", "report", "figures", "measure", "sae", "data", "results", "plan", "spec"]


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level <= 1:
            module = node.module or ""
            if node.level == 0 and module.startswith("saespec."):
                found.add(module.split(".")[1])
            elif node.level == 0 and module == "saespec":
                found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 2:
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("saespec."))
    return found & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_downward(room: str) -> None:
    below = set(ROOMS[ROOMS.index(room) :])
    for path in (PACKAGE / room).rglob("*.py"):
        assert imported_rooms(path) <= below, path


def test_the_words_of_a_spec_do_not_know_how_they_are_read() -> None:
    for path in (PACKAGE / "spec").glob("[a-z]*.py"):
        lines = path.read_text().splitlines()
        assert not [line for line in lines if line.startswith("from") and "language." in line], path


def test_a_file_holds_one_idea() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("saespec.spec", ["torch", "duckdb", "dvc", "pyarrow", "numpy", "altair"]),
        ("saespec.plan.build", ["torch", "duckdb", "dvc", "pyarrow", "numpy", "altair"]),
        ("saespec.cli", ["torch", "duckdb", "dvc", "pyarrow", "numpy", "altair"]),
        ("saespec.figures.validate", ["torch", "altair", "vl_convert"]),
    ],
)
def test_light_rooms_do_not_import_heavy_libraries(module: str, heavy: list[str]) -> None:
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
