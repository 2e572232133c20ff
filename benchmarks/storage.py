"""The trainer on shuffled batches from an activation store, beside the same vectors in memory."""

from __future__ import annotations

from typing import Any

from saespec.spec.columns import Column

from . import machine

COLUMNS = (
    Column("batches", "string", "name", "store, memory, or the store read without training."),
    Column("rows", "int64", "vectors", "Vectors in the store."),
    Column("device", "string", "kind", "cpu or cuda."),
    Column("device_name", "string", "name", "The device's name."),
    Column("threads", "int64", "threads", "Threads that torch might use."),
    Column("round", "int64", "index", "The round, from 0."),
    Column("steps", "int64", "steps", "Timed steps, or batches that were read."),
    Column("seconds", "float64", "s", "Time of these steps."),
    Column("steps_per_second", "float64", "SAE-steps/s", "Steps a second, summed over 8 SAEs; NULL if none train."),
    Column("vectors_per_second", "float64", "vectors/s", "Vectors that were read, or trained on, a second."),
    Column("memory_bytes", "int64", "bytes", "Peak memory of the process, above that before; NULL if none train."),
)  # fmt: skip


def measure(rounds: int, threads: int, device: str, steps: int, rows: int | None) -> list[dict[str, Any]]:
    """Measure all kinds of batches, in a process of their own."""
    arguments = [f"--rounds={rounds}", f"--steps={steps}", f"--device={device}"]
    found = machine.lines("reading", [*arguments, *([f"--rows={rows}"] if rows else [])], threads)
    return [{"device": device.split(":")[0], "threads": threads, **row} for row in found]
