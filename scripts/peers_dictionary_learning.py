"""The side of dictionary-learning 0.1.0: its own trainers, trained on the batches and from the weights it is given.

Runs in an environment of its own and imports nothing of saespec. A patch takes one departure away, and leaves the rest
of the trainer as it is; what each is about stands in `peers_compare.DEPARTURES`.

Legend: B samples, D dimensions, L latents, T steps, R latents that are resampled.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor

for _name in ("nnsight", "wandb"):  # imported by the package, of no use where vectors are given
    sys.modules[_name] = types.ModuleType(_name)
sys.modules["nnsight"].LanguageModel = object  # type: ignore[attr-defined]

TRAINERS = {
    "TopKTrainer": "top_k",
    "BatchTopKTrainer": "batch_top_k",
    "JumpReluTrainer": "jumprelu",
    "GatedSAETrainer": "gdm",
    "StandardTrainer": "standard",
}
"""Their modules."""

NAMES = {
    "encoder": ("encoder.weight", "W_enc.T"),
    "decoder": ("decoder.weight.T", "W_dec"),
    "bias": ("encoder.bias", "b_enc", "gate_bias"),
    "decoder_bias": ("b_dec", "bias", "decoder_bias"),
    "log_threshold": ("parametrizations.threshold.original", "threshold"),
    "r_mag": ("r_mag",),
    "b_mag": ("mag_bias",),
    "threshold": ("threshold",),
}
"""Where what saespec calls so may be found in a dictionary; the first that is there is it."""


class Run:
    """One trainer, as made for one cell."""

    def __init__(self, given: dict[str, Any], patched: contextlib.ExitStack) -> None:
        self.given, self.patched = given, patched
        self.module = importlib.import_module(f"dictionary_learning.trainers.{TRAINERS[given['trainer']]}")
        settings = dict(given["settings"])
        if "log_threshold" in given["patches"]:
            settings["dict_class"] = _with_log_threshold(self.module.JumpReluAutoEncoder)
        sizes = {"activation_dim": given["x_TBD"].shape[2], "dict_size": len(given["start"]["encoder"])}
        common = {"steps": len(given["x_TBD"]), "layer": 0, "lm_name": "", "device": "cpu", **sizes}
        self.trainer = getattr(self.module, given["trainer"])(**common, **settings)
        self.trainer.ae.double()
        for name, value in given["attributes"].items():
            assert hasattr(self.trainer, name)
            setattr(self.trainer, name, value)
        for name, value in given["start"].items():
            if name == "log_threshold" and "log_threshold" not in given["patches"]:
                value = value.exp()
            self.weight(name).data.copy_(value)
        self.first = 0
        """The number of the first step."""
        self.before: list[Callable[[int], object]] = []
        """What is called before each step, with how many came before it."""
        self.aux = 0.0
        self.drawn: list[Tensor] = []
        self.distances: list[Tensor] = []
        for name in given["patches"]:
            PATCHES[name](self)

    def weight(self, name: str) -> Tensor:
        """A parameter or buffer, cells' name for it."""
        for path in NAMES[name]:
            with contextlib.suppress(AttributeError):
                value: Any = self.trainer.ae
                for part in path.split("."):
                    value = getattr(value, part)
                if isinstance(value, Tensor):
                    return value
        raise KeyError(name)

    def train(self) -> dict[str, Any]:
        """All steps: weights and losses."""
        losses: list[float] = []
        loss, auxiliary = self.trainer.loss, getattr(self.trainer, "get_auxiliary_loss", None)

        def told_aux(*args: Any) -> Any:
            assert auxiliary
            found = auxiliary(*args)
            self.aux = self.trainer.auxk_alpha * found.item()
            return found

        def told(*args: Any, **kwargs: Any) -> Any:
            found = loss(*args, **kwargs)
            losses.append(found.item() - self.aux)
            return found

        self.trainer.loss = told
        if auxiliary:
            self.trainer.get_auxiliary_loss = told_aux
        with mock.patch.object(torch, "multinomial", self._multinomial):
            for t, x_BD in enumerate(self.given["x_TBD"]):
                for call in self.before:
                    call(t)
                self.trainer.update(self.first + t, x_BD)
        names = [*self.given["start"], *self.given["also"]]
        weights = {name: self.weight(name).detach().clone().contiguous() for name in names}
        if "log_threshold" in weights and "log_threshold" not in self.given["patches"]:
            weights["log_threshold"].log_()
        return {"weights": weights, "losses": losses, "resample_distances": self.distances}

    def _multinomial(self, weights: Tensor, num_samples: int, replacement: bool) -> Tensor:
        self.distances.append(weights.clone())
        chosen = _MULTINOMIAL(weights, num_samples=num_samples, replacement=replacement)
        draws = self.given["draws"][len(self.drawn) :]
        if "draws_by_distance" in self.given["patches"] and draws and len(draws[0]) == len(chosen):
            chosen = draws[0]  # else others are dead, and nothing will agree
        self.drawn.append(chosen)
        return chosen


_MULTINOMIAL = torch.multinomial


class _Exp(torch.nn.Module):
    """A threshold as the exponential of what is trained."""

    def forward(self, log: Tensor) -> Tensor:
        return log.exp()

    def right_inverse(self, value: Tensor) -> Tensor:
        return value.log()


def _with_log_threshold(dictionary: type) -> type:
    class WithLogThreshold(dictionary):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            torch.nn.utils.parametrize.register_parametrization(self, "threshold", _Exp())

    return WithLogThreshold


def log_threshold(run: Run) -> None:
    """Done where the dictionary is made: its optimiser must know."""


def clip_epsilon(run: Run) -> None:
    """Clip to the length itself."""

    def clip(parameters: Any, longest: float) -> None:
        grads = [p.grad for p in parameters if p.grad is not None]
        length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads]))
        for grad in grads:
            grad.mul_(longest / length.clamp(min=longest))

    run.patched.enter_context(mock.patch.object(torch.nn.utils, "clip_grad_norm_", clip))


def projection_epsilon(run: Run) -> None:
    """Project along elements as they are, of unit length."""

    def project(decoder_DL: Tensor, grad_DL: Tensor, dim: int, latents: int) -> Tensor:
        return grad_DL - (grad_DL * decoder_DL).sum(dim=0) * decoder_DL

    name = "remove_gradient_parallel_to_decoder_directions"
    run.patched.enter_context(mock.patch.object(run.module, name, project))


def median_at_start(run: Run) -> None:
    """Number steps from 1: what is done at step 0 is not done."""
    run.first = 1


def counts_from_zero(run: Run) -> None:
    """Number steps from 1, the schedule's too."""
    run.first = 1
    with warnings.catch_warnings(action="ignore"):  # that the optimiser made no step
        run.trainer.scheduler.step()


def single_precision(run: Run) -> None:
    """Casts to float32 are casts to float64."""
    run.patched.enter_context(mock.patch.object(torch.Tensor, "float", torch.Tensor.double))


def aux_normalised(run: Run) -> None:
    """The auxiliary loss as it is before it is normalised."""
    own = run.trainer.get_auxiliary_loss

    def plain(residual_BD: Tensor, acts_BL: Tensor) -> Tensor:
        found: Tensor = own(residual_BD, acts_BL)
        loss = run.trainer.pre_norm_auxk_loss
        return loss if isinstance(loss, Tensor) else found

    run.trainer.get_auxiliary_loss = plain


def dead_counts_this_step(run: Run) -> None:
    """Dead is who was before the step."""
    trainer = run.trainer
    before = [trainer.num_tokens_since_fired.clone()]
    own = trainer.get_auxiliary_loss

    def auxiliary(residual_BD: Tensor, acts_BL: Tensor) -> Tensor:
        now, trainer.num_tokens_since_fired = trainer.num_tokens_since_fired, before[0]
        found: Tensor = own(residual_BD, acts_BL)
        trainer.num_tokens_since_fired = now
        return found

    def remember(t: int) -> None:
        before[0] = trainer.num_tokens_since_fired.clone()

    trainer.get_auxiliary_loss = auxiliary
    run.before.append(remember)


def zeros_count_as_active(run: Run) -> None:
    """Only what is positive counts."""
    own = run.trainer.ae.encode

    def encode(*args: Any, **kwargs: Any) -> Any:
        codes_BL, values_BK, indices_BK, acts_BL = own(*args, **kwargs)
        return codes_BL, values_BK, indices_BK[values_BK > 0], acts_BL

    run.trainer.ae.encode = encode


def threshold_average(run: Run) -> None:
    """A running mean with a decay that grows: it then weighs the first batch like any other."""
    decay = run.trainer.threshold_beta

    def adapt(t: int) -> None:
        run.trainer.threshold_beta = 1 - (1 - decay) / (1 - decay ** (t + 1))

    run.before.append(adapt)


def counts_magnitudes(run: Run) -> None:
    """The step function is asked of pre-activations."""
    jump, step, module = run.module.JumpReLUFunction, run.module.StepFunction, run.module
    kept: list[Tensor] = []

    def jumped(pre_BL: Tensor, threshold_L: Tensor, bandwidth: float) -> Any:
        kept[:] = [pre_BL]
        return jump.apply(pre_BL, threshold_L, bandwidth)

    def stepped(codes_BL: Tensor, threshold_L: Tensor, bandwidth: float) -> Any:
        return step.apply(kept[0], threshold_L, bandwidth)

    for name, function in (("JumpReLUFunction", jumped), ("StepFunction", stepped)):
        stand_in = types.SimpleNamespace(apply=function)
        run.patched.enter_context(mock.patch.object(module, name, stand_in))


def aims_at_l0(run: Run) -> None:
    """The penalty in proportion to the number of active latents."""
    trainer, module = run.trainer, run.module
    own, coefficient = trainer.loss, trainer.sparsity_coefficient
    trainer.sparsity_coefficient = 0.0

    def loss(x_BD: Tensor, step: int, **kwargs: Any) -> Any:
        pre_BL = trainer.ae.encode(x_BD, output_pre_jump=True)[1]
        of = trainer.ae.threshold, trainer.bandwidth
        active_BL = module.StepFunction.apply(module.JumpReLUFunction.apply(pre_BL, *of), *of)
        return own(x_BD, step, **kwargs) + coefficient * active_BL.sum(dim=-1).mean()

    trainer.loss = loss


def draws_by_distance(run: Run) -> None:
    """Inputs are those that saespec drew: see `Run._multinomial`."""


def resampled_off_centre(run: Run) -> None:
    """New directions are of inputs less the bias that the encoder subtracts."""

    def centre(dead_L: Tensor, x_BD: Tensor) -> None:
        ae = run.trainer.ae
        x_RD = x_BD[run.drawn[-1]] - ae.bias
        alive = ae.encoder.weight[~dead_L].norm(dim=-1).mean()
        ae.encoder.weight[dead_L] = x_RD * alive * 0.2
        ae.decoder.weight[:, dead_L] = (x_RD / x_RD.norm(dim=-1, keepdim=True)).T

    _after_resampling(run, centre)


def resampled_length(run: Run) -> None:
    """New encoders have a fifth of the others' length, whatever the input's."""

    def shorten(dead_L: Tensor, x_BD: Tensor) -> None:
        weight_LD = run.trainer.ae.encoder.weight
        alive = weight_LD[~dead_L].norm(dim=-1).mean()
        weight_LD[dead_L] = weight_LD[dead_L] / weight_LD[dead_L].norm(dim=-1, keepdim=True) * alive * 0.2

    _after_resampling(run, shorten)


def _after_resampling(run: Run, also: Callable[[Tensor, Tensor], None]) -> None:
    own = run.trainer.resample_neurons

    def resample(dead_L: Tensor, x_BD: Tensor) -> None:
        found_L = dead_L.clone()
        own(dead_L, x_BD)
        if found_L.any():
            with torch.no_grad():
                also(found_L, x_BD)

    run.trainer.resample_neurons = resample


def rate_rises_anew(run: Run) -> None:
    """The learning rate stays."""
    run.trainer.scheduler.lr_lambdas = [lambda step: 1.0]
    run.trainer.optimizer.param_groups[0]["lr"] = run.trainer.lr


PATCHES: dict[str, Callable[[Run], None]] = {
    patch.__name__: patch
    for patch in (
        aims_at_l0,
        aux_normalised,
        clip_epsilon,
        counts_from_zero,
        counts_magnitudes,
        dead_counts_this_step,
        draws_by_distance,
        log_threshold,
        median_at_start,
        projection_epsilon,
        rate_rises_anew,
        resampled_length,
        resampled_off_centre,
        single_precision,
        threshold_average,
        zeros_count_as_active,
    )
}


def main(given: str, found: str) -> None:
    """Train what one file asks for, and write another."""
    torch.set_num_threads(1)
    results = {}
    for name, asked in torch.load(given).items():
        with contextlib.ExitStack() as patched, contextlib.redirect_stdout(open(os.devnull, "w")):
            results[name] = Run(asked, patched).train()
    torch.save(results, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
