"""Toy batches alone: what a step pays for its data, whatever the number of cells that share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saespec.spec.columns import Column

from . import machine

COLUMNS = (
    Column("workload", "string", "name", "Sizes: d is the dimension, n the number of latents."),
    Column("draw", "string", "name", "Activity probabilities drawn once a batch, or for every sample."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("batch", "int64", "samples", "Samples in a batch."),
    Column("dim", "int64", "dimensions", "Width of the activations."),
    Column("features", "int64", "features", "Ground-truth features."),
    Column("threads", "int64", "threads", "Threads that torch might use."),
    Column("device", "string", "kind", "cpu or cuda."),
    Column("device_name", "string", "name", "The device's name."),
    Column("batches", "int64", "batches", "Batches that were timed."),
    Column("microseconds", "float64", "µs", "Time of one batch."),
)


def measure(
    workloads: Sequence[str], rounds: int, batches: int, threads: int, device: str
) -> list[dict[str, Any]]:
    """Time batches of the workloads, drawn per batch and per sample, in turn."""
    import torch

    from saespec.data.parts import TRAIN
    from saespec.data.source import source
    from saespec.spec.toy import ToyData

    from .trainers.sizes import ACTIVE, WORKLOADS
    from .trainers.workload import memory, synchronise

    torch.set_num_threads(threads)
    chosen = torch.device(device)
    sources = {
        (workload, draw): source(
            ToyData.model_validate(
                {
                    "kind": "toy",
                    "dim": sizes.dim,
                    "features": sizes.features,
                    "active": ACTIVE,
                    "correlation": {"kind": "random", "draw": draw},
                    "decay": {"rule": "multiply", "rate": 0.99},
                }
            ),
            0,
            chosen,
        )
        for workload, sizes in WORKLOADS.items()
        if workload in workloads
        for draw in ("batch", "sample")
    }
    rows: list[dict[str, Any]] = []
    for number in range(-1, rounds):
        for (workload, draw), made in sources.items():
            load, start = machine.load(), machine.now()
            for t in range(batches):
                made.batch(TRAIN, (number + 1) * batches + t, WORKLOADS[workload].batch)
            synchronise(chosen)
            span = machine.between(start, machine.now())
            rows.append(
                {
                    "workload": workload,
                    "draw": draw,
                    "round": number,
                    "batch": WORKLOADS[workload].batch,
                    "device": chosen.type,
                    "device_name": memory(chosen)["device_name"],
                    "dim": WORKLOADS[workload].dim,
                    "features": WORKLOADS[workload].features,
                    "threads": threads,
                    "batches": batches,
                    "microseconds": span.seconds / batches * 1e6,
                    "load": load,
                    "others": span.others,
                }
            )
    return [row for row in rows if row["round"] >= 0]  # the first one warmed up
