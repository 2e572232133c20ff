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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import Generic, TypeVar

import torch
from torch import Tensor

from benchmarks import machine

from .architectures import Architecture, architectures
from .sizes import ACTIVE, FEW_ACTIVE, WORKLOADS, Workload

SIZES = {**WORKLOADS, **FEW_ACTIVE}


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that every trainer's program takes."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--workload", choices=list(SIZES), default="d64-n128")
    found.add_argument("--steps", type=int, required=True, help="timed steps of all SAEs")
    found.add_argument("--warmup", type=int, required=True, help="untimed steps before them")
    found.add_argument("--threads", type=int, required=True)
    found.add_argument("--device", default="cpu")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument(
        "--architecture",
        action="append",
        metavar="NAME",
        help="one of `architectures`, instead of the comparison's ReLU; may be given more than once",
    )
    return found


class Clock:
    """Takes the time when the warm-up is over and when all steps are done."""

    def __init__(self, warmup: int, steps: int, device: torch.device) -> None:
        self._edges: dict[int, machine.Moment | None] = {warmup: None, warmup + steps: None}
        self._device = device

    def tick(self, done: int) -> None:
        """Say that so many steps are done."""
        if done in self._edges and self._edges[done] is None:
            synchronise(self._device)
            self._edges[done] = machine.now()

    @property
    def stopped(self) -> bool:
        """Whether all steps are done."""
        return None not in self._edges.values()

    @property
    def span(self) -> machine.Span:
        """How long the timed steps took."""
        first, last = self._edges.values()
        assert first is not None
        assert last is not None
        return machine.between(first, last)


def synchronise(device: torch.device) -> None:
    """Wait for a GPU to finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Pool:
    """Ground truth, batches held in the device's memory, and a held-out batch."""

    def __init__(self, workload: Workload, seed: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(1_000_003 + seed)
        truth_GD = torch.randn(workload.features, workload.dim, generator=generator)
        truth_GD /= truth_GD.norm(dim=1, keepdim=True)

        def sample(size: int) -> Tensor:
            uniform_BG = torch.rand(size, workload.features, generator=generator)
            normal_BG = torch.randn(size, workload.features, generator=generator)
            codes_BG = (1 + 0.25 * normal_BG).relu() * (uniform_BG < ACTIVE / workload.features)
            x_BD: Tensor = codes_BG @ truth_GD
            return x_BD

        batches_TBD = torch.stack([sample(workload.batch) for _ in range(workload.pool_batches)])
        # Equal in every trainer's output. Not through NumPy, which the peers' environments need not have.
        data = ctypes.string_at(batches_TBD.data_ptr(), batches_TBD.nbytes)
        self.sha256 = hashlib.sha256(data).hexdigest()[:12]
        self.held_out_BD = sample(4096).to(device)
        self.truth_GD, self.batches_TBD = truth_GD.to(device), batches_TBD.to(device)

    def batch(self, t: int) -> Tensor:
        """Batch t, [B, D]."""
        batch_BD: Tensor = self.batches_TBD[t % len(self.batches_TBD)]
        return batch_BD


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


def job(args: argparse.Namespace) -> Job:
    """What `parser`'s arguments ask for."""
    return Job(SIZES[args.workload], args.warmup, args.steps, args.threads, args.device, args.seed)


def jobs(args: argparse.Namespace) -> Iterator[Job]:
    """What they ask for of a program that knows architectures: one training for each that is named."""
    for name in args.architecture or [None]:
        made = job(args)
        made.architecture = name
        yield made


@lru_cache(maxsize=1)
def _pool(sizes: Workload, seed: int, device: torch.device) -> Pool:
    return Pool(sizes, seed, device)


class Job:
    """What a trainer is asked to do; also sets torch's threads and seed."""

    def __init__(
        self, sizes: Workload, warmup: int, steps: int, threads: int, device: str, seed: int
    ) -> None:
        os.environ["WANDB_MODE"] = "disabled"
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.sizes, self.timed, self.seed = sizes, steps, seed
        self.device = torch.device(device)
        self.steps = warmup + steps
        """Steps of every SAE, the untimed ones included."""
        self.architecture: str | None = None
        """What is trained, by its name in `architectures`; None for the comparison's ReLU."""
        self._clocks: list[Clock] = []
        self._warmup = warmup
        self.start_clock()

    @property
    def clock(self) -> Clock:
        """What the trainer tells of its steps."""
        return self._clocks[-1]

    def start_clock(self) -> None:
        """Begin the steps anew, for a trainer that trains some SAEs after the others; times add up."""
        self._clocks = [clock for clock in self._clocks if clock.stopped]
        self._clocks.append(Clock(self._warmup, self.timed, self.device))

    @property
    def span(self) -> machine.Span:
        """How long the timed steps took."""
        spans = [clock.span for clock in self._clocks]
        return machine.Span(sum(span.seconds for span in spans), max(span.others for span in spans))

    @cached_property
    def pool(self) -> Pool:
        """The batches; a process that does several jobs makes them once."""
        return _pool(self.sizes, self.seed, self.device)

    @property
    def recipe(self) -> Architecture:
        """The architecture in everybody's words."""
        return architectures(self.sizes, self.steps)[self.architecture or "relu"]

    def batches(self, wrap: Callable[[Tensor], Item]) -> TickingBatches[Item]:
        """The pool's batches without end, for trainers that own their loop."""
        return TickingBatches(self.pool, self.clock, wrap)

    def finish(
        self,
        trained: Sequence[Trained],
        package: str,
        truth_GD: Tensor | None = None,
        held_out_BD: Tensor | None = None,
    ) -> None:
        """Stop the clock and print the result; truth and held-out batch are the pool's unless given."""
        self.clock.tick(self.steps)
        made = truth_GD is not None
        truth_GD = self.pool.truth_GD if truth_GD is None else truth_GD
        held_out_BD = self.pool.held_out_BD if held_out_BD is None else held_out_BD
        with torch.no_grad():
            scores = [
                _score(sae, alpha, truth_GD, held_out_BD)
                for sae, alpha in zip(trained, self.sizes.coefficients, strict=True)
            ]
        self.emit(
            seconds=self.span.seconds,
            others=self.span.others,
            loss=sum(loss for loss, _ in scores) / len(scores),
            mmcs_best=max(mmcs for _, mmcs in scores),
            mmcs_mean=sum(mmcs for _, mmcs in scores) / len(scores),
            finite=all(math.isfinite(loss) for loss, _ in scores),
            data_sha256="made in the loop" if made else self.pool.sha256,
            package=package,
        )

    def finish_speed(self, weights: Iterable[Tensor], dead: Sequence[float], package: str) -> None:
        """Stop the clock and print how fast it was, for an architecture that `finish` cannot score.

        `dead` are the shares of latents that the SAEs count as dead, none where nobody counts.
        """
        self.clock.tick(self.steps)
        self.emit(
            seconds=self.span.seconds,
            others=self.span.others,
            dead=sum(dead) / len(dead) if dead else None,
            finite=all(bool(tensor.isfinite().all()) for tensor in weights),
            data_sha256=self.pool.sha256,
            package=package,
        )

    def emit(self, **fields: object) -> None:
        """Print one line of JSON: `fields`, and what every program says of itself."""
        row = {
            "steps": self.timed,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            **memory(self.device),
            **fields,
        }
        print(json.dumps(row), flush=True)


def memory(device: torch.device) -> dict[str, int | str | None]:
    """The most memory that this process has used, on the host and on the device; the device's name."""
    gpu = device.type == "cuda"
    return {
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "device_memory_bytes": torch.cuda.max_memory_allocated(device) if gpu else None,
        "device_name": torch.cuda.get_device_name(device) if gpu else machine.processor(),
    }


def installed(distribution: str) -> str:
    """Name and version of an installed package."""
    return f"{distribution} {version(distribution)}"


def _score(sae: Trained, alpha: float, truth_GD: Tensor, x_BD: Tensor) -> tuple[float, float]:
    """Held-out loss, with codes weighted by the dictionary's norms, and MMCS with the truth."""
    codes_BL = ((x_BD - sae.decoder_bias_D) @ sae.encoder_LD.T + sae.bias_L).relu()
    error_BD = codes_BL @ sae.decoder_LD + sae.decoder_bias_D - x_BD
    norm_L = sae.decoder_LD.norm(dim=1)
    l1 = (codes_BL * norm_L).sum(dim=1).mean()
    cosines_GL = truth_GD @ (sae.decoder_LD / norm_L.clamp_min(1e-12).unsqueeze(1)).T
    loss = error_BD.square().sum(dim=1).mean() + alpha * l1
    return loss.item(), cosines_GL.max(dim=1).values.mean().item()
