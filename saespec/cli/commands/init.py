"""`saespec init`: a project to start from."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

SCHEMA = "saespec.schema.json"
_TEMPLATES = ("quick", "toy_mmcs")
_IGNORED = (".saespec/", "runs.parquet", ".venv/", "__pycache__/")
_README = """\
# {name}

Experiments on sparse autoencoders, made with saespec.

    saespec run quick      # some seconds: is everything in place?
    saespec run            # every spec in specs/; only what is not up to date
    saespec status         # one line a spec
    saespec sql "select * from cells"

Specs are in `specs/`, results in `results/<spec>/`: tables, figures, verdicts on claims. All of `results/`
but `cells/` and `runs.parquet` is meant to be committed. `saespec --help` says what else there is.
"""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where; made if need be.", show_default=False)
    ] = Path("."),
    git: Annotated[
        bool, typer.Option("--git/--no-git", help="Make it a git repository if it is in none.")
    ] = True,
) -> None:
    """Make a project with two working specs: quick (some seconds) and toy_mmcs (some minutes).

    Overwrites nothing: a README or .gitignore that is there is kept, and a spec that is there is an error.
    """
    from saespec.cli import output
    from saespec.cli.specs import shown
    from saespec.engine.dvc import ensure_repo
    from saespec.errors import CallError, StageError, last_words
    from saespec.spec.language.schema import json_schema

    if folder.exists() and not folder.is_dir():
        raise CallError(f"{folder} is not a folder")
    new = _specs()
    if there := [name for name in [*new, SCHEMA] if (folder / name).exists()]:
        raise CallError(
            f"{', '.join(str(folder / name) for name in there)} would be overwritten: use another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    root = folder.resolve()
    with_git = git and shutil.which("git") is not None
    if with_git and not any((parent / ".git").exists() for parent in (root, *root.parents)):
        done = subprocess.run(["git", "init", "--quiet"], cwd=root, capture_output=True, text=True)
        if done.returncode:
            raise StageError(f"cannot make {root} a git repository: {last_words(done)}")
    ensure_repo(root, git=git, notify=output.note)
    (root / "specs").mkdir(exist_ok=True)
    for name, text in new.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / SCHEMA).write_text(
        json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    _add_lines(root / ".gitignore", _IGNORED)
    if not (root / "README.md").exists():
        (root / "README.md").write_text(_README.format(name=root.name), encoding="utf-8")
    output.say(f"made a project in {root}")
    for name in new:
        output.say(f"  {shown(root) / name}")
    enter = "" if root == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    output.say(f"next: {enter}saespec run quick")


def _specs() -> dict[str, str]:
    """File → text of the specs that come with saespec."""
    return {f"specs/{name}.yaml": _template(name).read_text(encoding="utf-8") for name in _TEMPLATES}


def _template(name: str) -> Path:
    """A wheel brings all of them along; in a source tree, those that the repository runs are in `specs/`."""
    packaged = Path(__file__).parents[1] / "templates" / f"{name}.yaml"
    return packaged if packaged.exists() else Path(__file__).parents[3] / "specs" / f"{name}.yaml"


def _add_lines(path: Path, lines: tuple[str, ...]) -> None:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if missing := [line for line in lines if line not in text.split()]:
        if text and not text.endswith("\n"):
            text += "\n"
        path.write_text(text + "\n".join(missing) + "\n", encoding="utf-8")
