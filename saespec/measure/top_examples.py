"""The held-out text on which latents are most active.

Legend: C contexts, T tokens of a context, V held-out vectors, L latents, K chosen latents.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from saespec.data.language.models import load_model
from saespec.data.streams import Streams
from saespec.data.text.tokens import Tokens
from saespec.plan.project import store_folder
from saespec.sae.cosine import cosines
from saespec.spec.language.fields import meets
from saespec.spec.language_measures import TopExamples

from .columns import Columns
from .on_transformer import Placed, by_extraction
from .size_families import with_larger
from .trained import Trained


def measure(config: TopExamples, stacks: Sequence[Trained]) -> Columns:
    """For some latents of each wanted cell the tokens that activate them most, one a context, with the text around.

    All held-out activations are searched; equal activations are ranked by their place in the text.
    """
    columns = Columns()
    recurring = _recurring(stacks) if config.choose == "recurring" else {}
    for cells in by_extraction(stacks):
        wanted = [placed for placed in cells if meets(placed.cell.config, config.where)]
        if not wanted:
            continue
        data, device = wanted[0].data, wanted[0].trained.device
        tokenizer: Any = load_model(data, store_folder(Path.cwd()), Path.cwd(), device).tokenizer
        text = HeldOut(wanted[0].contexts, tokenizer)
        for placed in wanted:
            density_L = _density(placed)
            preferred_L = {"random": _shuffled(placed), "frequent": density_L}.get(config.choose)
            if preferred_L is None:
                preferred_L = recurring.get(placed.cell.id, np.full(len(density_L), np.nan))
            chosen_K = choose(preferred_L, density_L, config.latents)
            codes_VK = _codes(placed, chosen_K)
            for latent, codes_V in zip(chosen_K.tolist(), codes_VK.T, strict=True):
                for rank, v in enumerate(text.best(codes_V, config.examples), 1):
                    example = text.example(v, codes_V, config.before, config.after)
                    columns.add(
                        "examples",
                        cell=[placed.cell.id],
                        latent=[latent],
                        density=[float(density_L[latent])],
                        rank=[rank],
                        **{name: [value] for name, value in example.items()},
                    )
    return columns


def choose(
    preferred_L: NDArray[np.float64], density_L: NDArray[np.float64], number: int
) -> NDArray[np.int64]:
    """The latents that fire and are preferred most, best first; those without a preference (NaN) are left out."""
    alive = np.flatnonzero((density_L > 0) & ~np.isnan(preferred_L))
    return alive[np.argsort(-preferred_L[alive], kind="stable")][:number]


@dataclass
class HeldOut:
    """The held-out text: which token each vector belongs to, and how it reads."""

    contexts: Tokens
    tokenizer: Any

    def __post_init__(self) -> None:
        kept_CT = self.contexts.kept_CT
        self.context_V, self.position_V = np.nonzero(kept_CT)
        self.index_CT = np.where(kept_CT, kept_CT.ravel().cumsum().reshape(kept_CT.shape) - 1, -1)

    def best(self, codes_V: NDArray[np.float32], number: int) -> list[int]:
        """The vectors with the highest codes above 0, from as many contexts, highest first."""
        found: dict[int, int] = {}
        for v in np.argsort(-codes_V, kind="stable"):
            if len(found) == number or not codes_V[v] > 0:
                break
            found.setdefault(int(self.context_V[v]), int(v))
        return list(found.values())

    def example(self, v: int, codes_V: NDArray[np.float32], before: int, after: int) -> dict[str, Any]:
        """A vector's token with the text around it, as the table has it."""
        c, t = int(self.context_V[v]), int(self.position_V[v])
        ids_T = self.contexts.ids_CT[c]
        shown = [
            i
            for i in range(max(0, t - before), min(len(ids_T), t + after + 1))
            if self.contexts.mask_CT[c, i]
        ]
        texts = {i: self.tokenizer.decode([int(ids_T[i])]) for i in shown}
        codes = {i: _code(codes_V, int(self.index_CT[c, i])) for i in shown}

        def text(positions: list[int]) -> str:
            return str(self.tokenizer.decode([int(ids_T[i]) for i in positions]))

        return {
            "activation": float(codes_V[v]),
            "context": c,
            "position": t,
            "token": texts[t],
            "before": text([i for i in shown if i < t]),
            "after": text([i for i in shown if i > t]),
            "tokens": json.dumps([[texts[i], codes[i]] for i in shown], ensure_ascii=False),
        }


def _code(codes_V: NDArray[np.float32], v: int) -> float | None:
    """A code to four digits; None for a token without a vector."""
    return float(f"{codes_V[v]:.4g}") if v >= 0 else None


def _density(placed: Placed) -> NDArray[np.float64]:
    """Share of held-out tokens on which each latent is above 0, [L]."""
    counts_L, vectors = torch.zeros(placed.cell.config.sae.latents, dtype=torch.float64), 0
    for codes_VL in placed.held_out_codes():
        counts_L += (codes_VL > 0).sum(dim=0).cpu()
        vectors += len(codes_VL)
    density_L: NDArray[np.float64] = (counts_L / max(vectors, 1)).numpy()
    return density_L


def _codes(placed: Placed, chosen_K: NDArray[np.int64]) -> NDArray[np.float32]:
    """Codes of the chosen latents on all held-out tokens, [V, K]."""
    chosen = torch.from_numpy(chosen_K).to(placed.trained.device)
    codes_VK: NDArray[np.float32] = torch.cat(
        [codes_VL[:, chosen].cpu() for codes_VL in placed.held_out_codes()]
    ).numpy()
    return codes_VK


def _shuffled(placed: Placed) -> NDArray[np.float64]:
    config = placed.cell.config
    streams = Streams(f"top examples {config.seed}", torch.device("cpu"))
    return streams.host("latents").random(config.sae.latents)


def _recurring(stacks: Sequence[Trained]) -> dict[str, NDArray[np.float64]]:
    """By cell the highest cosine of each latent with one of the next larger dictionary, [L]."""
    return {
        cell.id: cosines(dictionary_LD, larger[0][1]).amax(dim=1).double().cpu().numpy()
        for (cell, dictionary_LD), larger in with_larger(stacks)
        if larger
    }
