"""Every error that saespec raises for a person to read.

SaespecError
├── SpecError          the spec is wrong: a list of problems, each with file, line and column
├── CallError          the command or the call is wrong (unknown spec, unknown cell, bad option)
├── DamagedFileError   a file is truncated, altered or of another version
├── StageError         a stage could not do its work (full disk, read-only folder, failed run)
├── Interrupted        someone stopped it; what is done is kept
└── QueryError         SQL that does not run, or a chart that cannot be drawn

The CLI prints them without a traceback; anything else that escapes is a bug.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a spec. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    path: str
    """Dotted path of the field, such as `train.optimizer.lr`; empty for the whole file."""
    message: str
    hint: str = ""
    """What to do about it, such as `did you mean latents?`; may be empty."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        what = f"{self.path}: {self.message}" if self.path else self.message
        return f"{where}  {what}" + (f" ({self.hint})" if self.hint else "")


class SaespecError(Exception):
    """Base of all errors meant for the user."""


class SpecError(SaespecError):
    """A spec that cannot be used; carries every problem found, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        assert problems
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(p) for p in self.problems))


class CallError(SaespecError):
    """The command line or the function call asks for something that does not exist."""


class DamagedFileError(SaespecError):
    """A file that saespec wrote is not what it wrote."""

    def __init__(self, file: Path | str, what: str, remedy: str) -> None:
        self.file = Path(file)
        self.what = what
        super().__init__(f"{file}: {what}. {remedy}")


class StageError(SaespecError):
    """A stage could not finish; finished cells are kept and the same command continues."""


class Interrupted(SaespecError):
    """Work was asked to stop: what is done is saved, and the same command continues."""

    def __init__(self, message: str = "stopped; the same command continues") -> None:
        super().__init__(message)


class QueryError(SaespecError):
    """A query or a chart cannot be evaluated."""


def reason(error: BaseException) -> str:
    """Return in one line what an error of the system or of a library says; its class's name if it says nothing.

    An OSError that a library raises need not have a `strerror`, and some errors have no text at all.
    """
    said = getattr(error, "strerror", None) or str(error)
    return next((line.strip() for line in str(said).splitlines() if line.strip()), type(error).__name__)


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program that failed said; how it ended if it said nothing."""
    if said := (done.stderr or "").strip() or (done.stdout or "").strip():
        return said
    if done.returncode >= 0:
        return f"it ended with exit code {done.returncode}, without a word"
    try:
        name = signal.Signals(-done.returncode).name
    except ValueError:
        name = f"signal {-done.returncode}"
    return f"it was killed by {name}, without a word"
