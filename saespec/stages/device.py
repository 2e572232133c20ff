"""Which device a stage computes on. Never part of a command, so that DVC's files are alike everywhere."""

from __future__ import annotations

import os

import torch

from saespec.errors import CallError

VARIABLE = "SAESPEC_DEVICE"


def device() -> torch.device:
    """The device that `--device` asked for: `auto` takes a GPU if there is one, else the CPU."""
    wanted = os.environ.get(VARIABLE, "auto")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(wanted)
    except RuntimeError:
        raise CallError(f"--device {wanted}: use auto, cpu, cuda or cuda:N") from None
    if chosen.type not in ("cpu", "cuda"):
        raise CallError(f"--device {wanted}: saespec computes on cpu and cuda only")
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise CallError(f"--device {wanted}: torch sees no CUDA device here; use --device cpu")
        # Promise 1 on a GPU: deterministic kernels, plain float32.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cuda.matmul.allow_tf32 = False
    return chosen
