"""No library: one stacked program by hand, batched products, autograd, one fused Adam.

Adapted from `bench_vmap_ensemble.py --impl bmm --adam fused` of the project's shared peer benchmarks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import workload as w
from .sizes import CELLS, COEFFICIENTS, LR, WORKLOADS


def main() -> None:
    """Train, and print the result."""
    args = w.arguments(__doc__)
    sizes = WORKLOADS[args.workload]
    pool = w.Pool(sizes, args.seed)
    decoder_NLD = torch.randn(CELLS, sizes.latents, sizes.dim)
    decoder_NLD /= decoder_NLD.norm(dim=2, keepdim=True)
    encoder_NDL = 0.1 * decoder_NLD.transpose(1, 2).contiguous()
    bias_NL, decoder_bias_ND = torch.zeros(CELLS, sizes.latents), torch.zeros(CELLS, sizes.dim)
    params = [t.requires_grad_() for t in (decoder_NLD, encoder_NDL, bias_NL, decoder_bias_ND)]
    alpha_N = torch.tensor(COEFFICIENTS)
    adam = torch.optim.Adam(params, lr=LR, fused=True)

    def loss(x_BD: Tensor) -> Tensor:
        centred_NBD = x_BD.unsqueeze(0) - decoder_bias_ND.unsqueeze(1)
        codes_NBL = torch.baddbmm(bias_NL.unsqueeze(1), centred_NBD, encoder_NDL).relu()
        y_NBD = torch.baddbmm(decoder_bias_ND.unsqueeze(1), codes_NBL, decoder_NLD)
        error_N = (y_NBD - x_BD.unsqueeze(0)).pow(2).sum(-1).mean(-1)
        return (error_N + alpha_N * codes_NBL.sum(-1).mean(-1)).sum()

    clock = w.Clock(args.warmup, args.steps)
    for t in range(args.warmup + args.steps):
        clock.tick(t)
        adam.zero_grad(set_to_none=True)
        loss(pool.batch(t)).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            assert decoder_NLD.grad is not None
            decoder_NLD.grad -= (decoder_NLD.grad * decoder_NLD).sum(dim=-1, keepdim=True) * decoder_NLD
            adam.step()
            decoder_NLD /= decoder_NLD.norm(dim=-1, keepdim=True)
    clock.tick(args.warmup + args.steps)
    with torch.no_grad():
        trained = [
            w.Trained(encoder_NDL[n].T, bias_NL[n], decoder_NLD[n], decoder_bias_ND[n]) for n in range(CELLS)
        ]
    w.finish(
        args, clock, trained, pool.truth_GD, pool.held_out_BD, data=pool.sha256, package=w.installed("torch")
    )


if __name__ == "__main__":
    main()
