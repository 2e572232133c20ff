"""Which devices a stage computes on. Never part of a command, so that DVC's files are alike everywhere."""

from __future__ import annotations

import os

import torch

from saespec.errors import CallError

VARIABLE = "SAESPEC_DEVICE"


def device() -> torch.device:
    """The first of `devices`."""
    return devices()[0]


def devices() -> list[torch.device]:
    """What `--device` asked for: `auto` takes all GPUs if there are any, else the CPU; `cuda` all GPUs.

    Raises CallError as `chosen` does.
    """
    found = chosen(os.environ.get(VARIABLE, "auto"))
    if found[0].type == "cuda":
        # Promise 1 on a GPU: deterministic kernels, plain float32, bfloat16 products summed in float32.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing reads it
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    return found


def chosen(wanted: str) -> list[torch.device]:
    """The devices that `auto`, `cpu`, `cuda` or `cuda:N` means on this machine; changes nothing in torch.

    Raises CallError for another word, and for a device that is not there.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise CallError(f"--device {wanted}: use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise CallError(f"--device {wanted}: saespec computes on cpu and cuda only")
    if device.type == "cpu":
        return [device]
    if not torch.cuda.is_available():
        raise CallError(f"--device {wanted}: torch sees no CUDA device here; use --device cpu")
    there = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    if device.index is None:
        return there
    named = [one for one in there if str(one) == wanted]  # not `device`: torch takes cuda:256 for cuda:0
    if not named:
        raise CallError(
            f"--device {wanted}: torch sees no such device here, only {', '.join(map(str, there))}"
        )
    return named
