"""dictionary_learning's trainSAE with eight StandardTrainers, as `dictionary_learning`; in an environment of its own.

Its own recipe: what its README's example sets (lr 1e-3) and StandardTrainer's defaults, which are
`warmup_steps=1000`, `sparsity_warmup_steps=2000` and no decay. They cannot be given to a training of fewer steps, so
this is one training that is stopped where the task's longest ends. A recipe of the grid: no warm-ups, another rate,
and its `decay_start` at four fifths of the steps, as its demonstration (dictionary_learning_demo,
`DECAY_START_FRACTION`) has it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import torch
from torch import Tensor

from .dictionary_learning import _stand_in
from .quality_tasks import DECAY, learning_rate
from .quality_training import OWN, Trained, Training, installed, main

AT_LEAST = 2001
"""Steps that a training with the default warm-ups must have."""


def train(training: Training, args: argparse.Namespace) -> None:
    """Train."""
    if "wandb" not in sys.modules:  # this is not the first training
        _stand_in("nnsight", LanguageModel=type("LanguageModel", (), {}))
        _stand_in("wandb")
    from dictionary_learning.dictionary import AutoEncoder  # type: ignore[import-not-found]
    from dictionary_learning.trainers.standard import StandardTrainer  # type: ignore[import-not-found]
    from dictionary_learning.training import trainSAE  # type: ignore[import-not-found]

    sizes, own = training.task.sizes, training.recipe == OWN
    steps = max(training.steps, AT_LEAST) if own else training.steps
    if own:
        recipe: dict[str, float | None] = {"lr": 1e-3}
    else:
        recipe = {
            "lr": learning_rate(training.recipe),
            "warmup_steps": 0,
            "sparsity_warmup_steps": None,
            "decay_start": max(1, int(steps * (1 - DECAY))),
        }
    saes: list[torch.nn.Module] = []

    def dictionary(dim: int, latents: int) -> torch.nn.Module:
        saes.append(AutoEncoder(dim, latents))  # what the trainer would make, and we can look at it
        return saes[-1]

    def batches() -> Iterator[Tensor]:
        for t in range(training.steps):
            x_BD = training.batch(t)
            if own and training.satisfied:  # its learning rate does not fall: what follows says nothing more
                return
            yield x_BD
        training.done(training.steps)

    configs = [
        {
            "trainer": StandardTrainer,
            "dict_class": dictionary,
            "steps": steps,
            "activation_dim": sizes.dim,
            "dict_size": sizes.latents,
            "layer": 0,
            "lm_name": "toy",
            "l1_penalty": alpha,
            "seed": training.seed * 1000 + n,
            "device": str(training.device),
            "wandb_name": f"sae_{n}",
            **recipe,
        }
        for n, alpha in enumerate(training.coefficients)
    ]

    def now() -> list[Trained]:
        states = [sae.state_dict() for sae in saes]
        return [
            Trained(s["encoder.weight"], s["encoder.bias"], s["decoder.weight"].T, s["bias"]) for s in states
        ]

    training.look(now)
    trainSAE(
        data=batches(),
        trainer_configs=configs,
        steps=steps,
        use_wandb=False,
        save_dir=None,
        device=str(training.device),
    )


if __name__ == "__main__":
    main(__doc__, train, lambda: installed("dictionary-learning"))
