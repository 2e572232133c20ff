"""SAELens' MultiSAETrainer, as `saelens`; runs in SAELens' own environment.

Its own recipe: the learning rate that `SAETrainerConfig` and `train_toy_sae`, its trainer for synthetic data, both
default to, 3e-4, with the schedule of its documentation's sample run (docs/training_saes.md: no warm-up of the rate,
which falls to 0 over the last fifth of the steps; the L1 penalty rises over the first twentieth). The sample's own
rate, 5e-5 at a batch of 4096, learns less in as many steps. A recipe of the grid: another rate, and no warm-up of the
penalty.

--autocast  its `autocast`: products in bfloat16
"""

from __future__ import annotations

import argparse

import torch

from .quality_tasks import DECAY, learning_rate
from .quality_training import OWN, Trained, Training, installed, main


def train(training: Training, args: argparse.Namespace) -> None:
    """Train."""
    from sae_lens import (  # type: ignore[import-not-found]
        LoggingConfig,
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
    )
    from sae_lens.config import SAETrainerConfig  # type: ignore[import-not-found]
    from sae_lens.training.multi_sae_trainer import MultiSAETrainer  # type: ignore[import-not-found]

    sizes, steps, own = training.task.sizes, training.steps, training.recipe == OWN
    rate = 3e-4 if own else learning_rate(training.recipe)
    saes = {}
    for n, alpha in enumerate(training.coefficients):
        torch.manual_seed(training.seed * 1000 + n)
        saes[f"sae_{n}"] = StandardTrainingSAE(
            StandardTrainingSAEConfig(
                d_in=sizes.dim,
                d_sae=sizes.latents,
                l1_coefficient=alpha,
                l1_warm_up_steps=steps // 20 if own else 0,
                device=str(training.device),
            )
        )
    config = SAETrainerConfig(
        total_training_samples=steps * sizes.batch,
        train_batch_size_samples=sizes.batch,
        lr=rate,
        lr_end=rate,
        lr_decay_steps=int(steps * DECAY),
        device=str(training.device),
        autocast=args.autocast,
        logger=LoggingConfig(log_to_wandb=False),
    )
    training.look(lambda: [Trained(s.W_enc.T, s.b_enc, s.W_dec, s.b_dec) for s in saes.values()])
    MultiSAETrainer(
        cfg=config,
        saes=saes,
        hook_names=dict.fromkeys(saes, "toy"),
        data_provider=({"toy": training.batch(t)} for t in range(steps)),
    ).fit()
    training.done(steps)


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--autocast", action="store_true")


if __name__ == "__main__":
    main(__doc__, train, lambda: installed("sae-lens"), _add)
