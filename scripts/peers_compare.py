"""A hundred steps of saespec's stacks beside those of the trainers of dictionary-learning and sae-lens.

Both sides start from the same weights and see the same batches, in float64. Each side is configured to the same recipe;
where a peer cannot be, the smallest piece of it is patched (`peers_dictionary_learning.py`, `peers_saelens.py`), and
the piece is a departure, which is listed. Each departure is also left as the peer has it, once: then the two must
disagree, or it is none. Run by `scripts/peers`, which makes the peers' environments; exits 1 on any disagreement.

A stack holds two cells, of other starts, batches, learning rates and coefficients; a peer trains them one by one. The
loss is the reconstruction's and the penalty's, for gated the gate's too; that of the auxiliary loss is left out.

Legend: N cells of a stack, T steps, B samples, D dimensions, L latents, V candidates for resampling.
"""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saespec.plan.identity import cell_id
from saespec.plan.model import Cell
from saespec.sae import coder
from saespec.sae.activations.gated import Gated
from saespec.sae.loss import on_batch, parts
from saespec.sae.rules.resample import Resample
from saespec.sae.rules.schedule import penalty_share
from saespec.sae.stack import Stack
from saespec.spec.rules import Bricken
from saespec.spec.spec import CellConfig

CPU = torch.device("cpu")
N, T, B, D, L = 2, 100, 64, 24, 64
QUIET = 10
"""Latents that start so weak that they are seldom among the largest, or so biased that they are never active."""
TOLERANCE = 1e-12
"""Largest difference, as a share of the largest number of its kind."""
FLOAT32 = 1e-5
"""The same for what saespec keeps in float32, which is BatchTopK's threshold."""

HERE = Path(__file__).parent
PEERS = Path("build/peers")
SIDES = {
    "dictionary-learning": (PEERS / "dl/bin/python", HERE / "peers_dictionary_learning.py"),
    "sae-lens": (PEERS / "saelens/bin/python", HERE / "peers_saelens.py"),
}
"""A peer's Python, and the program that it runs."""

DEPARTURES = {
    "median_at_start": (
        "dictionary-learning sets the decoder's bias to the geometric median of the first batch, whatever "
        "it was. Gao et al. take that of a sample of the data; saespec offers it as `init.decoder_bias: "
        "geometric_median`, of the first 4,096 inputs. Both sides are given the bias here."
    ),
    "projection_epsilon": (
        "dictionary-learning divides elements by their length plus 1e-6 before it takes the gradient's part "
        "along them away, which leaves two millionths of it. Bricken et al. take it all away, and so does "
        "saespec."
    ),
    "clip_epsilon": (
        "Both peers clip with torch, which divides by the gradient's length plus 1e-6. No paper says so; "
        "saespec, like the code of Gao et al., clips to the length that was asked for."
    ),
    "aux_normalised": (
        "dictionary-learning divides the auxiliary loss by the variance of the error, but not the main loss "
        "by that of the input. Gao et al. write ‖e - ê‖² beside ‖x - x̂‖², and their code divides either by "
        "its variance; saespec divides neither, as the paper is written."
    ),
    "dead_counts_this_step": (
        "dictionary-learning counts a step before it asks who is dead in it, like the code of Gao et al., "
        "whose paper does not say; saespec, like sae-lens, calls dead who was silent in the steps before."
    ),
    "aux_grows_with_dead": (
        "sae-lens multiplies the auxiliary loss by the share of k_aux that is dead, while fewer are. Gao et "
        "al. do not, nor does saespec."
    ),
    "aux_takes_negatives": (
        "sae-lens decodes the chosen dead latents as they are, also negative ones. Gao et al. do not say; "
        "their code has a ReLU there, and so has saespec."
    ),
    "gate_trains_decoder": (
        "In sae-lens the gate's own reconstruction trains the decoder too. Rajamanoharan et al. 2024a take "
        "a frozen copy of the decoder for it, and so does saespec."
    ),
    "zeros_count_as_active": (
        "dictionary-learning counts a latent as active that TopK chose with a value of 0, where a sample "
        "has fewer than k positive ones. In Gao et al. an activation is what is not zero, and so it is in "
        "saespec."
    ),
    "single_precision": (
        "dictionary-learning computes the auxiliary loss in float32 whatever the weights are. saespec keeps "
        "to the type of its weights."
    ),
    "threshold_average": (
        "BatchTopK's threshold for use after training is the mean of the smallest value kept (Bussmann et "
        "al.). In a running mean dictionary-learning gives the first batch the weight of a thousand, sae-"
        "lens starts from 0; saespec corrects for the start, as Adam does."
    ),
    "log_threshold": (
        "Both peers train JumpReLU's threshold itself, sae-lens in float32 and clamped at 0. Rajamanoharan "
        "et al. train its logarithm, and so does saespec: it stays positive, and Adam's steps are in "
        "proportion to it."
    ),
    "counts_magnitudes": (
        "dictionary-learning asks the step function of L0 of what JumpReLU gives, not of what it takes, so "
        "that a threshold learns nothing of what is just below it. In Rajamanoharan et al.'s loss and its "
        "derivative it is asked of pre-activations, and so it is in saespec and sae-lens."
    ),
    "aims_at_l0": (
        "dictionary-learning's penalty is (L0 / target - 1)². The loss of Rajamanoharan et al. 2024b has λ "
        "L0, and so has saespec's."
    ),
    "counts_from_zero": (
        "dictionary-learning numbers steps from 0 in its schedules, sae-lens in that of the penalty: the "
        "first step of a warm-up takes a share of 0. No paper says so; in saespec step t, from 1, takes t "
        "of n parts, and a decay ends at its end."
    ),
    "draws_by_distance": (
        "dictionary-learning draws the inputs of resampled latents in proportion to ‖x - x̂‖, and only of "
        "the last batch. Bricken et al. draw in proportion to the squared loss, of 819,200 inputs; so does "
        "saespec, the loss being ‖x - x̂‖², of as many batches as are asked for. The draws of saespec are "
        "given to the peer here; that its distances agree is tested."
    ),
    "resampled_length": (
        "dictionary-learning multiplies the input itself by a fifth of the mean length of the encoders "
        "alive. In Bricken et al. the input is first brought to unit length, so that a new encoder is a "
        "fifth as long as others, and so it is in saespec."
    ),
    "resampled_off_centre": (
        "dictionary-learning takes the input as it is for the new direction, though the encoder subtracts a "
        "bias from it. Bricken et al. say the input vector and leave open which; saespec takes x - b, which "
        "the encoder is given."
    ),
    "rate_rises_anew": (
        "dictionary-learning's learning rate is 0 at each resampling and rises anew. Bricken et al. say "
        "nothing of it; in saespec it is so with the rule `taggart` alone."
    ),
}
"""What a peer does, what the paper says, and which of the two saespec follows."""


@dataclass(frozen=True)
class Case:
    """One recipe in two languages."""

    name: str
    peer: str
    trainer: str
    sae: dict[str, Any]
    loss: dict[str, Any]
    settings: dict[str, Any]
    """What the peer's trainer is made with; each cell's `lr` and its coefficient, under this name, are added."""
    departures: tuple[str, ...] = ()
    train: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    coefficient: str | None = None
    coefficients: tuple[float, ...] = (0.125, 0.25)
    rates: tuple[float, ...] = (1e-3, 3e-3)
    also: tuple[str, ...] = ()
    """What is compared besides parameters."""
    dead: bool = False
    """Whether some latents are never active; else they are weak."""

    @property
    def id(self) -> str:
        """A name for files and tables."""
        return f"{self.peer} {self.name}"

    def configs(self) -> list[CellConfig]:
        """The cells of its stack."""
        found = []
        for n in range(N):
            loss = {"reconstruction": "sum", "sparsity": "none", **self.loss}
            if self.coefficient:
                loss["sparsity"] = {
                    **self.loss["sparsity"],
                    "coefficient": self.coefficients[n],
                    "per": "sample",
                }
            adam = {"lr": self.rates[n], **self.train.get("optimizer", {})}
            sections = {
                "data": {"kind": "toy", "dim": D, "features": 32, "active": 3.0},
                "sae": {"latents": L, **self.sae},
                "loss": loss,
                "train": {"steps": T, "batch": B, **self.train, "optimizer": adam},
                "seed": n,
            }
            found.append(CellConfig.model_validate(sections))
        return found


EPSILONS = ("projection_epsilon", "clip_epsilon")
AUX = {"auxiliary": {"kind": "aux_k", "k": D // 2, "window": 6}}
AUX_DL = ("median_at_start", *EPSILONS, "aux_normalised", "dead_counts_this_step", "single_precision")
AT_ONCE = {"warmup_steps": 0, "sparsity_warmup_steps": None}
FIRST_MOMENT_OFF = {"optimizer": {"beta1": 0.0}}
DEAD_LENS = {"dead_feature_window": 5}  # more than so many steps
FREE = {"decoder_norm": "none", "decoder_bias": "shared"}
WEIGHTED = {"sparsity": {"kind": "l1", "weighted_by_norm": True}}
UNIT = {"decoder_norm": "unit_projected", "decoder_bias": "shared"}

CASES = [
    Case(
        "TopK, aux-k",
        "dictionary-learning",
        "TopKTrainer",
        {"kind": "topk", "k": 28, **UNIT},
        AUX,
        {"k": 28, "warmup_steps": 0},
        (*AUX_DL, "zeros_count_as_active"),
        train={"clip": 1.0},
        attributes={"top_k_aux": D // 2, "dead_feature_threshold": 6 * B},
    ),
    Case(
        "BatchTopK, aux-k",
        "dictionary-learning",
        "BatchTopKTrainer",
        {"kind": "batch_topk", "k": 8, **UNIT},
        AUX,
        {"k": 8, "warmup_steps": 0, "threshold_start_step": 0},
        (*AUX_DL, "threshold_average"),
        train={"clip": 1.0},
        attributes={"top_k_aux": D // 2, "dead_feature_threshold": 6 * B},
        also=("threshold",),
    ),
    Case(
        "JumpReLU, L0",
        "dictionary-learning",
        "JumpReluTrainer",
        {
            "kind": "jumprelu",
            "threshold": 0.25,
            "bandwidth": 0.125,
            "decoder_norm": "unit_projected",
            "decoder_bias": "learned",
        },
        {"sparsity": {"kind": "l0"}},
        {"bandwidth": 0.125, "target_l0": 8.0, **AT_ONCE},
        (*EPSILONS, "log_threshold", "counts_magnitudes", "aims_at_l0"),
        train={"clip": 1.0, **FIRST_MOMENT_OFF},
        coefficient="sparsity_penalty",
    ),
    Case(
        "gated",
        "dictionary-learning",
        "GatedSAETrainer",
        {"kind": "gated", **UNIT},
        {"sparsity": {"kind": "l1"}},
        AT_ONCE,
        train=FIRST_MOMENT_OFF,
        coefficient="l1_penalty",
    ),
    Case(
        "ReLU, L1, schedules",
        "dictionary-learning",
        "StandardTrainer",
        {"kind": "relu", **UNIT},
        {"sparsity": {"kind": "l1", "warmup": 0.3}},
        {"warmup_steps": 20, "sparsity_warmup_steps": 30, "decay_start": 60},
        ("counts_from_zero",),
        train={"schedule": {"warmup": 0.2, "decay": {"kind": "linear", "last": 0.4}}},
        coefficient="l1_penalty",
    ),
    Case(
        "ReLU, L1, resampling",
        "dictionary-learning",
        "StandardTrainer",
        {"kind": "relu", **UNIT},
        {"sparsity": {"kind": "l1"}},
        {"warmup_steps": 1, "sparsity_warmup_steps": None, "resample_steps": 30},
        (
            "counts_from_zero",
            "draws_by_distance",
            "resampled_off_centre",
            "resampled_length",
            "rate_rises_anew",
        ),
        train={"resample": {"kind": "bricken", "every": 30, "until": 99, "window": 16, "batches": 1}},
        coefficient="l1_penalty",
        dead=True,
    ),
    Case(
        "TopK, aux-k",
        "sae-lens",
        "TopKTrainingSAE",
        {"kind": "topk", "k": 28, **FREE},
        AUX,
        {"k": 28, "rescale_acts_by_decoder_norm": False, "aux_loss_coefficient": 1 / 32, **DEAD_LENS},
        ("clip_epsilon", "aux_grows_with_dead", "aux_takes_negatives"),
        train={"clip": 1.0},
    ),
    Case(
        "BatchTopK, aux-k",
        "sae-lens",
        "BatchTopKTrainingSAE",
        {"kind": "batch_topk", "k": 8, **FREE},
        AUX,
        {
            "k": 8.0,
            "rescale_acts_by_decoder_norm": False,
            "aux_loss_coefficient": 1 / 32,
            "topk_threshold_lr": 0.001,
            **DEAD_LENS,
        },
        ("clip_epsilon", "aux_grows_with_dead", "aux_takes_negatives", "threshold_average"),
        train={"clip": 1.0},
        also=("threshold",),
    ),
    Case(
        "JumpReLU, L0",
        "sae-lens",
        "JumpReLUTrainingSAE",
        {"kind": "jumprelu", "threshold": 0.25, "bandwidth": 0.125, **FREE},
        {"sparsity": {"kind": "l0"}},
        {"jumprelu_bandwidth": 0.125},
        ("clip_epsilon", "log_threshold"),
        train={"clip": 1.0},
        coefficient="l0_coefficient",
    ),
    Case(
        "gated",
        "sae-lens",
        "GatedTrainingSAE",
        {"kind": "gated", **FREE},
        WEIGHTED,
        {},
        ("clip_epsilon", "gate_trains_decoder"),
        train={"clip": 1.0},
        coefficient="l1_coefficient",
    ),
    Case(
        "ReLU, L1, warm-ups",
        "sae-lens",
        "StandardTrainingSAE",
        {"kind": "relu", **FREE},
        {"sparsity": {**WEIGHTED["sparsity"], "warmup": 0.3}},
        {"lr_warm_up_steps": 20, "l1_warm_up_steps": 30},
        ("clip_epsilon", "counts_from_zero"),
        train={"clip": 1.0, "schedule": {"warmup": 0.2}},
        coefficient="l1_coefficient",
    ),
]


def batches(n: int) -> Tensor:
    """Sparse sums of directions, off the origin, [T, B, D]."""
    draw = torch.Generator().manual_seed(100 + n)
    directions = torch.randn(32, D, generator=draw, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    codes = torch.rand(T, B, 32, generator=draw, dtype=torch.float64) + 0.5
    active = torch.rand(T, B, 32, generator=draw) < 0.1
    noise = torch.randn(T, B, D, generator=draw, dtype=torch.float64)
    return (codes * active) @ directions + 0.02 * noise + 0.1


def start(case: Case, n: int, own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Where a cell starts: nothing of it is zero or one, and some latents are weak or silent."""
    draw = torch.Generator().manual_seed(200 + n)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    decoder_LD = noise(L, D)
    decoder_LD /= decoder_LD.norm(dim=1, keepdim=True)
    encoder_LD = decoder_LD + 0.1 * noise(L, D)
    if case.sae["decoder_norm"] == "none":
        decoder_LD *= 0.5 + torch.rand(L, 1, generator=draw, dtype=torch.float64)
    found = {"encoder": encoder_LD, "decoder": decoder_LD}
    found |= {name: 0.1 * noise(*own[name].shape) for name in own if name not in found}
    if case.dead:
        found["bias"][:QUIET] = -10
    else:
        found["encoder"][:QUIET] *= 0.05
        found["bias"][:QUIET] *= 0.05
    if "log_threshold" in own:
        found["log_threshold"] += own["log_threshold"].double()
    return found


class Watched(Resample):
    """The rule, with a record of what it drew."""

    def __init__(self, rule: Bricken, stack: Stack, x_TNBD: Tensor) -> None:
        super().__init__(rule, stack, lambda t: (x_TNBD[t], x_TNBD[t]))
        self.drawn: list[list[tuple[Tensor, Tensor]]] = [[] for _ in stack.rows]
        """For each cell the loss of candidates, [V], and which were drawn."""

    def _chosen(self, loss_V: Tensor, number: int, draw: Any) -> Tensor:
        chosen = super()._chosen(loss_V, number, draw)
        self._last = loss_V.clone(), chosen
        return chosen

    def _replace(self, n: int, latents: Tensor, x_KD: Tensor, alive_L: Tensor) -> None:
        self.drawn[n].append(self._last)
        super()._replace(n, latents, x_KD, alive_L)


@dataclass
class Trained:
    """A stack after its steps."""

    start: list[dict[str, Tensor]]
    x_NTBD: Tensor
    weights: list[dict[str, Tensor]]
    losses: list[list[float]]
    drawn: list[list[tuple[Tensor, Tensor]]]


def trained(case: Case) -> Trained:
    """A case by saespec."""
    configs = case.configs()
    stack = Stack(tuple(Cell(cell_id(c), c) for c in configs), CPU, torch.float64)
    stack.initialise()
    x_NTBD = torch.stack([batches(n) for n in range(N)])
    starts = [start(case, n, {name: value[n] for name, value in stack.params.items()}) for n in range(N)]
    for n, begun in enumerate(starts):
        for name, value in begun.items():
            stack.params[name][n] = value
    rule = configs[0].train.resample
    x_TNBD = x_NTBD.transpose(0, 1).contiguous()
    resample = Watched(rule, stack, x_TNBD) if isinstance(rule, Bricken) else None
    losses: list[list[float]] = [[] for _ in range(N)]
    for t, x_NBD in enumerate(x_TNBD):
        stack.prepare(t)
        if resample:
            resample.before(t)
        w = {name: value.clone() for name, value in stack.gradients.observed().items()}
        stack.step(x_NBD, x_NBD)
        if resample:
            resample.after(t)
        for n, loss in enumerate(_losses(stack, w, x_NBD, t)):
            losses[n].append(loss)
    stack.finish()
    kept = {**stack.params, **stack.gradients.activation.learned()}
    weights = [{name: value[n].clone() for name, value in kept.items()} for n in range(N)]
    return Trained(starts, x_NTBD, weights, losses, resample.drawn if resample else [[] for _ in range(N)])


def _losses(stack: Stack, w: dict[str, Tensor], x_NBD: Tensor, t: int) -> Iterator[float]:
    """The loss of each cell on the batch of the step that was just made, with the weights from before it."""
    gradients, codes_NBL = stack.gradients, stack.gradients.codes_NBL
    penalised_NBL = gradients.activation.penalised(codes_NBL)
    error_NBD = coder.decode(w, codes_NBL) - x_NBD
    gate_NBD = coder.decode(w, penalised_NBL) - x_NBD
    for n, cell in enumerate(stack.rows):
        config, decoder_LD = cell.config, w["decoder"][n]
        found = on_batch(config, gradients.penalty, codes_NBL[n], penalised_NBL[n], decoder_LD, error_NBD[n])
        loss, reconstruction = found[0].item(), found[1].item()
        value = reconstruction + penalty_share(config.loss, config.train, t) * (loss - reconstruction)
        if isinstance(gradients.activation, Gated):
            squared, none = gate_NBD[n].square().sum(), torch.zeros(())
            value += parts(config, squared, none, x_NBD.shape[1])[1].item()
        yield value


def asked(case: Case, ours: Trained) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a peer is to train: each cell, and the first one again with each departure left."""
    for n, without in [(n, None) for n in range(N)] + [(0, name) for name in case.departures]:
        settings = {**case.settings, "lr": case.rates[n]}
        if case.coefficient:
            settings[case.coefficient] = case.coefficients[n]
        yield (
            f"{case.id} {n} {without or ''}",
            {
                "trainer": case.trainer,
                "settings": settings,
                "attributes": case.attributes,
                "start": ours.start[n],
                "x_TBD": ours.x_NTBD[n],
                "patches": [name for name in case.departures if name != without],
                "draws": [chosen for _, chosen in ours.drawn[n]],
                "also": list(case.also),
            },
        )


def difference(own: Tensor, other: Tensor) -> float:
    """The largest, as a share of the largest number."""
    return ((own.double() - other.double()).abs().max() / other.double().abs().max()).item()


def differences(ours: Trained, n: int, theirs: dict[str, Any]) -> dict[str, float]:
    """Of each weight, of the loss, and of what else is compared."""
    found = {name: difference(ours.weights[n][name], value) for name, value in theirs["weights"].items()}
    own, other = (torch.tensor(x, dtype=torch.float64) for x in (ours.losses[n], theirs["losses"]))
    found["loss"] = ((own - other).abs() / other.abs()).max().item()
    own_V, other_V = [loss_V for loss_V, _ in ours.drawn[n]], theirs["resample_distances"]
    if len(own_V) != len(other_V):
        found["resamplings"] = math.inf
    elif own_V:
        found["squared errors"] = difference(torch.cat(own_V), torch.cat(other_V).square())
    return found


def off(found: dict[str, float]) -> list[str]:
    """What is farther apart than it may be; also what is no number."""
    return [
        name for name, value in found.items() if not value <= (FLOAT32 if name == "threshold" else TOLERANCE)
    ]


def main() -> int:
    """Train, compare, print."""
    began = time.perf_counter()
    torch.set_num_threads(1)
    exchange = PEERS / "exchange"
    exchange.mkdir(parents=True, exist_ok=True)
    ours = {case.id: trained(case) for case in CASES}
    processes = {}
    for peer, (python, program) in SIDES.items():
        files = [exchange / f"{peer} {kind}.pt" for kind in ("asked", "found")]
        torch.save(
            dict(pair for case in CASES if case.peer == peer for pair in asked(case, ours[case.id])), files[0]
        )
        files[1].unlink(missing_ok=True)
        processes[peer] = subprocess.Popen([python, program, *files])
    found: dict[str, Any] = {}
    failures = []
    for peer, process in processes.items():
        if process.wait():
            failures.append(f"{peer} ended with {process.returncode}")
        else:
            found |= torch.load(exchange / f"{peer} found.pt")
    print(f"{T} steps, {N} cells of a stack, {D} dimensions, {L} latents, batches of {B}, float64.")
    print(
        f"Largest differences: {TOLERANCE:.0e} is allowed, {FLOAT32:.0e} of BatchTopK's threshold, a float32.\n"
    )
    print(
        f"{'peer':20} {'recipe':21} {'patches':>7}  {'loss':13} {'of weights':>10} {'of loss':>8}  of others"
    )
    left: dict[str, list[str]] = {name: [] for name in DEPARTURES}
    for case in CASES:
        own = ours[case.id]
        if f"{case.id} 0 " not in found:
            continue
        cells = [differences(own, n, found[f"{case.id} {n} "]) for n in range(N)]
        worst = {name: max(cell[name] for cell in cells) for name in cells[0]}
        wrong = off(worst)
        failures += [f"{case.id}: {name} differs by {worst[name]:.1e}" for name in wrong]
        of_weights = max(value for name, value in worst.items() if name in own.start[0])
        others = [
            f"{name} {value:.1e}" for name, value in worst.items() if name not in {*own.start[0], "loss"}
        ]
        fell = f"{own.losses[0][0]:5.2f} → {own.losses[0][-1]:.2f}"
        print(
            f"{case.peer:20} {case.name:21} {len(case.departures):7}  {fell:13} {of_weights:10.1e} "
            f"{worst['loss']:8.1e}  {', '.join(others + ['DISAGREES'] * bool(wrong))}"
        )
        for name in case.departures:
            apart = differences(own, 0, found[f"{case.id} 0 {name}"])
            left[name].append(f"{case.id} {max(apart.values()):.0e}")
            if not off(apart):
                failures.append(f"{case.id}: {name} makes no difference: it is no departure")
    print("\nDepartures, each patched above: what a peer does, what the paper says, what saespec follows.")
    print(
        "Where it is left as the peer has it, and all others are patched, something differs by what is told."
    )
    for name, said in DEPARTURES.items():
        print(f"\n{name}: {'; '.join(left[name]) or 'in no recipe'}")
        print(textwrap.fill(said, 118, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))
    print(f"\n{time.perf_counter() - began:.0f} s.")
    for failure in failures:
        print(f"DISAGREEMENT {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
