"""Every command in the docs does what the page says, in order, in a project like this repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))


SHRUNK: dict[str, dict[str, str]] = {
    "parts/python_transformer.yaml": {
        "layers: 6": "layers: 3",
        "vocabulary: 4096": "vocabulary: 300",
        "tokens: 8_000_000, batch: 16": "tokens: 4096, batch: 4",
        "kind: python_sources, packages: .*, held_out: 0.05": (
            "kind: files, paths: [text/*.py], held_out: 0.3"
        ),
        " tokens: 1_000_000": " tokens: 2048",
        "held_out_tokens: 262_144": "held_out_tokens: 512",
    },
    "small_transformer.yaml": {
        "steps: 6000": "steps: 6",
        "batch: 512": "batch: 64",
        r"sae.latents: \[.*": "sae.latents: [256, 512]",
        r"sparsity.coefficient: \[.*": "sparsity.coefficient: [0.016]",
    },
}
"""What to replace in specs so that they take seconds."""


def commands(page: Path) -> Iterator[tuple[str, int]]:
    """Each line of the page's `sh` blocks, and the exit code that it is to have."""
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S):
        for line in block.splitlines():
            expected = re.search(r"  # exits (\d)$", line)
            yield line, int(expected[1]) if expected else 0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository's toy_mmcs and its twin, and its small_transformer, shrunk, in a git repository."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "specs" / "full").mkdir(parents=True)
    text = (ROOT / "specs" / "toy_mmcs.yaml").read_text()
    for field, value in {
        "dim": 8,
        "features": 16,
        "active": 2,
        "latents": 16,
        "steps": 5,
        "batch": 16,
    }.items():
        text, found = re.subn(rf"^(  {field}: )\d+$", rf"\g<1>{value}", text, flags=re.M)
        assert found == 1, field
    text = text.replace("batches: 40", "batches: 2").replace("window: 100", "window: 2")
    text = text.replace("per_decade: 4", "per_decade: 1")
    (folder / "specs" / "toy_mmcs.yaml").write_text(text)
    shutil.copy(ROOT / "specs" / "full" / "toy_mmcs.yaml", folder / "specs" / "full")
    (folder / "specs" / "parts").mkdir()
    shutil.copy(ROOT / "specs" / "parts" / "labels.yaml", folder / "specs" / "parts")
    (folder / "text").mkdir()
    for file in ROOT.glob("saespec/*/*.py"):
        shutil.copy(file, folder / "text" / f"{file.parent.name}_{file.name}")
    for name, changes in SHRUNK.items():
        text = (ROOT / "specs" / name).read_text()
        for old, new in changes.items():
            text, found = re.subn(old, new, text)
            assert found == 1, old
        (folder / "specs" / name).write_text(text)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "specs"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_work(page: Path, project: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = list(commands(page))
    assert ran
    for line, expected in ran:
        done = subprocess.run(
            line, shell=True, cwd=project, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_readme_names_every_command_and_spec_and_page() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in [*ROOT.glob("specs/*.yaml"), *PAGES]:
        assert str(path.relative_to(ROOT)) in readme
    shown = subprocess.check_output([sys.executable, "-m", "saespec", "--help"], text=True)
    for name in re.findall(r"^  (\w+)  ", shown.split("Commands:")[1], re.M):
        assert f"`{name}`" in readme


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_yaml_in_the_docs_is_of_the_language() -> None:
    """Snippets, put into a whole spec, are accepted."""
    from ruamel.yaml import YAML

    from saespec.spec.spec import Claim, Figure, Sweep

    models = {"sweep": Sweep, "figures": Figure, "claims": Claim}
    seen = set()
    for page in PAGES:
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S):
            for section, content in YAML(typ="safe").load(block).items():
                if section in ("figures", "claims"):
                    for item in content.values():
                        models[section].model_validate(item)
                elif section == "sweep":
                    Sweep.model_validate(content)
                seen.add(section)
    assert {"sweep", "figures", "claims", "extends"} <= seen
