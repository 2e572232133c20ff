"""No library: one stacked program by hand, batched products, autograd, one fused Adam.

Adapted from `bench_vmap_ensemble.py --impl bmm --adam fused` of the project's shared peer benchmarks.
"""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor

from . import workload as w
from .sizes import LR


def main() -> None:
    """Train, and print the result."""
    job = w.job(w.parser(__doc__).parse_args())
    N, D, L = job.sizes.cells, job.sizes.dim, job.sizes.latents
    decoder_NLD = torch.randn(N, L, D)
    decoder_NLD /= decoder_NLD.norm(dim=2, keepdim=True)
    encoder_NDL = 0.1 * decoder_NLD.transpose(1, 2).contiguous()
    initial = (decoder_NLD, encoder_NDL, torch.zeros(N, L), torch.zeros(N, D))
    params = [t.to(job.device).requires_grad_() for t in initial]
    decoder_NLD, encoder_NDL, bias_NL, decoder_bias_ND = params
    alpha_N = torch.tensor(job.sizes.coefficients, device=job.device)
    adam = torch.optim.Adam(params, lr=LR, fused=True)

    def loss(x_BD: Tensor) -> Tensor:
        centred_NBD = x_BD.unsqueeze(0) - decoder_bias_ND.unsqueeze(1)
        codes_NBL = torch.baddbmm(bias_NL.unsqueeze(1), centred_NBD, encoder_NDL).relu()
        y_NBD = torch.baddbmm(decoder_bias_ND.unsqueeze(1), codes_NBL, decoder_NLD)
        error_N = (y_NBD - x_BD.unsqueeze(0)).pow(2).sum(-1).mean(-1)
        return (error_N + alpha_N * codes_NBL.sum(-1).mean(-1)).sum()

    for x_BD in islice(job.batches(lambda x_BD: x_BD), job.steps):
        adam.zero_grad(set_to_none=True)
        loss(x_BD).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            assert decoder_NLD.grad is not None
            decoder_NLD.grad -= (decoder_NLD.grad * decoder_NLD).sum(dim=-1, keepdim=True) * decoder_NLD
            adam.step()
            decoder_NLD /= decoder_NLD.norm(dim=-1, keepdim=True)
    job.clock.tick(job.steps)
    with torch.no_grad():
        trained = [
            w.Trained(encoder_NDL[n].T, bias_NL[n], decoder_NLD[n], decoder_bias_ND[n]) for n in range(N)
        ]
    job.finish(trained, w.installed("torch"))


if __name__ == "__main__":
    main()
