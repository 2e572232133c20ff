"""What reconstructions do to the language model: its predictions with a site's activations replaced.

Legend: C contexts, T tokens of a context, W words of the vocabulary, P predicted tokens, D dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.data.activations.extract import refuse_other_model
from saespec.data.language.models import Loaded, load_model, made_by
from saespec.data.language.sites import replace
from saespec.errors import CallError
from saespec.plan.inputs import extraction_folder, site_key
from saespec.plan.project import store_folder
from saespec.spec.language_measures import LanguageModel

from .columns import Columns
from .on_transformer import Placed, by_extraction
from .trained import Trained

if TYPE_CHECKING:
    from saespec.data.text.tokens import Tokens

NUMBERS = 2**22
"""Logits in memory at once: contexts pass through the model in blocks of about so many."""

Change = Callable[[Tensor], Tensor]
"""From a site's activations [C, T, D] to what takes their place."""


class Predictions:
    """Sums over predicted tokens: how far predictions are from the next tokens, and from the original ones."""

    def __init__(self) -> None:
        self.tokens = 0
        self.cross_entropy = 0.0
        self.divergence = 0.0

    def add(self, log_q_PW: Tensor, target_P: Tensor, log_p_PW: Tensor, p_PW: Tensor) -> None:
        """Add a block of log-probabilities q, with the untouched model's p beside them."""
        self.tokens += len(target_P)
        self.cross_entropy -= log_q_PW.gather(1, target_P[:, None]).sum(dtype=torch.float64).item()
        kl_P = (p_PW * (log_p_PW - log_q_PW)).sum(dim=1)
        self.divergence += kl_P.sum(dtype=torch.float64).item()

    @property
    def ce(self) -> float:
        """Cross-entropy with the next token, nats a token."""
        return self.cross_entropy / self.tokens

    @property
    def kl(self) -> float:
        """KL divergence from the untouched model's predictions, nats a token."""
        return self.divergence / self.tokens


def measure(config: LanguageModel, stacks: Sequence[Trained]) -> Columns:
    """Cross-entropy and KL divergence with a cell's reconstructions in place of the activations.

    Also untouched, zeroed, and with the mean vector. Only tokens whose activations are in the store are
    replaced: with `bos: skip` the first one stays, with `special_tokens: skip` every special one.
    Raises CallError for a model that does not predict next tokens.
    """
    columns = Columns()
    for cells in by_extraction(stacks):
        untouched, zeroed, averaged, spliced = _predictions(config, cells)
        for i, placed in enumerate(cells):
            site = site_key(placed.data.site)
            zero, mean, own = zeroed[site], averaged[site], spliced[i]
            columns.add(
                "cells",
                cell=[placed.cell.id],
                ce=[untouched.ce],
                ce_zero=[zero.ce],
                ce_mean=[mean.ce],
                ce_spliced=[own.ce],
                reconstruction_score=[score(zero.ce, own.ce, untouched.ce)],
                nats_lost=[own.ce - untouched.ce],
                kl=[own.kl],
                kl_zero=[zero.kl],
                perplexity=[_exp(untouched.ce)],
                perplexity_spliced=[_exp(own.ce)],
            )
    return columns


def score(zeroed: float, spliced: float, untouched: float) -> float | None:
    """(CE_zero - CE_spliced) / (CE_zero - CE): None where zeroing the site changes nothing."""
    return (zeroed - spliced) / (zeroed - untouched) if zeroed != untouched else None


def _exp(cross_entropy: float) -> float:
    return math.exp(cross_entropy) if cross_entropy < 700 else math.inf


def _predictions(
    config: LanguageModel, cells: Sequence[Placed]
) -> tuple[Predictions, dict[str, Predictions], dict[str, Predictions], list[Predictions]]:
    """Of the model untouched; by site zeroed and averaged; and with each cell's reconstructions.

    One block of contexts at a time, and of it one change after the other: the untouched predictions of a block are
    made once for all cells, and memory does not grow.
    """
    data, device = cells[0].data, cells[0].trained.device
    loaded = load_model(data, store_folder(Path.cwd()), Path.cwd(), device)
    _refuse_other_models(loaded)
    refuse_other_model(extraction_folder(store_folder(Path.cwd()), data), made_by(data, loaded))
    sites = {site_key(placed.data.site): placed for placed in cells}
    untouched, spliced = Predictions(), [Predictions() for _ in cells]
    zeroed, averaged = ({site: Predictions() for site in sites} for _ in range(2))
    for block in blocks(cells[0].contexts, config.contexts, loaded.vocab, device):
        log_p_PW = block.predictions(loaded)
        original = block.target_P, log_p_PW, log_p_PW.exp()
        untouched.add(log_p_PW, *original)

        changes: list[tuple[Predictions, Placed, Change]] = [
            *((zeroed[site], placed, torch.zeros_like) for site, placed in sites.items()),
            *((averaged[site], placed, placed.mean) for site, placed in sites.items()),
            *((into, placed, placed.reconstruct) for placed, into in zip(cells, spliced, strict=True)),
        ]
        for into, placed, change in changes:
            into.add(block.predictions(loaded, placed, change), *original)
    return untouched, zeroed, averaged, spliced


@dataclass(frozen=True)
class Block:
    """Some contexts, on the model's device."""

    ids_CT: Tensor
    mask_CT: Tensor
    kept_CT: Tensor
    """Tokens whose activations are replaced."""

    @property
    def target_P(self) -> Tensor:
        """The tokens to predict: all but each context's first, and padding."""
        return self.ids_CT[:, 1:][self.mask_CT[:, 1:]]

    @torch.no_grad()
    def predictions(
        self, loaded: Loaded, placed: Placed | None = None, change: Change | None = None
    ) -> Tensor:
        """Log-probabilities [P, W] of the next token, with a cell's site changed or not, float32."""
        model: Any = loaded.model
        spliced: AbstractContextManager[None] = nullcontext()
        if placed is not None and change is not None:

            def kept_changed(x_CTD: Tensor) -> Tensor:
                return torch.where(self.kept_CT[:, :, None], change(x_CTD).to(x_CTD.dtype), x_CTD)

            spliced = replace(model, placed.data.site, kept_changed)
        with spliced:
            logits_CTW = model(input_ids=self.ids_CT, attention_mask=self.mask_CT.long()).logits
        predicted_PW: Tensor = logits_CTW[:, :-1][self.mask_CT[:, 1:]]
        return predicted_PW.float().log_softmax(dim=1)


def blocks(contexts: Tokens, most: int, vocab: int, device: torch.device) -> list[Block]:
    """Contexts spread evenly over the held-out part, in blocks that the logits of fit in memory."""
    number, length = contexts.ids_CT.shape
    chosen_C, size = spread(number, most), max(1, NUMBERS // (length * vocab))
    return [
        Block(
            torch.from_numpy(contexts.ids_CT[rows]).long().to(device),
            torch.from_numpy(contexts.mask_CT[rows]).to(device),
            torch.from_numpy(contexts.kept_CT[rows]).to(device),
        )
        for rows in (chosen_C[i : i + size] for i in range(0, len(chosen_C), size))
    ]


def spread(number: int, most: int) -> NDArray[np.int64]:
    """Places of at most so many contexts among `number`, evenly spread: neighbours are of one document."""
    chosen = min(most, number)
    return np.arange(chosen, dtype=np.int64) * number // max(1, chosen)


def _refuse_other_models(loaded: Loaded) -> None:
    name = type(loaded.model).__name__
    if not name.endswith(("ForCausalLM", "LMHeadModel")):
        raise CallError(
            f"measure language_model: a {name} does not predict next tokens; remove language_model from measure"
        )
