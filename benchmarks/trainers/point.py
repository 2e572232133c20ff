"""One point of the scaling benchmark: saespec's trainer, and the products alone of the same shapes beside it.

Runs in a fresh fork of a process that has imported this module (see `benchmarks.scaling`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from benchmarks import machine

from . import saespec_stack
from . import workload as w
from .products import ESTIMATE, step_seconds
from .sizes import Workload

SPAN = 0.4
"""Seconds to spend on the timed steps, by the estimate of `products`."""
OVERHEAD = 2e-4
"""Seconds of a step that are not products, roughly."""


def measure(
    sizes: Workload, threads: int, device: str, seed: int, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Rates and memory at these sizes, and the products alone."""
    row = trained(sizes, saespec_stack.toy(sizes), threads, device, seed, fields)
    products = step_seconds(sizes, _dtype(fields), torch.device(device), rounds=3)
    return {
        **row,
        "flop_rate": row["steps_per_second"] * sizes.flops,
        "product_rate": sizes.cells * sizes.flops / products,
        "peak_share": products * row["steps_per_second"] / sizes.cells,
    }


def trained(
    sizes: Workload, data: Mapping[str, Any], threads: int, device: str, seed: int, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Rate and memory of training alone."""
    kind = torch.device(device).type
    steps = SPAN / (sizes.cells * sizes.flops / ESTIMATE[kind] + OVERHEAD)
    job = w.Job(sizes, warmup=3, steps=max(4, round(steps)), threads=threads, device=device, seed=seed)
    assert job.pool is not None  # made now: its memory is not the trainer's
    machine.forget_peak()
    before = machine.memory_now(peak=False)
    saespec_stack.train(job, job.pool.batch, data, fields)
    memory = machine.memory_now(peak=True) - before
    used = w.memory(job.device)
    span = job.span
    return {
        "steps": job.timed,
        "seconds": span.seconds,
        "others": span.others,
        "steps_per_second": sizes.cells * job.timed / span.seconds,
        "memory_bytes": None if memory != memory else round(memory),
        "device_memory_bytes": used["device_memory_bytes"],
        "device_name": used["device_name"],
    }


def _dtype(fields: Mapping[str, Any]) -> torch.dtype:
    found = getattr(torch, fields.get("train.precision", "float32"))
    assert isinstance(found, torch.dtype), json.dumps(dict(fields))
    return found
