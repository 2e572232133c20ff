"""How torch's threads wait for each other; imports nothing of weight."""

from __future__ import annotations

import os


def wait_briefly() -> None:
    """Let waiting threads spin for a short time only. Call it before torch is first imported.

    By default they spin as if the machine were theirs alone: beside two other busy processes on two cores a step
    then takes ten times longer. Of 300 and 1000, measured on an idle machine at d=64, 300 costs 23-37 %, 1000
    costs 0-9 %. A value that the caller's environment has stays.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
