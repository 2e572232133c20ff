"""No library: the plain loop of `loop`, with a learning rate that falls to 0 over the last fifth of the steps."""

from __future__ import annotations

import argparse

import torch

from .loop import SAE
from .quality_tasks import DECAY, learning_rate
from .quality_training import Trained, Training, installed, main


def train(training: Training, args: argparse.Namespace | None = None) -> None:
    """Train."""
    sizes, rate = training.task.sizes, learning_rate(training.recipe)
    torch.manual_seed(training.seed)
    saes = [SAE(sizes.dim, sizes.latents).to(training.device) for _ in training.coefficients]
    adams = [torch.optim.Adam(sae.parameters(), lr=rate) for sae in saes]
    training.look(lambda: [Trained(s.encoder.T, s.bias, s.decoder, s.decoder_bias) for s in saes])
    falling = training.steps * DECAY
    for t in range(training.steps):
        x_BD = training.batch(t)
        share = min(1.0, (training.steps - t) / falling)
        for sae, adam, alpha in zip(saes, adams, training.coefficients, strict=True):
            adam.param_groups[0]["lr"] = rate * share
            adam.zero_grad(set_to_none=True)
            sae.loss(x_BD, alpha).backward()  # type: ignore[no-untyped-call]
            decoder = sae.decoder
            with torch.no_grad():
                assert decoder.grad is not None
                decoder.grad -= (decoder.grad * decoder).sum(dim=1, keepdim=True) * decoder
                adam.step()
                decoder.div_(decoder.norm(dim=1, keepdim=True))
    training.done(training.steps)


if __name__ == "__main__":
    main(__doc__, train, lambda: installed("torch"))
