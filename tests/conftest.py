"""Fixtures that several rooms' tests share."""

import os
import sys
from pathlib import Path

# As `saespec stage` does, and before anything imports torch: tests often share the machine.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# DVC's stages call `saespec`, which need not be on the path of `.venv/bin/pytest`.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

from cli_sample import cli, project

__all__ = ["cli", "project"]
