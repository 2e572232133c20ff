"""dictionary_learning's trainSAE with eight StandardTrainers: one shared batch, then a loop over them.

Adapted from `bench_dictionary_learning.py` of the project's shared peer benchmarks; runs in an environment of
its own. nnsight and wandb are imported by the package but not used when training on tensors: empty
modules stand in for them where they are not installed.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import types
from pathlib import Path

import torch

from . import workload as w
from .sizes import CELLS, COEFFICIENTS, LR, WORKLOADS


def _stand_in(name: str, **attributes: object) -> None:
    if importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        module.__dict__.update(attributes)
        sys.modules[name] = module


def main() -> None:
    """Train, and print the result."""
    args = w.arguments(__doc__)
    _stand_in("nnsight", LanguageModel=type("LanguageModel", (), {}))
    _stand_in("wandb")
    from dictionary_learning.dictionary import AutoEncoder  # type: ignore[import-not-found]
    from dictionary_learning.trainers.standard import StandardTrainer  # type: ignore[import-not-found]
    from dictionary_learning.training import trainSAE  # type: ignore[import-not-found]

    sizes = WORKLOADS[args.workload]
    pool = w.Pool(sizes, args.seed)
    total = args.warmup + args.steps
    configs = [
        {
            "trainer": StandardTrainer,
            "dict_class": AutoEncoder,
            "steps": total,
            "activation_dim": sizes.dim,
            "dict_size": sizes.latents,
            "layer": 0,
            "lm_name": "toy",
            "lr": LR,
            "l1_penalty": alpha,
            "warmup_steps": 0,
            "sparsity_warmup_steps": None,
            "resample_steps": None,
            "decay_start": None,
            "seed": args.seed * 1000 + n,
            "device": "cpu",
            "wandb_name": f"l1_{n}",
        }
        for n, alpha in enumerate(COEFFICIENTS)
    ]
    clock = w.Clock(args.warmup, args.steps)
    with tempfile.TemporaryDirectory() as folder:
        trainSAE(
            data=w.TickingBatches(pool, clock, lambda x_BD: x_BD),
            trainer_configs=configs,
            steps=total,
            use_wandb=False,
            save_dir=folder,
            device="cpu",
            autocast_dtype=torch.float32,
        )
        clock.tick(total)
        states = [torch.load(Path(folder, f"trainer_{n}", "ae.pt")) for n in range(CELLS)]
    trained = [
        w.Trained(s["encoder.weight"], s["encoder.bias"], s["decoder.weight"].T, s["bias"]) for s in states
    ]
    w.finish(
        args,
        clock,
        trained,
        pool.truth_GD,
        pool.held_out_BD,
        data=pool.sha256,
        package=w.installed("dictionary-learning"),
    )


if __name__ == "__main__":
    main()
