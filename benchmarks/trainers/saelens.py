"""SAELens' MultiSAETrainer as shipped: one shared batch, then a step of each SAE's own trainer.

Adapted from `bench_saelens.py` of the project's shared peer benchmarks; runs in SAELens' own environment.
Cannot be switched off from outside: gradients are clipped to norm 1, latents that fire are counted every
step. Its dictionary is not of unit norm; the L1 term is weighted by the dictionary's norms instead.
"""

from __future__ import annotations

import torch

from . import workload as w
from .sizes import BATCH, COEFFICIENTS, LR, WORKLOADS


def main() -> None:
    """Train, and print the result."""
    args = w.arguments(__doc__)
    from sae_lens import (  # type: ignore[import-not-found]
        LoggingConfig,
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
    )
    from sae_lens.config import SAETrainerConfig  # type: ignore[import-not-found]
    from sae_lens.training.multi_sae_trainer import MultiSAETrainer  # type: ignore[import-not-found]

    sizes = WORKLOADS[args.workload]
    pool = w.Pool(sizes, args.seed)
    total = args.warmup + args.steps
    saes = {}
    for n, alpha in enumerate(COEFFICIENTS):
        torch.manual_seed(args.seed * 1000 + n)
        saes[f"l1_{n}"] = StandardTrainingSAE(
            StandardTrainingSAEConfig(
                d_in=sizes.dim,
                d_sae=sizes.latents,
                l1_coefficient=alpha,
                l1_warm_up_steps=0,
                apply_b_dec_to_input=True,
                normalize_activations="none",
                dtype="float32",
                device="cpu",
            )
        )
    config = SAETrainerConfig(
        total_training_samples=total * BATCH,
        train_batch_size_samples=BATCH,
        lr=LR,
        lr_end=LR,
        lr_scheduler_name="constant",
        lr_warm_up_steps=0,
        lr_decay_steps=0,
        device="cpu",
        autocast=False,
        n_checkpoints=0,
        checkpoint_path=None,
        save_final_checkpoint=False,
        logger=LoggingConfig(log_to_wandb=False),
    )
    clock = w.Clock(args.warmup, args.steps)
    MultiSAETrainer(
        cfg=config,
        saes=saes,
        hook_names=dict.fromkeys(saes, "toy"),
        data_provider=w.TickingBatches(pool, clock, lambda x_BD: {"toy": x_BD}),
    ).fit()
    clock.tick(total)
    with torch.no_grad():
        trained = [w.Trained(s.W_enc.T, s.b_enc, s.W_dec, s.b_dec) for s in saes.values()]
    w.finish(
        args,
        clock,
        trained,
        pool.truth_GD,
        pool.held_out_BD,
        data=pool.sha256,
        package=w.installed("sae-lens"),
    )


if __name__ == "__main__":
    main()
