"""docs/add-an-architecture.md, followed to the letter in a copy of the package: what it adds trains as it says.

A comment before a block of the page says what is done with it: `file PATH`, or `after`, `before` or `instead of`
something `in PATH`. That is a whole line, or what is replaced, and is there once.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "add-an-architecture.md"
TESTS = ("cells.py", "reference_sae.py", "test_sae_kinds.py", "test_sae_pieces.py", "test_spec_fields.py")

SPEC = """\
version: 1
name: new
title: What the page adds
data: {kind: toy, dim: 8, features: 12, active: 2}
sae: {kind: capped, latents: 12}
loss: {reconstruction: sum, sparsity: {kind: log, coefficient: 0.1, per: sample}}
train: {steps: 20, batch: 16, optimizer: {lr: 1.0e-2}}
sweep: {grid: {sae.cap: [0.5, 0.7]}}
measure: [losses]
claims:
  low:
    says: No code exceeds the cap, and the new penalty is counted.
    source: docs/add-an-architecture.md
    sql: select cap, architecture, sparsity from cells
    holds: cap < 1
"""


def blocks() -> list[tuple[str, str]]:
    """What the page says to do, and each block."""
    return re.findall(r"^<!-- (.*?) -->\n```(?:python)?\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def follow(folder: Path) -> None:
    """Do what the page says, in a folder."""
    for what, block in blocks():
        if new := re.fullmatch(r"file (\S+)", what):
            assert not (folder / new[1]).exists()
            (folder / new[1]).write_text(block)
            continue
        found = re.fullmatch(r"(after|before|instead of) `(.*)` in (\S+)", what)
        assert found, what
        how, text, path = found[1], found[2], folder / found[3]
        old = path.read_text()
        if how == "instead of":
            assert old.count(text) == 1, what
            path.write_text(old.replace(text, block.removesuffix("\n")))
            continue
        lines = old.splitlines(keepends=True)
        at = [n for n, line in enumerate(lines) if line.strip() == text]
        assert len(at) == 1, what
        if how == "after":
            lines.insert(at[0] + 1, block)
        else:
            lines.insert(at[0], f"{block}\n\n")
        path.write_text("".join(lines))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package and some of its tests, with what the page adds."""
    folder = tmp_path_factory.mktemp("architecture")
    shutil.copytree(ROOT / "saespec", folder / "saespec", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    for name in TESTS:
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    follow(folder)
    return folder


def python(folder: Path, *words: str) -> str:
    """What a fresh Python prints, whose saespec is the folder's; it must end well."""
    own = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env={**os.environ, **own}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_block_says_what_to_do_with_it() -> None:
    assert len(blocks()) == (PAGE.read_text().count("\n```") - 2) / 2  # all but the command at the end


def test_a_spec_may_name_what_the_page_adds(copy: Path) -> None:
    (copy / "specs").mkdir()
    (copy / "specs" / "new.yaml").write_text(SPEC)
    python(copy, "-m", "saespec", "validate", "specs/new.yaml")
    schema = json.loads(python(copy, "-m", "saespec", "schema"))
    assert {"CappedSAE", "Log"} <= set(schema["$defs"])


@pytest.mark.slow
def test_what_the_page_adds_trains_as_autograd_has_it_and_to_equal_bits_among_others(copy: Path) -> None:
    """A hundred steps in float64, with the new penalty and without; one cell alone and among seventeen."""
    files = ("tests/test_sae_pieces.py", "tests/test_sae_kinds.py")
    which = "capped and (hundred and (log or l1) or seventeen and float32)"
    said = python(copy, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider", "-vv", *files, "-k", which)
    for what in ("hundred.*capped.*'log'.* PASSED", "seventeen.*capped.* PASSED"):
        assert re.search(what, said), said
