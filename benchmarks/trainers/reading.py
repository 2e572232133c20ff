"""The trainer on shuffled batches from an activation store, and on the same vectors in memory.

The store holds random vectors, ten times as many as shuffled reading keeps in memory. One line of JSON for each
of `--rounds` trainings of both kinds, in random order.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import saespec_stack  # before torch

# isort: split
import torch
from torch import Tensor

from benchmarks import machine
from saespec.data.activations import shuffled, store
from saespec.data.parts import TRAIN
from saespec.data.source import source
from saespec.plan.inputs import extraction_folder, site_key
from saespec.plan.project import store_folder
from saespec.spec.transformer import TransformerData

from . import workload as w
from .sizes import Workload

SIZES = Workload(dim=128, features=256, latents=512, steps=1000)
TIMES = 10
"""Vectors of the store, as a multiple of those that reading keeps in memory."""
KINDS = ("store", "memory")


def write_store(data: TransformerData, root: Path, rows: int) -> None:
    """Write `rows` random vectors as a site of a store, and as many held-out ones as a batch has."""
    folder = extraction_folder(store_folder(root), data) / site_key(data.site)
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    shards: dict[str, list[store.Shard]] = {}
    for part, count in (("train", rows), ("held-out", SIZES.batch)):
        size = store.shard_rows(data.dim, data.dtype)
        for number, start in enumerate(range(0, count, size)):
            path = store.shard_path(folder, part, number)
            shape = (min(size, count - start), data.dim)
            store.write_shard(path, torch.randn(shape, generator=generator).to(store.DTYPES[data.dtype]))
            record = store.read_shard_record(path)
            assert record is not None
            shards.setdefault(part, []).append(record)
    store.write_manifest(folder, store.Manifest(site_key(data.site), data.dtype, data.dim, "", "", shards))


def measure(
    root: Path, rows: int, rounds: int, steps: int, threads: int, device: str
) -> Iterator[dict[str, Any]]:
    """Train on both kinds of batches in each round; the store has `rows` vectors."""
    section = {
        "kind": "transformer",
        "model": {"kind": "pretrained", "name": "./model"},
        "corpus": {"kind": "files", "paths": ["text.txt"]},
        "site": {"layer": 0, "place": "mlp_out"},
        "dim": SIZES.dim,
        "tokens": rows,
        "held_out_tokens": SIZES.batch,
        "context": 2,
    }
    data = TransformerData.model_validate(section)
    write_store(data, root, rows)
    read = source(data, 0, torch.device(device))
    pool_TBD = torch.stack([read.batch(TRAIN, t, SIZES.batch) for t in range(SIZES.pool_batches)])

    def held(t: int) -> Tensor:
        batch_BD: Tensor = pool_TBD[t % len(pool_TBD)]
        return batch_BD

    for number in range(rounds):
        for kind in random.Random(number).sample(KINDS, len(KINDS)):
            job = w.Job(
                SIZES, warmup=max(1, steps // 10), steps=steps, threads=threads, device=device, seed=0
            )
            machine.forget_peak()
            before = machine.memory_now(peak=False)
            saespec_stack.train(job, held if kind == "memory" else None, section, {"train.curve_points": 1})
            memory = machine.memory_now(peak=True) - before
            yield {
                "batches": kind,
                "rows": rows,
                "round": number,
                "steps": steps,
                "seconds": job.span.seconds,
                "steps_per_second": SIZES.cells * steps / job.span.seconds,
                "vectors_per_second": SIZES.batch * steps / job.span.seconds,
                "others": job.span.others,
                "memory_bytes": None if memory != memory else round(memory),
                "device_name": w.memory(job.device)["device_name"],
            }
        read = source(data, number, torch.device(device))
        batches, start = min(steps, rows // SIZES.batch), machine.now()
        for t in range(batches):
            read.batch(TRAIN, t, SIZES.batch)
        span = machine.between(start, machine.now())
        yield {
            "batches": "store, reading alone",
            "rows": rows,
            "round": number,
            "steps": batches,
            "seconds": span.seconds,
            "steps_per_second": None,
            "vectors_per_second": SIZES.batch * batches / span.seconds,
            "others": span.others,
            "memory_bytes": None,
            "device_name": w.memory(torch.device(device))["device_name"],
        }


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    window = min(shuffled.WINDOW_ROWS, shuffled.WINDOW_BYTES // (2 * SIZES.dim))
    parser.add_argument("--rows", type=int, default=TIMES * window)
    for name in ("rounds", "steps", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for row in measure(Path(folder), args.rows, args.rounds, args.steps, args.threads, args.device):
            print(json.dumps(row), flush=True)
        os.chdir("/")


if __name__ == "__main__":
    main()
