from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli_sample import Cli

from saespec.errors import CallError
from saespec.stages.device import VARIABLE, chosen

GPUS = torch.cuda.device_count()


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_cuda_is_every_gpu_and_a_number_is_one(two_gpus: None) -> None:
    assert [str(one) for one in chosen("cuda")] == ["cuda:0", "cuda:1"]
    assert [str(one) for one in chosen("auto")] == ["cuda:0", "cuda:1"]
    assert [str(one) for one in chosen("cuda:1")] == ["cuda:1"]
    assert [str(one) for one in chosen("cpu")] == ["cpu"]


@pytest.mark.parametrize("number", [2, 7, 256, 999])
def test_a_gpu_that_is_not_there_is_refused(two_gpus: None, number: int) -> None:
    """torch itself takes cuda:256 for cuda:0."""
    with pytest.raises(CallError, match=rf"--device cuda:{number}: .* only cuda:0, cuda:1"):
        chosen(f"cuda:{number}")


def test_without_a_gpu(no_gpu: None) -> None:
    assert [str(one) for one in chosen("auto")] == ["cpu"]
    for wanted in ("cuda", "cuda:0"):
        with pytest.raises(CallError, match=f"--device {wanted}: torch sees no CUDA device here"):
            chosen(wanted)


@pytest.mark.parametrize("wanted", ["tpu", "", "cuda:-1", "cuda:x", "meta"])
def test_another_word_is_refused(wanted: str) -> None:
    with pytest.raises(CallError, match=r"use auto, cpu, cuda or cuda:N|cpu and cuda only"):
        chosen(wanted)


@pytest.mark.skipif(not GPUS, reason="no CUDA device")
def test_the_gpus_of_this_machine() -> None:
    assert len(chosen("cuda")) == GPUS
    with pytest.raises(CallError, match="no such device"):
        chosen(f"cuda:{GPUS}")


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_run_says_at_once_that_the_device_is_not_there(
    cli: Cli, project: Path, no_gpu: None, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "variable":
        monkeypatch.setenv(VARIABLE, "cuda:7")
    said = cli("run", *(["--device", "cuda:7"] if way == "option" else []))
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: --device cuda:7: torch sees no CUDA device here; use --device cpu\n"
    assert not (project / "results").exists()
    assert not (project / ".dvc").exists()
    assert cli("run", "--device", "cuda", "--json").json["error"]["kind"] == "call"


def test_a_device_that_is_named_stands_before_the_variable(
    cli: Cli, project: Path, no_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from saespec.cli.commands import run

    asked: list[str | None] = []
    monkeypatch.setenv(VARIABLE, "cuda")
    monkeypatch.setattr(run, "_run", lambda target, device, *_: asked.append(device))
    assert cli("run", "--device", "cpu").code == 0
    assert asked == ["cpu"]


def test_only_a_named_device_needs_torch(project: Path) -> None:
    code = f"""
import sys
from saespec.cli import main
from saespec.cli.commands import run
run._run = lambda *_: None
main({["run", "-q"]!r})
main({["run", "-q", "--device", "cpu"]!r})
print("torch" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True)
    assert told.stdout.splitlines()[-1] == "False", told.stderr
