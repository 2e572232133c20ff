"""dictionary_learning's trainSAE with eight StandardTrainers: one shared batch, then a loop over them.

Adapted from `bench_dictionary_learning.py` of the project's shared peer benchmarks; runs in an environment of
its own. nnsight and wandb are imported by the package but not used when training on tensors: empty
modules stand in for them where they are not installed.

--autocast  its `autocast_dtype=torch.bfloat16`, which takes effect on CUDA only
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import types
from pathlib import Path

import torch

from . import workload as w
from .sizes import LR


def _stand_in(name: str, **attributes: object) -> None:
    if importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        module.__dict__.update(attributes)
        sys.modules[name] = module


def main() -> None:
    """Train, and print the result."""
    parser = w.parser(__doc__)
    parser.add_argument("--autocast", action="store_true")
    args = parser.parse_args()
    job = w.job(args)
    _stand_in("nnsight", LanguageModel=type("LanguageModel", (), {}))
    _stand_in("wandb")
    from dictionary_learning.dictionary import AutoEncoder  # type: ignore[import-not-found]
    from dictionary_learning.trainers.standard import StandardTrainer  # type: ignore[import-not-found]
    from dictionary_learning.training import trainSAE  # type: ignore[import-not-found]

    configs = [
        {
            "trainer": StandardTrainer,
            "dict_class": AutoEncoder,
            "steps": job.steps,
            "activation_dim": job.sizes.dim,
            "dict_size": job.sizes.latents,
            "layer": 0,
            "lm_name": "toy",
            "lr": LR,
            "l1_penalty": alpha,
            "warmup_steps": 0,
            "sparsity_warmup_steps": None,
            "resample_steps": None,
            "decay_start": None,
            "seed": job.seed * 1000 + n,
            "device": str(job.device),
            "wandb_name": f"l1_{n}",
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
        files = [Path(folder, f"trainer_{n}", "ae.pt") for n in range(job.sizes.cells)]
        states = [torch.load(file, map_location=job.device) for file in files]
    trained = [
        w.Trained(s["encoder.weight"], s["encoder.bias"], s["decoder.weight"].T, s["bias"]) for s in states
    ]
    job.finish(trained, w.installed("dictionary-learning"))


if __name__ == "__main__":
    main()
