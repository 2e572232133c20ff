"""SAELens' MultiSAETrainer: one shared batch, then a step of each SAE's own trainer.

Adapted from `bench_saelens.py` of the project's shared peer benchmarks; runs in SAELens' own environment.
Cannot be switched off from outside: gradients are clipped to norm 1, latents that fire are counted every
step. Its dictionary is not of unit norm; the L1 term is weighted by the dictionary's norms instead.

--compile   `torch.compile` of each SAE's training pass, as its `compile_sae` does
--autocast  its `autocast`: products in bfloat16
"""

from __future__ import annotations

import torch

from . import workload as w
from .sizes import LR


def main() -> None:
    """Train, and print the result."""
    parser = w.parser(__doc__)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--autocast", action="store_true")
    args = parser.parse_args()
    job = w.job(args)
    from sae_lens import (  # type: ignore[import-not-found]
        LoggingConfig,
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
    )
    from sae_lens.config import SAETrainerConfig  # type: ignore[import-not-found]
    from sae_lens.training.multi_sae_trainer import MultiSAETrainer  # type: ignore[import-not-found]

    saes = {}
    for n, alpha in enumerate(job.sizes.coefficients):
        torch.manual_seed(job.seed * 1000 + n)
        sae = StandardTrainingSAE(
            StandardTrainingSAEConfig(
                d_in=job.sizes.dim,
                d_sae=job.sizes.latents,
                sparsity_coefficient=alpha,
                l1_warm_up_steps=0,
                apply_b_dec_to_input=True,
                normalize_activations="none",
                dtype="float32",
                device=str(job.device),
            )
        )
        if args.compile:
            sae.training_forward_pass = torch.compile(sae.training_forward_pass, backend="inductor")
        saes[f"l1_{n}"] = sae
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
        logger=LoggingConfig(log_to_wandb=False),
    )
    MultiSAETrainer(
        cfg=config,
        saes=saes,
        hook_names=dict.fromkeys(saes, "toy"),
        data_provider=job.batches(lambda x_BD: {"toy": x_BD}),
    ).fit()
    job.clock.tick(job.steps)
    with torch.no_grad():
        trained = [w.Trained(s.W_enc.T, s.b_enc, s.W_dec, s.b_dec) for s in saes.values()]
    job.finish(trained, w.installed("sae-lens"))


if __name__ == "__main__":
    main()
