"""`train.resample`: dead latents begin anew in the directions of inputs that are reconstructed badly.

As Bricken et al. 2023 describe it: every so many steps, latents that were silent for a window get as dictionary
element an input, drawn in proportion to its loss squared, at unit length; as encoder the same at a fifth of the mean
length of the encoders of latents that are alive; a bias of 0; and moments of 0. Taggart's code differs in that latents
count as dead that fire on less than a share of the window's samples, and that inputs are drawn in proportion to their
loss; the learning rate then rises anew (`schedule`). The loss of an input is its squared error.

It happens between two steps, outside of what a GPU captures, and depends on nothing but the cell and the step.

Legend: N cells of a stack, V inputs, D dimensions, L latents.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from saespec.sae.coder import decode, encode
from saespec.sae.initial import generator
from saespec.sae.pieces import Params
from saespec.sae.stack import Stack
from saespec.spec.rules import Bricken, Taggart

SHORTENED = 0.2
"""Length of a new encoder, as a share of the mean length of the others."""


class Resample:
    """The rule for one stack. `batch(t)` are inputs and targets of training step t, [N, B, D]."""

    def __init__(
        self, rule: Bricken | Taggart, stack: Stack, batch: Callable[[int], tuple[Tensor, Tensor]]
    ) -> None:
        self._rule = rule
        self._stack = stack
        self._batch = batch
        self._config = stack.rows[0].config
        self._window = rule.window_steps(self._config.train.batch)
        encoder_NLD = stack.params["encoder"]
        self.state: Params = {"fired": torch.zeros(encoder_NLD.shape[:2], device=encoder_NLD.device)}
        """Samples of the window on which each latent fired; part of a snapshot. Taggart's rule alone counts them."""

    def before(self, t: int) -> None:
        """What is due before step t, t from 0."""
        if t and t % self._rule.every == 0 and t <= self._rule.until:
            self._begin_anew(t)

    def after(self, t: int) -> None:
        """Look at the codes of step t."""
        if isinstance(self._rule, Taggart):
            if (t + self._window) % self._rule.every == 0:
                self.state["fired"].zero_()
            self.state["fired"].add_((self._stack.gradients.codes_NBL > 0).sum(dim=1))

    def dead(self) -> Tensor:
        """Which latents begin anew, [N, L]."""
        if isinstance(self._rule, Taggart):
            return self.state["fired"] < self._rule.frequency * self._window * self._config.train.batch
        silence = self._stack.gradients.silence
        assert silence is not None
        return silence.dead(self._window)

    def _begin_anew(self, t: int) -> None:
        dead_NL = self.dead().cpu()
        if not dead_NL.any():
            return
        x_NVD, loss_NV = self._inputs(t)
        for n, cell in enumerate(self._stack.rows):
            latents = dead_NL[n].nonzero().flatten()
            if len(latents) == 0 or not loss_NV[n].isfinite().all():
                continue
            draw = generator(f"resample {t}", tuple(x_NVD.shape[1:]), cell.config.seed)
            self._replace(n, latents, x_NVD[n, self._chosen(loss_NV[n], len(latents), draw)], ~dead_NL[n])

    def _inputs(self, t: int) -> tuple[Tensor, Tensor]:
        """Training inputs of the last batches, less the shared bias, [N, V, D], and their squared errors, [N, V]."""
        gradients = self._stack.gradients
        w = {**gradients.observed(), **gradients.activation.learned()}
        inputs, losses = [], []
        for i in range(max(0, t - self._rule.batches), t):
            x_NBD, target_NBD = self._batch(i)
            error_NBD = decode(w, encode(w, gradients.observer, x_NBD)).sub_(target_NBD)
            losses.append(error_NBD.square().sum(dim=2))
            inputs.append(x_NBD - w["offset"].unsqueeze(1) if gradients.shares_bias else x_NBD)
        return torch.cat(inputs, dim=1), torch.cat(losses, dim=1)

    def _chosen(self, loss_V: Tensor, number: int, draw: np.random.Generator) -> Tensor:
        weight_V = loss_V.double().cpu().numpy()
        if isinstance(self._rule, Bricken):
            weight_V = weight_V**2
        possible = int(np.count_nonzero(weight_V))
        if not possible:  # everything is reconstructed: any input will do
            weight_V = np.ones_like(weight_V)
            possible = len(weight_V)
        chosen = draw.choice(
            len(weight_V), size=number, replace=number > possible, p=weight_V / weight_V.sum()
        )
        return torch.from_numpy(chosen)

    def _replace(self, n: int, latents: Tensor, x_KD: Tensor, alive_L: Tensor) -> None:
        """Set what belongs to these latents of a cell, and forget their moments."""
        stack = self._stack
        lengths_K1 = torch.linalg.vector_norm(x_KD, dim=1, keepdim=True)
        unit_KD = torch.where(lengths_K1 > 0, x_KD / lengths_K1, stack.params["encoder"][n, latents])
        encoder_LD = stack.params["encoder"][n]
        norms = torch.linalg.vector_norm(encoder_LD[alive_L], dim=1) if alive_L.any() else torch.ones(1)
        start: Params = {"encoder": unit_KD * (SHORTENED * norms.mean()), "decoder": unit_KD}
        if "decoder" not in stack.params:  # tied
            start["encoder"] = unit_KD
        for name, own in stack.params.items():
            if own.shape[1:2] == encoder_LD.shape[:1] and name != "decoder_bias":
                own[n, latents] = start[name] if name in start else stack.starts.get(name, 0.0)
                for moment in (stack.mean, stack.square):
                    moment[name][n, latents] = 0
        if stack.gradients.silence is not None:
            stack.gradients.silence.state["silent"][n, latents] = 0
