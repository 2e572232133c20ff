"""How a stage command tells the engine which stage it is, what it did and how it ended.

The engine names a file in `SAESPEC_EVENTS`; `saespec stage …` appends a line when it starts, has trained cells,
is done or fails. DVC reports failures in prose only, and a stage that was killed cannot report at all: it is the one
that started and never ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

VARIABLE = "SAESPEC_EVENTS"

Event = Literal["start", "trained", "done", "failed", "refused", "damaged"]
"""refused: what the spec asks for does not exist, and asking again changes nothing. damaged: a file is not what was
written; what can be made again was withdrawn, and is when the stages run once more."""


@dataclass(frozen=True)
class Failure:
    """The stage that ended a run, and what it said."""

    stage: str
    error: str
    """Empty if it was killed."""
    refused: bool = False
    """Whether the spec must change."""
    damaged: str = ""
    """The file that was not what was written, and how; empty for other failures."""


@dataclass
class Ran:
    """A stage whose command DVC ran; one that it restored from its cache is none."""

    stage: str
    trained: int = 0
    """Cells that it trained, without those that it found in the store."""
    seconds: float | None = None
    """None if it did not come to its end."""


def record(event: Event, error: str = "", damaged: str = "", *, cells: int = 0, seconds: float = 0.0) -> None:
    """Append an event of the running stage (named by DVC in `DVC_STAGE`); nothing outside an engine's run.

    `cells` goes with `trained`, `seconds` with `done`.
    """
    path, stage = os.environ.get(VARIABLE), os.environ.get("DVC_STAGE")
    if path and stage:
        line: dict[str, Any] = {"stage": stage.rpartition(":")[2], "event": event, "error": error}
        if event == "damaged":
            line["damaged"] = damaged
        if event == "trained":
            line["cells"] = cells
        if event == "done":
            line["seconds"] = seconds
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def failure(path: Path) -> Failure | None:
    """Return the stage that started last and was not done; None if no stage did that."""
    found: dict[str, Failure] = {}
    for line in _lines(path):
        if line["event"] == "done":
            found.pop(line["stage"], None)
        elif line["event"] != "trained":
            found[line["stage"]] = Failure(
                line["stage"], line["error"], line["event"] == "refused", line.get("damaged", "")
            )
    return list(found.values())[-1] if found else None


def ran(path: Path) -> list[Ran]:
    """Return the stages that ran, in their order, also the one that failed."""
    found: dict[str, Ran] = {}
    for line in _lines(path):
        one = found.setdefault(line["stage"], Ran(line["stage"]))
        if line["event"] == "trained":
            one.trained += line["cells"]
        elif line["event"] == "done":
            one.seconds = (one.seconds or 0.0) + line.get("seconds", 0.0)
    return list(found.values())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        with suppress(ValueError):  # cut short by a kill or a full disk
            yield json.loads(text)
