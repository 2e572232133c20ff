"""Every error that saespec raises for a person to read.

SaespecError
├── SpecError          the spec is wrong: a list of problems, each with file, line and column
├── CallError          the command or the call is wrong (unknown spec, unknown cell, bad option)
├── DamagedFileError   a file is truncated, altered or of another version
├── StageError         a stage could not do its work (full disk, read-only folder, failed run)
└── QueryError         SQL that does not run, or a chart that cannot be drawn

The CLI prints them without a traceback; anything else that escapes is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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


class QueryError(SaespecError):
    """A query or a chart cannot be evaluated."""
