"""The parts of all data: what training sees, and what it never does."""

from __future__ import annotations

from typing import Final

TRAIN: Final = "train"
HELD_OUT: Final = "held-out"
