"""How a stage command tells the engine which stage it is and how it ended.

The engine names a file in `SAESPEC_EVENTS`; `saespec stage …` appends a line when it starts, is done or
fails. DVC reports failures in prose only, and a stage that was killed cannot report at all: it is the one
that started and never ended.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

VARIABLE = "SAESPEC_EVENTS"

Event = Literal["start", "done", "failed", "refused", "damaged"]
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


def record(event: Event, error: str = "", damaged: str = "") -> None:
    """Append an event of the running stage (named by DVC in `DVC_STAGE`); nothing outside an engine's run."""
    path, stage = os.environ.get(VARIABLE), os.environ.get("DVC_STAGE")
    if path and stage:
        line = {"stage": stage.rpartition(":")[2], "event": event, "error": error, "damaged": damaged}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def failure(path: Path) -> Failure | None:
    """Return the stage that started last and was not done; None if no stage did that."""
    found: dict[str, Failure] = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        line = json.loads(text)
        if line["event"] == "done":
            found.pop(line["stage"], None)
        else:
            found[line["stage"]] = Failure(
                line["stage"], line["error"], line["event"] == "refused", line.get("damaged", "")
            )
    return list(found.values())[-1] if found else None
