"""The side of sae-lens 6.54.12: its own trainer, on the batches and from the weights it is given.

Runs in an environment of its own and imports nothing of saespec. A patch takes one departure away, and leaves the rest
of the trainer as it is; what each is about stands in `peers_compare.DEPARTURES`.

Legend: B samples, D dimensions, L latents, T steps.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import sae_lens  # type: ignore[import-not-found]
import torch
from sae_lens.config import SAETrainerConfig  # type: ignore[import-not-found]
from sae_lens.saes import topk_sae  # type: ignore[import-not-found]
from sae_lens.training.sae_trainer import SAETrainer  # type: ignore[import-not-found]
from torch import Tensor

NAMES = {
    "encoder": ("W_enc.T",),
    "decoder": ("W_dec",),
    "bias": ("b_enc", "b_gate"),
    "decoder_bias": ("b_dec",),
    "log_threshold": ("parametrizations.threshold.original", "threshold"),
    "r_mag": ("r_mag",),
    "b_mag": ("b_mag",),
    "threshold": ("topk_threshold",),
}
"""Where what saespec calls so may be found in an autoencoder; the first that is there is it."""


class Run:
    """One trainer, as made for one cell."""

    def __init__(self, given: dict[str, Any], patched: contextlib.ExitStack) -> None:
        self.given, self.patched = given, patched
        T, B, D = given["x_TBD"].shape
        sizes = {"d_in": D, "d_sae": len(given["start"]["encoder"]), "dtype": "float64"}
        settings = dict(given["settings"])
        trainer = {name: settings.pop(name) for name in tuple(settings) if name in TRAINER_SETTINGS}
        kind = given["trainer"]
        self.sae = getattr(sae_lens, kind)(getattr(sae_lens, f"{kind}Config")(**sizes, **settings))
        if "log_threshold" in given["patches"]:
            self.sae.threshold.data = self.sae.threshold.data.double()
            torch.nn.utils.parametrize.register_parametrization(self.sae, "threshold", _Exp())
        for name, value in given["start"].items():
            if name == "log_threshold" and "log_threshold" not in given["patches"]:
                value = value.exp()
            self.weight(name).data.copy_(value)
        config = SAETrainerConfig(
            total_training_samples=T * B, train_batch_size_samples=B, lr_end=0.0, **trainer
        )
        self.trainer: Any = SAETrainer(config, self.sae, iter(given["x_TBD"]))
        self.before: list[Callable[[int], object]] = []
        """What is called before each step, with how many came before it."""
        for name in given["patches"]:
            PATCHES[name](self)

    def weight(self, name: str) -> Tensor:
        """A parameter or buffer, cells' name for it."""
        for path in NAMES[name]:
            with contextlib.suppress(AttributeError):
                value: Any = self.sae
                for part in path.split("."):
                    value = getattr(value, part)
                if isinstance(value, Tensor):
                    return value
        raise KeyError(name)

    def train(self) -> dict[str, Any]:
        """All steps: weights and losses."""
        losses: list[float] = []
        topk = isinstance(self.sae, sae_lens.TopKTrainingSAE)
        for t, x_BD in enumerate(self.given["x_TBD"]):
            for call in self.before:
                call(t)
            found = self.trainer.step(x_BD)
            self.trainer.n_training_steps += 1
            aux = found.losses["auxiliary_reconstruction_loss"].item() if topk else 0.0
            losses.append(found.loss.item() - aux)
        names = [*self.given["start"], *self.given["also"]]
        weights = {name: self.weight(name).detach().clone().contiguous() for name in names}
        if "log_threshold" in weights and "log_threshold" not in self.given["patches"]:
            weights["log_threshold"].log_()
        return {"weights": weights, "losses": losses, "resample_distances": []}


TRAINER_SETTINGS = SAETrainerConfig.__dataclass_fields__.keys()
"""What is the trainer's to know; the rest is the autoencoder's."""


class _Exp(torch.nn.Module):
    """A threshold as the exponential of what is trained."""

    def forward(self, log: Tensor) -> Tensor:
        return log.exp()

    def right_inverse(self, value: Tensor) -> Tensor:
        return value.log()


def log_threshold(run: Run) -> None:
    """Done before the optimiser is made: it must know."""


def clip_epsilon(run: Run) -> None:
    """Clip to the length itself."""

    def clip(parameters: Any, longest: float) -> None:
        grads = [p.grad for p in parameters if p.grad is not None]
        length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads]))
        for grad in grads:
            grad.mul_(longest / length.clamp(min=longest))

    run.patched.enter_context(mock.patch.object(torch.nn.utils, "clip_grad_norm_", clip))


def counts_from_zero(run: Run) -> None:
    """The penalty's warm-up begins with its first share."""
    for scheduler in run.trainer.coefficient_schedulers.values():
        scheduler.step()


def aux_grows_with_dead(run: Run) -> None:
    """The auxiliary loss without the share that few dead latents have of it."""
    own = run.sae.calculate_topk_aux_loss

    def whole(**asked: Any) -> Any:
        dead = int(asked["dead_neuron_mask"].sum())
        share = min(dead / (asked["sae_in"].shape[-1] // 2), 1.0)
        return own(**asked) / share if dead else own(**asked)

    run.sae.calculate_topk_aux_loss = whole


def aux_takes_negatives(run: Run) -> None:
    """What is negative of the chosen dead latents is left out."""
    own = topk_sae.calculate_topk_aux_acts

    def positive(**asked: Any) -> Any:
        return own(**asked).relu()

    run.patched.enter_context(mock.patch.object(topk_sae, "calculate_topk_aux_acts", positive))


def threshold_average(run: Run) -> None:
    """A running mean with a decay that grows: it then weighs the first batch like any other."""
    decay = 1 - run.sae.cfg.topk_threshold_lr

    def adapt(t: int) -> None:
        run.sae.cfg.topk_threshold_lr = (1 - decay) / (1 - decay ** (t + 1))

    run.before.append(adapt)


def gate_trains_decoder(run: Run) -> None:
    """The gate's own reconstruction by a decoder that does not learn from it."""
    sae = run.sae
    own = sae.calculate_aux_loss

    def frozen(*, step_input: Any, **asked: Any) -> Any:
        x_BD = step_input.sae_in
        gate_BL = (sae.process_sae_in(x_BD) @ sae.W_enc + sae.b_gate).relu()
        error_BD = gate_BL @ sae.W_dec.detach() + sae.b_dec.detach() - x_BD
        loss = error_BD.square().sum(dim=1).mean()
        return {**own(step_input=step_input, **asked), "auxiliary_reconstruction_loss": loss}

    sae.calculate_aux_loss = frozen


PATCHES: dict[str, Callable[[Run], None]] = {
    patch.__name__: patch
    for patch in (
        aux_grows_with_dead,
        aux_takes_negatives,
        clip_epsilon,
        counts_from_zero,
        gate_trains_decoder,
        log_threshold,
        threshold_average,
    )
}


def main(given: str, found: str) -> None:
    """Train what one file asks for, and write another."""
    torch.set_num_threads(1)
    results = {}
    for name, asked in torch.load(given).items():
        with contextlib.ExitStack() as patched:
            results[name] = Run(asked, patched).train()
    torch.save(results, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
