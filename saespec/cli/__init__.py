"""The command line: one file a command. Commands hold no logic, and import what they need when they run."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name); return the exit code.

    0 done; 1 a stage failed, a file is damaged, or (with --strict) a claim does not hold; 2 the spec or
    the call is wrong; 130 interrupted.
    """
    from .app import main as run

    return run(arguments)
