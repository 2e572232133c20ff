"""Errors as people and programs read them, and the exit codes that go with them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from saespec.errors import CallError, DamagedFileError, QueryError, SpecError, StageError, reason

from . import output

STOPPED = "stopped; the same command continues"

_KINDS: tuple[tuple[type[BaseException], str, int], ...] = (
    (SpecError, "spec", 2),
    (CallError, "call", 2),
    (QueryError, "query", 2),
    (DamagedFileError, "damaged", 1),
    (StageError, "stage", 1),
    (OSError, "file", 1),
)


_before: dict[str, Any] = {}


def begin() -> None:
    """A command line begins, and has done nothing yet."""
    _before.clear()


def remember(**done: Any) -> None:
    """Have JSON about what stops the command say this too: what was done before. Typer lets no error carry it."""
    _before.update(done)


def report(error: BaseException, words: Sequence[str]) -> int:
    """Print an error that is meant for the user; return the exit code.

    As JSON on standard output where the command line asks for JSON:
    `{"ok": false, "error": {"kind", "message", "problems"}}`, and what `remember` was told; else as text on
    standard error.
    """
    kind, code = next((kind, code) for types, kind, code in _KINDS if isinstance(error, types))
    message = text(error)
    problems = output.problems_json(error.problems) if isinstance(error, SpecError) else []
    if wants_json(words):
        _json(kind, message, problems)
    elif isinstance(error, SpecError):
        output.note(output.coloured_problems(error))
        output.note(output.count(len(error.problems), "problem"))
    else:
        output.note(f"{output.paint('error:', 'red', sys.stderr)} {message}")
    return code


def is_usage(error: BaseException) -> bool:
    """Whether Typer raised this about the command line. Its exception classes are not public."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def usage(error: Any, words: Sequence[str]) -> int:
    """Print what is wrong with a command line; return the exit code."""
    if wants_json(words):
        _json("call", error.format_message())
    else:
        error.show()
    return 2


def interrupted(words: Sequence[str] = ()) -> int:
    """Say that the user stopped the command; return the exit code. A stage leaves that to its engine."""
    if os.environ.get("SAESPEC_EVENTS"):
        return 130
    if wants_json(words):
        _json("interrupted", STOPPED)
    else:
        output.note(STOPPED)
    return 130


def broken_pipe() -> int:
    """The reader of our output (`| head`) has had enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains as it exits
    return 0


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line asks for JSON; it may be too wrong to be parsed."""
    pairs = zip(words, [*words[1:], ""], strict=False)
    return "--json" in words or "--format=json" in words or ("--format", "json") in pairs


def text(error: BaseException) -> str:
    """Return an error's message; of a file that could not be used, its name and why."""
    if not isinstance(error, OSError):
        return str(error)
    return f"{error.filename}: {reason(error)}" if error.filename else reason(error)


def _json(kind: str, message: str, problems: Sequence[Any] = ()) -> None:
    error = {"kind": kind, "message": message, "problems": list(problems)}
    output.json({"ok": False, "error": error, **_before})
