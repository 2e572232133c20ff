"""Extraction of activations beside the bare forward pass; each size in a process of its own."""

from __future__ import annotations

from typing import Any

from saespec.spec.columns import Column

from . import machine

COLUMNS = (
    Column("width", "int64", "dimensions", "Width of the model's residual stream."),
    Column("place", "string", "name", "The place whose activations are taken."),
    Column("vectors", "int64", "vectors", "Activation vectors that were taken."),
    Column("device", "string", "kind", "cpu or cuda."),
    Column("device_name", "string", "name", "The device's name."),
    Column("threads", "int64", "threads", "Threads that torch might use."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("tokens_per_second", "float64", "tokens/s", "Of extraction: forward passes and the writing of shards."),
    Column("bare_tokens_per_second", "float64", "tokens/s", "Of the model alone, cut after the same block."),
    Column("share", "float64", "1", "tokens_per_second over bare_tokens_per_second."),
    Column("whole_seconds", "float64", "s", "An extraction with loading, tokenising and hashing the corpus."),
    Column("memory_bytes", "int64", "bytes", "Peak memory of the process then, above that before."),
)  # fmt: skip

SIZES = ((32, "mlp_hidden", 1), (32, "mlp_hidden", 10), (32, "resid_post", 1), (256, "resid_post", 1))
"""Width of the model, place, and the multiple of the vectors."""


def measure(rounds: int, threads: int, device: str, vectors: int) -> list[dict[str, Any]]:
    """Measure each size."""
    rows: list[dict[str, Any]] = []
    for width, place, times in SIZES:
        sizes = {"width": width, "place": place, "vectors": vectors * times}
        arguments = [f"--{name}={value}" for name, value in sizes.items()]
        found = machine.lines("extracting", [*arguments, f"--rounds={rounds}", f"--device={device}"], threads)
        rows += [{**sizes, "device": device.split(":")[0], "threads": threads, **row} for row in found]
    return rows
