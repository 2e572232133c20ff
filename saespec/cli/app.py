"""The Typer application, and what becomes of errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from saespec.cli.commands import (
    claims,
    clean,
    compile,
    diff,
    examples,
    explain,
    figures,
    init,
    plan,
    report,
    run,
    schema,
    show,
    sql,
    stage,
    status,
    validate,
)
from saespec.errors import Interrupted, SaespecError

from . import failure

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: the same on every terminal, and 0.1 s sooner
)

_COMMANDS: dict[str, tuple[Callable[..., Any], str]] = {
    "init": (init.init, "Make a project with two working specs."),
    "validate": (validate.validate, "Check specs: fields, sweeps, SQL, charts."),
    "plan": (plan.plan, "Show what a run would do, why, and what it would cost."),
    "compile": (compile.compile_, "Write dvc.yaml, for `dvc repro`."),
    "run": (run.run, "Do what is not up to date, then show the results."),
    "status": (status.status, "Show in one line a spec how things stand."),
    "claims": (claims.claims, "Show the verdict on every claim, with its numbers."),
    "figures": (figures.figures, "Redraw figures from the tables as they are."),
    "report": (report.report, "Write results as one page to open and to send."),
    "examples": (examples.examples, "Write latents' top examples as a page to read."),
    "sql": (sql.sql, "Ask the results a question in SQL."),
    "show": (show.show, "Show where a file came from and what is in it."),
    "explain": (explain.explain, "Show the way from a spec's lines to a cell, table or figure."),
    "diff": (diff.diff, "Compare the cells of two specs or revisions."),
    "clean": (clean.clean, "Remove what is left of specs that are gone."),
    "schema": (schema.schema, "Print the JSON Schema of specs, for editors."),
}
for name, (command, in_short) in _COMMANDS.items():
    app.command(name, short_help=in_short)(command)
app.add_typer(stage.app, name="stage", hidden=True)


def _version(wanted: bool) -> None:
    if wanted:
        from saespec.results.provenance import version

        typer.echo(f"saespec {version()}")
        raise typer.Exit


@app.callback()
def saespec(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Experiments on sparse autoencoders: one YAML file, from data to a verdict on every claim.

    Most commands take specs by path or by name; without one they take every spec in the project's specs/
    folder itself, not those in folders below it, which want a GPU.

    Exit codes: 0 done; 1 a stage failed, or (--strict) a claim does not hold; 2 the spec or the call is
    wrong; 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a terminal that cannot show a character gets a ? for it
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    failure.begin()
    try:
        code = app(words, prog_name="saespec", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, Interrupted):
        return failure.interrupted(words)
    except BrokenPipeError:
        return failure.broken_pipe()
    except (SaespecError, OSError) as error:
        return failure.report(error, words)
    except Exception as error:
        if not failure.is_usage(error):
            raise
        return failure.usage(error, words)
    if code == 130:  # Typer has turned a KeyboardInterrupt into this
        return failure.interrupted(words)
    return code if isinstance(code, int) else 0
