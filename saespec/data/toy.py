"""Toy activations with known ground truth (Sharkey, Braun & Millidge 2022, "Toy dataset generation").

Legend: B samples in a batch, G ground-truth features, D dimensions. float32 unless said otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.plan.identity import canonical_json
from saespec.spec.toy import Decay, Groups, RandomCorrelation, ToyData

from .ahead import AT_ONCE, Ahead
from .streams import Streams
from .toy_groups import activity, simplices

CHUNK = 16
"""Batches whose probabilities are computed together."""

DRAWN_FLOATS = 2**22
"""How much may be drawn before it is needed."""


class Toy:
    """x = F(b ⊙ u) with unit directions F, Bernoulli activity b and uniform coefficients u.

    `truth_GD` holds the feature directions. Batches are a function of (configuration, seed, part, t), and what is
    drawn for them of the shapes, the seed, the purpose and t: data that differ in a noise, a decay or a correlation
    have the same features, and the same chances of each.
    """

    def __init__(self, config: ToyData, seed: int, device: torch.device) -> None:
        self.config = config
        shape = {"data": config.kind, "dim": config.dim, "features": config.features}
        self.streams = streams = Streams(canonical_json({**shape, "seed": seed}), device)
        self.truth_GD = _truth(config, streams).to(streams.device)
        self._index_G = torch.arange(config.features, dtype=torch.float32, device=streams.device)
        self._chunk: tuple[str, int, int] | None = None
        self._probabilities_TG = torch.empty(0)
        self._ahead: dict[int, Ahead[tuple[Tensor, Tensor]]] = {}
        self._factor_GK: Tensor | None = None
        self._codes: tuple[tuple[str, int, int], Tensor] | None = None
        if isinstance(config.correlation, RandomCorrelation):
            draw = streams.host(f"covariance {config.correlation.covariance}")
            factor = correlation_factor(config.features, config.correlation, draw)
            self._factor_GK = torch.tensor(factor, dtype=torch.float32, device=streams.device)

    @property
    def truth(self) -> Toy:
        """Itself: its features are known."""
        return self

    def chance_dictionary(self, latents: int) -> Tensor:
        """A dictionary that knows nothing but how directions are distributed, [latents, D]."""
        generator = self.streams.host(f"chance/{latents}")
        return directions(self.config, latents, generator).to(self.streams.device)

    def batch(self, part: str, t: int, size: int) -> Tensor:
        """Batch t of a part ("train", "held-out"): activations x, [size, D]."""
        codes_BG = self.codes(part, t, size)
        x_BD = codes_BG @ self.truth_GD
        jitter, noise = self.config.jitter, self.config.background_noise
        if jitter:
            # Each active direction is off by N(0, jitter²/D) anew; a sum of such errors, weighted by the
            # codes, is itself normal with the codes' length as its scale.
            length_B1 = codes_BG.norm(dim=1, keepdim=True)
            error_BD = self.streams.normal(f"{part}/jitter", t, size, self.config.dim)
            x_BD = x_BD + length_B1 * error_BD * (jitter / math.sqrt(self.config.dim))
        if noise:
            x_BD = x_BD + noise * self.streams.normal(f"{part}/background", t, size, self.config.dim)
        return x_BD

    def disturbance(self, part: str, t: int, size: int) -> Tensor | None:
        """What the inputs of batch t have besides: noise of features that are inactive, [size, D]."""
        if not self.config.off_noise:
            return None
        uniform_BG = self.streams.uniform(f"{part}/off", t, size, self.config.features)
        off_BG = uniform_BG * (self.codes(part, t, size) == 0)
        return (off_BG @ self.truth_GD).mul_(self.config.off_noise)

    def codes(self, part: str, t: int, size: int) -> Tensor:
        """True coefficients b ⊙ u of batch t, [size, G]; zero where a feature is inactive."""
        if not self.config.off_noise:
            return self._made_codes(part, t, size)
        # Asked for twice, for the batch and for its disturbance: `Ahead` would draw anew the second time.
        if self._codes is None or self._codes[0] != (part, t, size):
            self._codes = (part, t, size), self._made_codes(part, t, size)
        return self._codes[1]

    def _made_codes(self, part: str, t: int, size: int) -> Tensor:
        low, high = self.config.coefficients.low, self.config.coefficients.high
        active_BG, codes_BG = self._drawn(part, t, size)
        if shared := self.config.coefficients.shared:
            which_B, one_B = self.streams.uniform(f"{part}/shared", t, 2, size)
            codes_BG = torch.where((which_B < shared)[:, None] & active_BG, one_B[:, None], codes_BG)
        if (low, high) != (0.0, 1.0):
            codes_BG = codes_BG * (high - low) + active_BG * low
        if self.config.empty_rows == "fill":
            one_B = self.streams.uniform(f"{part}/fill", t, size).mul(self.config.features).long()
            empty_B = ~active_BG.any(dim=1)
            codes_BG[torch.arange(size, device=codes_BG.device), one_B] += empty_B.float()
        return codes_BG

    def _drawn(self, part: str, t: int, size: int) -> tuple[Tensor, Tensor]:
        """Activity (bool) and uniform coefficients where active, [size, G] each."""
        if self.streams.device.type != "cpu":
            return self._job(part, t, size)()
        if size not in self._ahead:
            at_once = min(AT_ONCE, DRAWN_FLOATS // (size * self.config.features))
            self._ahead[size] = Ahead(lambda part, t: self._job(part, t, size), at_once)
        return self._ahead[size](part, t)

    def _job(self, part: str, t: int, size: int) -> Callable[[], tuple[Tensor, Tensor]]:
        if isinstance(groups := self.config.correlation, Groups):

            def drawn() -> tuple[Tensor, Tensor]:
                uniform_BK2 = self.streams.uniform(f"{part}/groups", t, size, groups.groups + 2)
                active_BG = activity(groups, self.config.features, uniform_BK2)
                return active_BG, self.streams.uniform_where(f"{part}/coefficients", t, active_BG)

            return drawn
        p_BG = self.probabilities(part, t, size)

        def draw() -> tuple[Tensor, Tensor]:
            uniform_BG = self.streams.uniform(f"{part}/activity", t, size, self.config.features)
            if self.streams.device.type == "cpu":
                active_BG = torch.from_numpy(uniform_BG.numpy() < p_BG.numpy())
            else:
                active_BG = uniform_BG < p_BG
            return active_BG, self.streams.uniform_where(f"{part}/coefficients", t, active_BG)

        return draw

    def probabilities(self, part: str, t: int, size: int) -> Tensor:
        """Probability of each feature to be active in batch t: [1, G], or [size, G] if drawn per sample."""
        if (
            isinstance(self.config.correlation, RandomCorrelation)
            and self.config.correlation.draw == "sample"
        ):
            return self._probabilities(self._white(part, t, size))
        # One vector a batch: made for several batches at once, for it is the fixed cost that counts.
        if self._chunk != (part, t // CHUNK, size):
            first = t // CHUNK * CHUNK
            white = [self._white(part, first + i, 1) for i in range(CHUNK)]
            self._chunk = part, t // CHUNK, size
            self._probabilities_TG = self._probabilities(torch.cat(white))
        return self._probabilities_TG[t % CHUNK : t % CHUNK + 1]

    def _white(self, part: str, t: int, rows: int) -> Tensor:
        if self._factor_GK is None:
            return torch.empty(rows, 0, device=self.streams.device)
        return self.streams.normal(f"{part}/correlation", t, rows, self._factor_GK.shape[1])

    def _probabilities(self, white_RK: Tensor) -> Tensor:
        """Probabilities [R, G] from rows of white noise; rows do not depend on each other."""
        p_RG = torch.full((len(white_RK), self.config.features), 0.5, device=self.streams.device)
        if self._factor_GK is not None:
            p_RG = torch.special.ndtr(white_RK @ self._factor_GK.T)
        if isinstance(self.config.decay, Decay):
            rate = self.config.decay.rate
            if self.config.decay.rule == "multiply":
                p_RG = p_RG * rate**self._index_G
            else:  # powers of hundreds: float32 ends at 1e-45
                p_RG = p_RG.double() ** (rate * self._index_G)
        return rescale(p_RG, self.config.active).float()


def rescale(p_RG: Tensor, active: float) -> Tensor:
    """Scale each row of probabilities so that it sums to `active` and none exceeds 1."""
    scaled_RG = p_RG * (active / p_RG.sum(dim=1, keepdim=True))
    if scaled_RG.max() <= 1:
        return scaled_RG
    # With the m largest at 1, the others share what is left: the smallest m for which they fit.
    sorted_RG = p_RG.sort(dim=1, descending=True).values
    rest_RG = sorted_RG.flip(1).cumsum(dim=1).flip(1)
    factor_RG = (active - torch.arange(p_RG.shape[1], device=p_RG.device)) / rest_RG
    m_R1 = (factor_RG * sorted_RG <= 1).int().argmax(dim=1, keepdim=True)
    return (p_RG * factor_RG.gather(1, m_R1)).clamp(max=1.0)


def _truth(config: ToyData, streams: Streams) -> Tensor:
    """The features' directions, [G, D]."""
    if config.directions == "simplex":
        assert isinstance(config.correlation, Groups)
        return simplices(config.correlation, config.features, config.dim)
    return directions(config, config.features, streams.host("truth"))


def directions(config: ToyData, number: int, generator: np.random.Generator) -> Tensor:
    """Random unit directions, [number, D]: normalised Gaussians, or their absolute values."""
    rows = generator.standard_normal((number, config.dim))
    if config.directions == "positive":
        rows = np.abs(rows)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return torch.tensor(rows, dtype=torch.float32)


def correlation_factor(
    features: int, config: RandomCorrelation, generator: np.random.Generator
) -> NDArray[np.float64]:
    """A matrix M, [G, K], such that M ε with white ε has the wanted covariance.

    `uniform` follows the public replication of the document (symmetrised U(0,1), then −1.001 times the
    smallest eigenvalue on the diagonal), `gram` A Aᵀ. `unit` variance divides by standard deviations, without
    which the normal CDF saturates. `strength` s leaves s·C + (1−s)·I of the correlation matrix C.
    """
    s = config.strength
    if config.covariance == "gram":
        a_GK = generator.standard_normal((features, config.rank or features))
        scale_G = np.linalg.norm(a_GK, axis=1)
        a_GK /= scale_G[:, None]
        factor_GK = a_GK
        if s < 1:
            factor_GK = np.hstack([math.sqrt(s) * a_GK, math.sqrt(1 - s) * np.eye(features)])
    else:
        u_GG = generator.random((features, features))
        c_GG = (u_GG + u_GG.T) / 2
        c_GG -= 1.001 * np.linalg.eigvalsh(c_GG)[0] * np.eye(features)
        scale_G = np.sqrt(np.diag(c_GG))
        c_GG /= np.outer(scale_G, scale_G)
        factor_GK = np.asarray(np.linalg.cholesky(s * c_GG + (1 - s) * np.eye(features)), dtype=np.float64)
    scaled_GK = factor_GK * scale_G[:, None] if config.variance == "raw" else factor_GK
    return np.asarray(scaled_GK, dtype=np.float64)
