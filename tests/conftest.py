"""Fixtures that several rooms' tests share."""

import os
import sys
from pathlib import Path

from saespec.stages.threads import wait_briefly

wait_briefly()  # as `saespec stage` does: tests often share the machine

# DVC's stages call `saespec`, which need not be on the path of `.venv/bin/pytest`.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

from cli_sample import cli, project  # noqa: E402

__all__ = ["cli", "project"]
