"""A bigram model of tokens: what a language model must beat to have learnt more than pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Bigram:
    """Interpolated Kneser-Ney estimate of the next token from the last one.

    p(b|a) = max(c(ab) - d, 0) / c(a) + d N(a·) / c(a) q(b),  q(b) = (N(·b) + 1) / (N(··) + V)

    c counts pairs, N counts distinct ones, and d = n1 / (n1 + 2 n2), with n1 and n2 the pairs that occur
    once and twice (Ney, Essen & Kneser 1994). The one that is added in q is for tokens never seen.
    """

    def __init__(self, ids_CT: NDArray[np.integer], vocabulary: int) -> None:
        """Count the pairs within the rows [contexts, tokens] of ids below `vocabulary`."""
        self.vocabulary = vocabulary
        self._pairs, counts = np.unique(_codes(ids_CT, vocabulary), return_counts=True)
        first, second = np.divmod(self._pairs, vocabulary)
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        self._discount = once / (once + 2 * twice) if once else 0.5
        self._counts = counts.astype(np.float64)
        self._total_V = np.bincount(first, weights=counts, minlength=vocabulary)
        self._distinct_V = np.bincount(first, minlength=vocabulary)
        followers_V = np.bincount(second, minlength=vocabulary)
        self._continuation_V = (followers_V + 1) / (len(self._pairs) + vocabulary)

    def probability(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """p(b|a) of pairs a * vocabulary + b."""
        first, second = np.divmod(codes, self.vocabulary)
        at = np.minimum(np.searchsorted(self._pairs, codes), len(self._pairs) - 1)
        count = np.where(self._pairs[at] == codes, self._counts[at], 0.0)
        total = self._total_V[first]
        seen = np.maximum(total, 1.0)
        rest = np.where(total > 0, self._discount * self._distinct_V[first] / seen, 1.0)
        return np.maximum(count - self._discount, 0) / seen + rest * self._continuation_V[second]

    def cross_entropy(self, ids_CT: NDArray[np.integer]) -> float:
        """Mean over the pairs within the rows of -log p, nats a token."""
        return float(-np.log(self.probability(_codes(ids_CT, self.vocabulary))).mean())


def _codes(ids_CT: NDArray[np.integer], vocabulary: int) -> NDArray[np.int64]:
    """Each token and the one after it in its row as one number."""
    ids_CT = ids_CT.astype(np.int64)
    return (ids_CT[:, :-1] * vocabulary + ids_CT[:, 1:]).ravel()
