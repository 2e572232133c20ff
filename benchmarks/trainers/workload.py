"""What every trainer trains, the clock that times it, and the score at the end.

Adapted from the project's shared peer benchmarks (`bench_common.py`). Eight SAEs, eight L1 coefficients:

    data   x = a F: unit directions F; each feature is active with probability 8/G, with magnitude
           relu(1 + 0.25 N(0, 1)). Made before the clock starts, the same bits for every trainer.
    loss   mean over the batch of ‖x̂ − x‖² + α‖c‖₁
    Adam   lr 1e-3, betas 0.9 and 0.999

Legend: T batches, B samples, G features, D dimensions, L latents. float32.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import math
import os
import platform
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Generic, TypeVar

import torch
from torch import Tensor

from benchmarks import machine

from .sizes import ACTIVE, BATCH, COEFFICIENTS, POOL, WORKLOADS, Workload


def arguments(description: str | None) -> argparse.Namespace:
    """The arguments of a trainer's program; also sets torch's threads and seed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--workload", choices=list(WORKLOADS), default="d64-n128")
    parser.add_argument("--steps", type=int, required=True, help="timed steps of all SAEs")
    parser.add_argument("--warmup", type=int, required=True, help="untimed steps before them")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", choices=("pool", "generated"), default="pool")
    found = parser.parse_args()
    os.environ["WANDB_MODE"] = "disabled"
    torch.set_num_threads(found.threads)
    torch.manual_seed(found.seed)
    return found


class Clock:
    """Takes the time when the warm-up is over and when all steps are done."""

    def __init__(self, warmup: int, steps: int) -> None:
        self._edges: dict[int, machine.Moment | None] = {warmup: None, warmup + steps: None}

    def tick(self, done: int) -> None:
        """Say that so many steps are done."""
        if done in self._edges and self._edges[done] is None:
            self._edges[done] = machine.now()

    @property
    def span(self) -> machine.Span:
        """How long the timed steps took."""
        first, last = self._edges.values()
        assert first is not None
        assert last is not None
        return machine.between(first, last)


class Pool:
    """Ground truth, batches held in memory, and a held-out batch."""

    def __init__(self, workload: Workload, seed: int) -> None:
        generator = torch.Generator().manual_seed(1_000_003 + seed)
        truth_GD = torch.randn(workload.features, workload.dim, generator=generator)
        self.truth_GD = truth_GD / truth_GD.norm(dim=1, keepdim=True)

        def sample(size: int) -> Tensor:
            uniform_BG = torch.rand(size, workload.features, generator=generator)
            normal_BG = torch.randn(size, workload.features, generator=generator)
            codes_BG = (1 + 0.25 * normal_BG).relu() * (uniform_BG < ACTIVE / workload.features)
            x_BD: Tensor = codes_BG @ self.truth_GD
            return x_BD

        self.batches_TBD = torch.stack([sample(BATCH) for _ in range(POOL)])
        self.held_out_BD = sample(4096)

    def batch(self, t: int) -> Tensor:
        """Batch t, [B, D]."""
        batch_BD: Tensor = self.batches_TBD[t % POOL]
        return batch_BD

    @property
    def sha256(self) -> str:
        """Hash of all batches: equal in every trainer's output."""
        # Not through NumPy, which the peers' environments need not have.
        data = ctypes.string_at(self.batches_TBD.data_ptr(), self.batches_TBD.nbytes)
        return hashlib.sha256(data).hexdigest()[:12]


Item = TypeVar("Item")


class TickingBatches(Iterator[Item], Generic[Item]):
    """Batches without end, for trainers that own their loop: asking for batch t says that t steps are done."""

    def __init__(self, pool: Pool, clock: Clock, wrap: Callable[[Tensor], Item]) -> None:
        self._pool, self._clock, self._wrap, self._t = pool, clock, wrap, 0

    def __next__(self) -> Item:
        self._clock.tick(self._t)
        self._t += 1
        return self._wrap(self._pool.batch(self._t - 1))


@dataclass(frozen=True)
class Trained:
    """One trained SAE: c = relu((x − b_dec) Eᵀ + b), x̂ = c D + b_dec."""

    encoder_LD: Tensor
    bias_L: Tensor
    decoder_LD: Tensor
    decoder_bias_D: Tensor | float = 0.0


def finish(
    args: argparse.Namespace,
    clock: Clock,
    trained: Sequence[Trained],
    truth_GD: Tensor,
    held_out_BD: Tensor,
    *,
    data: str,
    package: str,
) -> None:
    """Print the result of a trainer's program."""
    with torch.no_grad():
        scores = [
            _score(sae, alpha, truth_GD, held_out_BD)
            for sae, alpha in zip(trained, COEFFICIENTS, strict=True)
        ]
    emit(
        args,
        seconds=clock.span.seconds,
        others=clock.span.others,
        loss=sum(loss for loss, _ in scores) / len(scores),
        mmcs_best=max(mmcs for _, mmcs in scores),
        finite=all(math.isfinite(loss) for loss, _ in scores),
        data_sha256=data,
        package=package,
    )


def installed(distribution: str) -> str:
    """Name and version of an installed package."""
    return f"{distribution} {version(distribution)}"


def emit(args: argparse.Namespace, **fields: object) -> None:
    """Print one line of JSON: `fields`, and what every program says of itself."""
    row = {
        "steps": args.steps,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **fields,
    }
    print(json.dumps(row), flush=True)


def _score(sae: Trained, alpha: float, truth_GD: Tensor, x_BD: Tensor) -> tuple[float, float]:
    """Held-out loss, with codes weighted by the dictionary's norms, and MMCS with the truth."""
    codes_BL = ((x_BD - sae.decoder_bias_D) @ sae.encoder_LD.T + sae.bias_L).relu()
    error_BD = codes_BL @ sae.decoder_LD + sae.decoder_bias_D - x_BD
    norm_L = sae.decoder_LD.norm(dim=1)
    l1 = (codes_BL * norm_L).sum(dim=1).mean()
    cosines_GL = truth_GD @ (sae.decoder_LD / norm_L.clamp_min(1e-12).unsqueeze(1)).T
    loss = error_BD.square().sum(dim=1).mean() + alpha * l1
    return loss.item(), cosines_GL.max(dim=1).values.mean().item()
