"""dictionary_learning's trainSAE with eight of its trainers: one shared batch, then a loop over them.

Adapted from `bench_dictionary_learning.py` of the project's shared peer benchmarks; runs in an environment of
its own. nnsight and wandb are imported by the package but not used when training on tensors: empty
modules stand in for them where they are not installed. Its trainers count latents as dead after 10 million samples,
without an option for another number: `_kept` sets the attribute.

--autocast  its `autocast_dtype=torch.bfloat16`, which takes effect on CUDA only
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import sys
import tempfile
import types
from typing import Any

import torch

from . import workload as w
from .sizes import LR

PLAIN = {"warmup_steps": 0, "sparsity_warmup_steps": None, "resample_steps": None, "decay_start": None}
"""No schedules, where a trainer has any."""


def _stand_in(name: str, **attributes: object) -> None:
    if importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        module.__dict__.update(attributes)
        sys.modules[name] = module


def main() -> None:
    """Train, and print the results."""
    parser = w.parser(__doc__)
    parser.add_argument("--autocast", action="store_true")
    args = parser.parse_args()
    _stand_in("nnsight", LanguageModel=type("LanguageModel", (), {}))
    _stand_in("wandb")
    for job in w.jobs(args):
        trainers = _train(job, args)
        package = w.installed("dictionary-learning")
        if job.architecture:
            limit = _limit(job)
            dead = [float((t.num_tokens_since_fired >= limit).float().mean()) for t in trainers if limit]
            job.finish_speed((p for t in trainers for p in t.ae.parameters()), dead, package)
        else:
            states = [t.ae.state_dict() for t in trainers]
            job.finish([_standard(state) for state in states], package)


def _standard(s: dict[str, torch.Tensor]) -> w.Trained:
    return w.Trained(s["encoder.weight"], s["encoder.bias"], s["decoder.weight"].T, s["bias"])


def _limit(job: w.Job) -> int | None:
    """Samples after which a latent counts as dead, where that is not as shipped."""
    window = job.recipe.window
    return None if window is None else window * job.sizes.batch


def _kept(trainer: type[Any], limit: int | None, made: list[Any]) -> type[Any]:
    """The trainer's class, with a list of what is made of it."""

    class Kept(trainer):  # type: ignore[misc]
        def __init__(self, **options: object) -> None:
            super().__init__(**options)
            if limit is not None:
                self.dead_feature_threshold = limit
            made.append(self)

    return Kept


def _train(job: w.Job, args: argparse.Namespace) -> list[Any]:
    """The trainers, each with its SAE in `ae`, the clock stopped."""
    from dictionary_learning.training import trainSAE  # type: ignore[import-not-found]

    peer = job.recipe.dictionary_learning
    assert peer is not None, f"dictionary_learning has no {job.architecture}"
    module, name = peer.name.split(".")
    trainer = getattr(importlib.import_module(f"dictionary_learning.trainers.{module}"), name)
    taken = inspect.signature(trainer.__init__).parameters
    made: list[Any] = []
    configs = [
        {
            "trainer": _kept(trainer, _limit(job), made),
            "steps": job.steps,
            "activation_dim": job.sizes.dim,
            "dict_size": job.sizes.latents,
            "layer": 0,
            "lm_name": "toy",
            "lr": LR,
            **{option: value for option, value in PLAIN.items() if option in taken},
            **peer.options,
            **({peer.coefficient: alpha} if peer.coefficient else {}),
            "seed": job.seed * 1000 + n,
            "device": str(job.device),
            "wandb_name": f"sae_{n}",
        }
        for n, alpha in enumerate(job.sizes.coefficients)
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainSAE(
            data=job.batches(lambda x_BD: x_BD),
            trainer_configs=configs,
            steps=job.steps,
            use_wandb=False,
            save_dir=folder,
            device=str(job.device),
            autocast_dtype=torch.bfloat16 if args.autocast else torch.float32,
        )
        job.clock.tick(job.steps)
    return made


if __name__ == "__main__":
    main()
