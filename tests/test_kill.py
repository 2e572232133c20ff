"""Promise 4: killed at any moment, the same command continues, and the result is the same to the bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from cli_sample import SPEC

KILLS = int(os.environ.get("SAESPEC_KILLS", "6"))
"""CI asks for more."""

TWO_GROUPS = SPEC.replace(
    "    loss.sparsity.coefficient:", "    sae.latents: [12, 24]\n    loss.sparsity.coefficient:"
)


def project(folder: Path) -> Path:
    (folder / "specs").mkdir(parents=True)
    spec = TWO_GROUPS.replace("steps: 50", "steps: 3000").replace("batch: 32", "batch: 128")
    (folder / "specs" / "tiny.yaml").write_text(spec)
    return folder


def start(folder: Path) -> subprocess.Popen[bytes]:
    # Snapshots every fifth of a second instead of every ten: the kills then hit writing as often as computing.
    environment = {**os.environ, "SAESPEC_SNAPSHOT_SECONDS": "0.2"}
    with (folder / "output").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "saespec", "run", "specs/tiny.yaml", "--device", "cpu"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finish(folder: Path) -> None:
    assert start(folder).wait(timeout=300) == 0, (folder / "output").read_text()


def results(folder: Path) -> dict[str, bytes]:
    made = folder / "results" / "tiny"
    files = [made / "claims.json", *made.glob("tables/*"), *made.glob("figures/*"), *made.glob("cells/*/*")]
    return {str(path.relative_to(made)): path.read_bytes() for path in files}


def test_killed_at_random_moments_and_continued_it_gives_the_same_bytes(tmp_path: Path) -> None:
    undisturbed = project(tmp_path / "undisturbed")
    began = time.perf_counter()
    finish(undisturbed)
    usual = time.perf_counter() - began
    expected = results(undisturbed)
    assert len(expected) == 1 + 3 + 3 + 4

    killed = project(tmp_path / "killed")
    moments = random.Random(0)
    for kill in range(KILLS):
        process = start(killed)
        try:
            process.wait(timeout=moments.uniform(0.1, 0.8) * usual)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        else:  # it came to its end: begin again
            assert results(killed) == expected
            killed = project(tmp_path / f"killed{kill}")
    finish(killed)
    assert results(killed) == expected
    assert not list(killed.rglob("*.tmp")), "a killed run's temporary files are cleared"
