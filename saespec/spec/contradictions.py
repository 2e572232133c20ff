"""Fields of different sections of a cell that are each fine and do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .base import Conflict
from .baselines import Baseline, IcaSAE, NeuronBasisSAE, PcaSAE
from .loss import L0, AuxK, Loss, NoAuxiliary, PenaltyOfCodes
from .rules import Bricken, FallingRate, Taggart, Window
from .sae import GatedSAE, JumpReluSAE
from .train import Train

ICA_NUMBERS = 2**25
"""FastICA holds all its vectors in memory, several times over: at most so many numbers."""


def contradictions(cell: Any) -> Iterator[Conflict]:
    """What does not go together in a cell, or in a spec outside its sweep. Sections may be absent: they are wrong."""
    sae, data, train = (getattr(cell, name, None) for name in ("sae", "data", "train"))
    loss = getattr(cell, "loss", None)
    if isinstance(sae, Baseline):
        yield from _of_baseline(sae, data, train)
    elif sae and loss:
        yield from _of_penalty(sae, loss)
    if train and loss:
        yield from _of_rules(train, loss)
    if sae and train:
        yield from _of_products(sae, train, loss)


def _of_penalty(sae: Any, loss: Loss) -> Iterator[Conflict]:
    """What does not go with an architecture."""
    penalty, norm = loss.sparsity, sae.decoder_norm
    if isinstance(penalty, L0) and not isinstance(sae, JumpReluSAE):
        message = f"l0 is learned by thresholds, which kind: {sae.kind} has none of"
        yield Conflict("loss.sparsity.kind", message, "write kind: l1, or set sae.kind: jumprelu")
    if isinstance(penalty, PenaltyOfCodes):
        if penalty.weighted_by_norm and norm != "none":
            message = f"with decoder_norm: {norm} every element has the length 1"
            yield Conflict(
                "loss.sparsity.weighted_by_norm", message, "remove it, or set sae.decoder_norm: none"
            )
        if norm == "none" and not penalty.weighted_by_norm and penalty.coefficient > 0:
            message = (
                "codes could shrink to nothing while elements grow: the penalty says nothing of sparsity"
            )
            yield Conflict(
                "sae.decoder_norm", message, "set loss.sparsity.weighted_by_norm: true, or another norm"
            )
    if 2 ** (loss.prefixes - 1) > sae.latents:
        message = (
            f"{loss.prefixes} nested dictionaries need {2 ** (loss.prefixes - 1)} latents, not {sae.latents}"
        )
        yield Conflict("loss.prefixes", message)
    if isinstance(loss.auxiliary, AuxK) and loss.auxiliary.k > sae.latents:
        message = f"must be at most latents ({sae.latents}), not {loss.auxiliary.k}"
        yield Conflict("loss.auxiliary.k", message)
    if isinstance(sae, GatedSAE) and not isinstance(loss.auxiliary, NoAuxiliary):
        yield Conflict("loss.auxiliary", "kind: gated has an auxiliary loss of its own", "remove it")


def _of_rules(train: Train, loss: Loss) -> Iterator[Conflict]:
    """What does not go with the number of steps."""
    rules = {"loss.auxiliary": loss.auxiliary, "train.resample": train.resample}
    for path, rule in rules.items():
        if isinstance(rule, Window) and (steps := rule.window_steps(train.batch)) >= train.steps:
            message = f"no latent can be silent for {steps} steps: training takes {train.steps}"
            yield Conflict(f"{path}.window", message, "write a shorter one")
    if isinstance(train.resample, Bricken | Taggart):
        yield from _of_resampling(train, train.resample)
    if (
        isinstance(train.schedule.decay, FallingRate)
        and train.schedule.warmup + train.schedule.decay.last > 1
    ):
        message = "warm-up and decay together take more than all steps"
        yield Conflict("train.schedule.decay.last", message, "write smaller shares")


def _of_resampling(train: Train, rule: Bricken | Taggart) -> Iterator[Conflict]:
    """What leaves no step at which a latent could begin anew."""
    window, last = rule.window_steps(train.batch), rule.until // rule.every * rule.every
    if rule.until >= train.steps:
        message = f"must be before the last step ({train.steps}), not {rule.until}"
        yield Conflict("train.resample.until", message)
    if rule.every > rule.until:
        message = f"must be at most until ({rule.until}), or no latent begins anew"
        yield Conflict("train.resample.every", message)
    elif isinstance(rule, Taggart) and window > rule.every:
        message = f"must be at most every ({rule.every}): firing is counted anew for each look"
        yield Conflict("train.resample.window", message)
    elif last < window < train.steps:
        message = f"no latent can be silent for {window} steps by the last look, at step {last}"
        yield Conflict("train.resample.window", message, "write a shorter one, or look later")


def _of_products(sae: Any, train: Train, loss: Any) -> Iterator[Conflict]:
    """What sparse products cannot do."""
    if train.products != "sparse":
        return
    if isinstance(sae, JumpReluSAE | GatedSAE):
        message = f"kind: {sae.kind} learns from codes that are zero"
        yield Conflict("train.products", message, "remove it")
    elif loss and not isinstance(loss.auxiliary, NoAuxiliary):
        message = f"{loss.auxiliary.kind} learns from codes that are zero"
        yield Conflict("train.products", message, "remove it")
    elif loss and loss.prefixes > 1:
        yield Conflict("train.products", "nested dictionaries are multiplied densely", "remove it")


def _of_baseline(sae: Baseline, data: Any, train: Any) -> Iterator[Conflict]:
    if data and isinstance(sae, PcaSAE | IcaSAE) and sae.latents > data.dim:
        message = f"{sae.kind} finds at most as many components as there are dimensions ({data.dim})"
        yield Conflict("sae.latents", f"{message}, not {sae.latents}")
    if train and isinstance(sae, PcaSAE | IcaSAE) and train.steps * train.batch < sae.latents:
        message = f"{sae.latents} components need at least as many vectors, not {train.steps} × {train.batch}"
        yield Conflict("train.steps", message)
    if data and isinstance(sae, NeuronBasisSAE) and sae.latents != data.dim:
        message = f"must be the number of dimensions ({data.dim}) with kind: neuron_basis, not {sae.latents}"
        yield Conflict("sae.latents", message, f"write latents: {data.dim}")
    if train and train.precision != "float32":
        yield Conflict("train.precision", f"kind: {sae.kind} is fitted in double precision", "remove it")
    if train and train.products != "dense":
        yield Conflict("train.products", f"kind: {sae.kind} is fitted with dense products", "remove it")
    if data and train and isinstance(sae, IcaSAE):
        most = ICA_NUMBERS // (train.batch * data.dim)
        if train.steps > most:
            message = (
                f"ica holds all vectors in memory: at most {most} steps of {train.batch} × {data.dim} numbers"
            )
            yield Conflict("train.steps", f"{message}, not {train.steps}")
