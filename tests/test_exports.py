from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_sample import write

import saespec
from saespec.plan.model import Plan
from saespec.spec.language.load import LoadedSpec

HEAVY = {
    *("altair", "duckdb", "dvc", "jsonschema", "numpy", "pyarrow", "pydantic", "rich", "ruamel", "scipy"),
    *("torch", "typer"),
}


def loaded_by(code: str) -> set[str]:
    """Packages in a fresh Python after some code."""
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_is_public() -> None:
    from saespec import errors

    kinds = {n for n, v in vars(errors).items() if isinstance(v, type) and v.__module__ == errors.__name__}
    assert saespec.__all__ == sorted(kinds | {"__version__", "connect", "load", "plan"})
    assert all(hasattr(saespec, name) for name in saespec.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        saespec.nothing  # noqa: B018


def test_importing_saespec_imports_nothing_heavy() -> None:
    assert not loaded_by("import saespec") & HEAVY


def test_the_command_line_starts_with_typer_alone() -> None:
    code = "from saespec.cli import main; main(['run', '--help'])"
    assert loaded_by(code) & HEAVY <= {"typer", "pydantic"}  # Typer brings pydantic


def test_reading_and_planning_needs_no_torch(tmp_path: Path) -> None:
    path = str(write(tmp_path))
    loaded = loaded_by(f"import saespec; saespec.plan(saespec.load({path!r}))")
    assert not loaded & {"altair", "duckdb", "dvc", "numpy", "pyarrow", "scipy", "torch"}


def test_plan_is_a_function_and_a_room(tmp_path: Path) -> None:
    from saespec.plan import build, model

    path = write(tmp_path)
    spec = saespec.load(path)
    assert isinstance(spec, LoadedSpec)
    planned = saespec.plan(spec)
    assert isinstance(planned, Plan)
    assert planned == saespec.plan(path) == build.plan(spec, tmp_path)
    assert model.Plan is Plan


def test_load_takes_settings(tmp_path: Path) -> None:
    assert saespec.load(write(tmp_path), ["train.steps=7"]).spec.train.steps == 7


def test_connect_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(saespec.CallError, match="saespec init"):
        saespec.connect()
    write(tmp_path)
    with pytest.raises(saespec.CallError, match="no results"):
        saespec.connect()


def test_python_m_saespec() -> None:
    done = subprocess.run([sys.executable, "-m", "saespec", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("saespec ")
