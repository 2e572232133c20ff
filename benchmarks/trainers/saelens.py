"""SAELens' MultiSAETrainer: one shared batch, then a step of each SAE's own trainer.

Adapted from `bench_saelens.py` of the project's shared peer benchmarks; runs in SAELens' own environment.
Cannot be switched off from outside: gradients are clipped to norm 1, latents that fire are counted every
step. Its dictionary is not of unit norm; the L1 term is weighted by the dictionary's norms instead.

--compile   `torch.compile` of each SAE's training pass, as its `compile_sae` does
--autocast  its `autocast`: products in bfloat16
"""

from __future__ import annotations

import argparse
from typing import Any

import torch

from . import workload as w
from .sizes import LR


def main() -> None:
    """Train, and print the results."""
    parser = w.parser(__doc__)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--autocast", action="store_true")
    args = parser.parse_args()
    for job in w.jobs(args):
        saes, trainer = _train(job, args)
        package = w.installed("sae-lens")
        if job.architecture:
            counting = job.recipe.window is not None
            dead = [float(one.dead_neurons.float().mean()) for one in trainer.trainers.values()]
            job.finish_speed((p for s in saes for p in s.parameters()), dead if counting else [], package)
        else:
            with torch.no_grad():
                job.finish([w.Trained(s.W_enc.T, s.b_enc, s.W_dec, s.b_dec) for s in saes], package)


def _train(job: w.Job, args: argparse.Namespace) -> tuple[list[Any], Any]:
    """The trained SAEs and what trained them, the clock stopped."""
    import sae_lens  # type: ignore[import-not-found]
    from sae_lens.config import SAETrainerConfig  # type: ignore[import-not-found]
    from sae_lens.training.multi_sae_trainer import MultiSAETrainer  # type: ignore[import-not-found]

    recipe = job.recipe
    peer = recipe.saelens
    assert peer is not None, f"SAELens has no {job.architecture}"
    saes = {}
    for n, alpha in enumerate(job.sizes.coefficients):
        torch.manual_seed(job.seed * 1000 + n)
        sae = getattr(sae_lens, peer.name)(
            getattr(sae_lens, f"{peer.name}Config")(
                d_in=job.sizes.dim,
                d_sae=job.sizes.latents,
                apply_b_dec_to_input=True,
                normalize_activations="none",
                dtype="float32",
                device=str(job.device),
                **peer.options,
                **({peer.coefficient: alpha} if peer.coefficient else {}),
            )
        )
        if args.compile:
            sae.training_forward_pass = torch.compile(sae.training_forward_pass, backend="inductor")
        saes[f"sae_{n}"] = sae
    config = SAETrainerConfig(
        total_training_samples=job.steps * job.sizes.batch,
        train_batch_size_samples=job.sizes.batch,
        lr=LR,
        lr_end=LR,
        lr_scheduler_name="constant",
        lr_warm_up_steps=0,
        lr_decay_steps=0,
        device=str(job.device),
        autocast=args.autocast,
        n_checkpoints=0,
        checkpoint_path=None,
        save_final_checkpoint=False,
        logger=sae_lens.LoggingConfig(log_to_wandb=False),
        # Dead is what was silent for more steps than these.
        **({} if recipe.window is None else {"dead_feature_window": recipe.window - 1}),
    )
    trainer = MultiSAETrainer(
        cfg=config,
        saes=saes,
        hook_names=dict.fromkeys(saes, "toy"),
        data_provider=job.batches(lambda x_BD: {"toy": x_BD}),
    )
    trainer.fit()
    job.clock.tick(job.steps)
    return list(saes.values()), trainer


if __name__ == "__main__":
    main()
