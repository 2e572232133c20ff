"""Autoencoders again, in float64 with torch's autograd and optimiser, one cell at a time: what the pieces are held to.

Nothing here comes from `saespec.sae`. Where a gradient is synthetic by definition the rule is written as an
`autograd.Function`.

Legend: B samples, D dimensions, L latents.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from saespec.spec.spec import CellConfig


class ProluReLU(torch.autograd.Function):
    """As ReLU(m + b) on the way back."""

    @staticmethod
    def forward(ctx: Any, m: Tensor, b: Tensor) -> Tensor:
        gate = (m > 0) & (m + b > 0)
        ctx.save_for_backward(gate)
        return m * gate

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        (gate,) = ctx.saved_tensors
        return g * gate, (g * gate).sum(dim=0)


class ProluSTE(torch.autograd.Function):
    """The step function as its own derivative."""

    @staticmethod
    def forward(ctx: Any, m: Tensor, b: Tensor) -> Tensor:
        gate = (m > 0) & (m + b > 0)
        ctx.save_for_backward(m, gate)
        return m * gate

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        m, gate = ctx.saved_tensors
        return g * gate * (1 + m), (g * gate * m).sum(dim=0)


class Jump(torch.autograd.Function):
    """z where it exceeds θ; θ learns by a rectangle."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, theta: Tensor, width: float) -> Tensor:
        ctx.save_for_backward(z, theta)
        ctx.width = width
        return z * (z > theta)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        z, theta = ctx.saved_tensors
        near = ((z - theta) / ctx.width).abs() < 0.5
        return g * (z > theta), -(theta / ctx.width) * (g * near).sum(dim=0), None


class Steps(torch.autograd.Function):
    """How many z exceed θ, for each sample and latent 0 or 1; θ learns by a rectangle."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, theta: Tensor, width: float) -> Tensor:
        ctx.save_for_backward(z, theta)
        ctx.width = width
        return (z > theta).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[None, Tensor, None]:
        z, theta = ctx.saved_tensors
        near = ((z - theta) / ctx.width).abs() < 0.5
        return None, -(1 / ctx.width) * (g * near).sum(dim=0), None


def largest(values: Tensor, k: int) -> Tensor:
    """1 for the k largest of each row, of equal ones the first, and only if positive."""
    order = values.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(values).scatter_(1, order, 1.0) * (values > 0)


class Reference:
    """One cell, its parameters under the names that a checkpoint has."""

    def __init__(self, config: CellConfig, params: dict[str, Tensor]) -> None:
        self.config = config
        self.sae, self.loss_section, self.train = config.sae, config.loss, config.train
        self.params = {name: value.double().clone().requires_grad_() for name, value in params.items()}
        self.element = "encoder" if self.sae.weights == "tied" else "decoder"
        o = self.train.optimizer
        self.adam = torch.optim.Adam(self.params.values(), lr=o.lr, betas=(o.beta1, o.beta2), eps=o.eps)
        self.silent = torch.zeros(self.sae.latents)
        self.t = 0

    def weights(self) -> dict[str, Tensor]:
        """What the forward pass takes."""
        w = dict(self.params)
        if self.sae.decoder_norm == "unit_in_forward":
            w[self.element] = w[self.element] / w[self.element].norm(dim=1, keepdim=True)
        w.setdefault("decoder", w["encoder"])
        return w

    def codes(self, w: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes, what is penalised, and what the encoder gives."""
        sae = self.sae
        if sae.decoder_bias == "shared":
            x = x - w["decoder_bias"]
        m = x @ w["encoder"].T
        z = m + w["bias"]
        if sae.kind == "relu":
            c = z.relu()
        elif sae.kind == "topk":
            c = z.relu() * largest(z.relu().detach(), sae.k)
        elif sae.kind == "batch_topk":
            r = z.relu()
            c = r * largest(r.detach().view(1, -1), sae.k * len(x)).view(r.shape)
        elif sae.kind == "jumprelu":
            c = Jump.apply(z, w["log_threshold"].exp(), sae.bandwidth)
        elif sae.kind == "prolu":
            rule = ProluSTE if sae.gradient == "ste" else ProluReLU
            c = rule.apply(m, w["bias"])
            if sae.hybrid:
                c = torch.where(
                    w["bias"] > 0, z.relu(), rule.apply(m, torch.where(w["bias"] > 0, -1e9, w["bias"]))
                )
            return c, c, m
        else:
            assert sae.kind == "gated"
            c = (m * w["r_mag"].exp() + w["b_mag"]).relu() * (z > 0)
            return c, z.relu(), m
        return c, c, z

    def total(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss, for its gradient."""
        w, loss, B = self.weights(), self.loss_section, len(x)
        offset = w["decoder_bias"] if self.sae.decoder_bias != "none" else 0.0
        c, penalised, pre = self.codes(w, x)
        scale = (1 / x.shape[1] if loss.reconstruction == "mean" else 1.0) / B
        L = self.sae.latents
        sizes = [L // 2**i for i in range(loss.prefixes)]
        errors = [target - (c[:, :n] @ w["decoder"][:n] + offset) for n in sizes]
        found = sum((e.square().sum() for e in errors), torch.zeros(())) * scale / len(sizes)
        found = found + self.penalty(w, penalised, pre) / B
        if self.sae.kind == "gated":
            frozen = penalised @ w["decoder"].detach() + (
                offset.detach() if isinstance(offset, Tensor) else 0.0
            )
            found = found + (target - frozen).square().sum() * scale
        if loss.auxiliary.kind != "none":
            found = found + self.auxiliary(w, pre, errors[0].detach(), scale)
        self.silent = torch.where((c > 0).any(dim=0), 0, self.silent + 1)
        return found

    def penalty(self, w: dict[str, Tensor], c: Tensor, z: Tensor) -> Tensor:
        """Summed over samples."""
        p = self.loss_section.sparsity
        if p.kind == "none":
            return torch.zeros(())
        share = min(1.0, (self.t + 1) / (p.warmup * self.train.steps)) if p.warmup else 1.0
        scale = share * p.coefficient * (1 / self.sae.latents if p.per == "latents" else 1.0)
        if p.kind == "l0":
            return scale * Steps.apply(z, w["log_threshold"].exp(), self.sae.bandwidth).sum()
        s = c * w["decoder"].norm(dim=1) if p.weighted_by_norm else c
        if p.kind == "l1":
            return scale * s.sum()
        if p.kind == "tanh":
            return scale * (p.scale * s).tanh().sum()
        roots = (s.sum(dim=1) + 1e-6).sqrt() if p.of == "sum" else (s + 1e-6).sqrt()
        return scale * roots.sum()

    def auxiliary(self, w: dict[str, Tensor], pre: Tensor, error: Tensor, scale: float) -> Tensor:
        """The loss of dead latents."""
        a = self.loss_section.auxiliary
        steps = a.window if a.window_in == "steps" else -(-a.window // self.train.batch)
        dead = self.silent >= steps
        if not dead.any():
            return torch.zeros(())
        if a.kind == "aux_k":
            own = pre.relu() * dead
            own = own * largest(own.detach(), a.k)
            return a.coefficient * scale * (error - own @ w["decoder"]).square().sum()
        ghost = torch.where(dead, pre, -math.inf).exp() @ w["decoder"]
        half = (error.norm(dim=1, keepdim=True) / (2 * ghost.norm(dim=1, keepdim=True) + 1e-12)).detach()
        off = (error - half * ghost).square().sum()
        return (error.square().sum() / (off.detach() + 1e-12)) * off * scale

    def step(self, x: Tensor, target: Tensor) -> None:
        """One optimiser step."""
        element = self.params[self.element]
        with torch.no_grad():
            if self.sae.decoder_norm in ("unit", "unit_projected"):
                element /= element.norm(dim=1, keepdim=True)
        self.adam.zero_grad()
        self.total(x, target).backward()
        for value in self.params.values():
            value.grad = torch.zeros_like(value) if value.grad is None else value.grad
        with torch.no_grad():
            if self.sae.decoder_norm == "unit_projected":
                assert element.grad is not None
                element.grad -= (element.grad * element).sum(dim=1, keepdim=True) * element
            if self.train.clip:
                grads = [value.grad for value in self.params.values() if value.grad is not None]
                length = torch.stack([grad.norm() for grad in grads]).norm()
                for grad in grads:
                    grad *= min(1.0, self.train.clip / length.item())
        self.adam.param_groups[0]["lr"] = self.train.optimizer.lr * self.rate()
        self.adam.step()
        self.t += 1

    def rate(self) -> float:
        """The share of the learning rate."""
        schedule, steps = self.train.schedule, self.train.steps
        share = min(1.0, (self.t + 1) / (schedule.warmup * steps)) if schedule.warmup else 1.0
        if schedule.decay.kind != "none":
            span = schedule.decay.last * steps
            done = max(0.0, (self.t + 1 - (steps - span)) / span)
            left = 1 - done if schedule.decay.kind == "linear" else (1 + math.cos(math.pi * done)) / 2
            share *= schedule.decay.to + (1 - schedule.decay.to) * left
        return share
