"""Each architecture in the words of saespec and of the peers; imports nothing of weight.

saespec's side does what the peers do: a decoder bias that is shared with the input, elements of unit length whose
gradient is projected, gradients clipped to norm 1. Eight SAEs of an architecture differ by coefficient, or, where k
says how sparse they are, by seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .sizes import Workload

K = 16
"""Active latents a sample, where the architecture fixes them."""
WINDOW = 1
"""Steps after which a silent latent counts as dead in an auxiliary loss: so few that it has something to do."""
LEVELS = 3
"""Nested dictionaries: a quarter of the latents, half of them, all."""
THRESHOLD, BANDWIDTH = 0.1, 0.3


def start(scale: float) -> dict[str, Any]:
    """Where saespec's weights start: random directions, as the peers', which are drawn sooner than orthogonal ones."""
    encoder = {"kind": "decoder_transposed", "scale": scale}
    return {"encoder": encoder, "decoder": "sphere", "bias": "zero"}


OWN = {
    "sae.decoder_bias": "shared",
    "sae.decoder_norm": "unit_projected",
    "sae.init": start(0.1),
    "train.clip": 1.0,
}
"""What saespec's side has in common."""


@dataclass(frozen=True)
class Peer:
    """How a peer calls it."""

    name: str
    """SAELens' class, or that of dictionary_learning's trainer, after its module."""
    options: Mapping[str, Any] = field(default_factory=dict)
    coefficient: str | None = None
    """The option that takes the sparsity coefficient."""


@dataclass(frozen=True)
class Architecture:
    """One architecture; a peer that does not have it is None."""

    fields: Mapping[str, Any]
    """Fields of saespec's cells, beside `OWN`."""
    saelens: Peer | None = None
    dictionary_learning: Peer | None = None
    window: int | None = None
    """Steps after which a silent latent counts as dead, where that is not as shipped."""

    @property
    def k(self) -> int | None:
        """Active latents a sample, if fixed."""
        k: int | None = self.fields.get("sae.k")
        return k

    @property
    def few_active(self) -> bool:
        """Whether it is measured where few of many latents are active, one dictionary at a time."""
        return self.k is not None and "loss.prefixes" not in self.fields

    @property
    def can_be_sparse(self) -> bool:
        """Whether saespec's sparse products are of use from the first steps on."""
        return self.few_active and "loss.auxiliary" not in self.fields


def architectures(sizes: Workload, steps: int) -> dict[str, Architecture]:
    """Every architecture at these sizes, for trainings of so many steps."""
    L, every = sizes.latents, max(2, steps // 4)
    topk = {"sae.kind": "topk", "sae.k": K, "loss.sparsity": {"kind": "none"}}
    batch_topk = {**topk, "sae.kind": "batch_topk"}
    auxiliary = {"loss.auxiliary": {"kind": "aux_k", "k": sizes.dim // 2, "window": WINDOW}}
    k, off = {"k": K}, {"aux_loss_coefficient": 0.0}
    widths = [L // 2 ** (LEVELS - 1 - i) for i in range(LEVELS)]
    shares = [(b - a) / L for a, b in zip([0, *widths], widths, strict=False)]
    relu = Peer("standard.StandardTrainer", {"resample_steps": None}, "l1_penalty")
    standard = Peer("StandardTrainingSAE", {"l1_warm_up_steps": 0}, "l1_coefficient")
    resample = {"kind": "bricken", "every": every, "until": steps - 1, "window": every // 2, "batches": 1}
    return {
        "relu": Architecture({}, standard, relu),
        "relu, tanh": Architecture({"loss.sparsity": {"kind": "tanh", "scale": 4.0, "per": "sample"}}),
        "relu, sqrt": Architecture({"loss.sparsity": {"kind": "sqrt", "per": "sample"}}),
        "relu, resampled": Architecture(
            {"train.resample": resample},
            None,
            Peer("standard.StandardTrainer", {"resample_steps": every, "warmup_steps": 1}, "l1_penalty"),
        ),
        "prolu": Architecture({"sae.kind": "prolu"}),
        "topk": Architecture(
            topk,
            Peer("TopKTrainingSAE", {**k, **off}),
            Peer("top_k.TopKTrainer", {**k, "auxk_alpha": 0.0}),
        ),
        "topk, aux_k": Architecture(
            topk | auxiliary,
            Peer("TopKTrainingSAE", k),
            Peer("top_k.TopKTrainer", k),
            WINDOW,
        ),
        "batch_topk": Architecture(
            batch_topk,
            Peer("BatchTopKTrainingSAE", {**k, **off}),
            Peer("batch_top_k.BatchTopKTrainer", {**k, "auxk_alpha": 0.0}),
        ),
        "batch_topk, aux_k": Architecture(
            batch_topk | auxiliary,
            Peer("BatchTopKTrainingSAE", k),
            Peer("batch_top_k.BatchTopKTrainer", k),
            WINDOW,
        ),
        "nested batch_topk, aux_k": Architecture(
            batch_topk | auxiliary | {"loss.prefixes": LEVELS},
            Peer("MatryoshkaBatchTopKTrainingSAE", {**k, "matryoshka_widths": widths}),
            Peer("matryoshka_batch_top_k.MatryoshkaBatchTopKTrainer", {**k, "group_fractions": shares}),
            WINDOW,
        ),
        "jumprelu": Architecture(
            {
                "sae.kind": "jumprelu",
                "sae.threshold": THRESHOLD,
                "sae.bandwidth": BANDWIDTH,
                "sae.init": start(1.0),
                "loss.sparsity": {"kind": "l0", "per": "sample"},
            },
            Peer(
                "JumpReLUTrainingSAE",
                {"jumprelu_init_threshold": THRESHOLD, "jumprelu_bandwidth": BANDWIDTH},
                "l0_coefficient",
            ),
            Peer(
                "jumprelu.JumpReluTrainer",
                {"bandwidth": BANDWIDTH, "sparsity_warmup_steps": None},
                "sparsity_penalty",
            ),
        ),
        "gated": Architecture(
            {"sae.kind": "gated"},
            Peer("GatedTrainingSAE", {"l1_warm_up_steps": 0}, "l1_coefficient"),
            Peer("gdm.GatedSAETrainer", {"sparsity_warmup_steps": None}, "l1_penalty"),
        ),
    }
