"""No library: the loop that everybody writes first, one module and one Adam for each SAE.

Adapted from `bench_torch_loop.py` of the project's shared peer benchmarks.
"""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor

from . import workload as w
from .sizes import LR


class SAE(torch.nn.Module):
    """A ReLU autoencoder with a decoder bias, as SAELens and dictionary_learning have it."""

    def __init__(self, dim: int, latents: int) -> None:
        super().__init__()
        decoder_LD = torch.randn(latents, dim)
        decoder_LD = decoder_LD / decoder_LD.norm(dim=1, keepdim=True)
        self.decoder = torch.nn.Parameter(decoder_LD.clone())
        self.encoder = torch.nn.Parameter(0.1 * decoder_LD.T.contiguous())
        self.bias = torch.nn.Parameter(torch.zeros(latents))
        self.decoder_bias = torch.nn.Parameter(torch.zeros(dim))

    def loss(self, x_BD: Tensor, alpha: float) -> Tensor:
        """Reconstruction error plus L1 penalty."""
        codes_BL = torch.relu((x_BD - self.decoder_bias) @ self.encoder + self.bias)
        y_BD = codes_BL @ self.decoder + self.decoder_bias
        return (y_BD - x_BD).pow(2).sum(-1).mean() + alpha * codes_BL.sum(-1).mean()


def main() -> None:
    """Train, and print the result."""
    job = w.job(w.parser(__doc__).parse_args())
    saes = [SAE(job.sizes.dim, job.sizes.latents).to(job.device) for _ in job.sizes.coefficients]
    adams = [torch.optim.Adam(sae.parameters(), lr=LR) for sae in saes]
    for x_BD in islice(job.batches(lambda x_BD: x_BD), job.steps):
        for sae, adam, alpha in zip(saes, adams, job.sizes.coefficients, strict=True):
            adam.zero_grad(set_to_none=True)
            sae.loss(x_BD, alpha).backward()  # type: ignore[no-untyped-call]
            decoder = sae.decoder
            with torch.no_grad():
                assert decoder.grad is not None
                decoder.grad -= (decoder.grad * decoder).sum(dim=1, keepdim=True) * decoder
                adam.step()
                decoder.div_(decoder.norm(dim=1, keepdim=True))
    job.clock.tick(job.steps)
    with torch.no_grad():
        trained = [w.Trained(s.encoder.T, s.bias, s.decoder, s.decoder_bias) for s in saes]
    job.finish(trained, w.installed("torch"))


if __name__ == "__main__":
    main()
