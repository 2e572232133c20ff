"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Specs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SPEC", help="Path or name of a spec; without one, all in specs/.", show_default=False
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a field, such as train.steps=100; may be repeated. The results go to a scratch folder.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 if a claim does not hold.")]
