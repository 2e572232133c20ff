"""A second decoding, by dead latents alone, of what the first one leaves: what auxiliary losses share.

Legend: N cells of a stack, n of them in a part, B samples, D dimensions, L latents, m of them in a part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from saespec.sae.pieces import Params, PerCell

from .dead import Part, parts
from .silence import Silence


class SecondDecoding(ABC):
    """What dead latents would say of a batch, and what they learn of it."""

    def __init__(self, steps: int, silence: Silence, unscale: PerCell, scale: PerCell) -> None:
        self._steps = steps
        self._silence = silence
        self._unscale, self._scale = unscale, scale
        self._said: list[tuple[Part, Tensor]] = []
        self._learned: list[tuple[Part, Tensor]] = []

    @abstractmethod
    def codes(self, pre_nBm: Tensor, part: Part) -> Tensor:
        """Codes of dead latents, given what the encoder gives, in place."""

    @abstractmethod
    def slope(self, codes_nBm: Tensor) -> Tensor:
        """The derivative of these codes by what the encoder gives."""

    @abstractmethod
    def error(self, decoded_nBD: Tensor, target_nBD: Tensor, scale_n11: Tensor) -> Tensor:
        """The loss's gradient by what is decoded, in place."""

    def keep(self, pre_NBL: Tensor) -> None:
        """Take what dead latents would say."""
        dtype = self._scale.value_N11.dtype
        self._said = [
            (part, self.codes(part.pick(pre_NBL, dtype), part))
            for part in parts(self._silence.dead(self._steps))
        ]

    def back(self, error_NBD: Tensor, grad_NBL: Tensor, w: Params) -> None:
        """Add what dead latents learn, given the first decoding's scaled error."""
        self._learned = []
        for part, codes_nBm in self._said:
            elements_nmD = part.elements(w["decoder"])
            target_nBD = error_NBD[part.rows] * self._unscale.value_N11[part.rows]
            error_nBD = self.error(codes_nBm.bmm(elements_nmD), target_nBD, self._scale.value_N11[part.rows])
            grad_nBm = error_nBD.bmm(elements_nmD.transpose(1, 2)).mul_(self.slope(codes_nBm))
            part.add(grad_nBm, grad_NBL, 2)
            self._learned.append((part, codes_nBm.transpose(1, 2).bmm(error_nBD)))

    def weights_back(self, g: Params) -> None:
        """Add what their elements learn."""
        for part, grad_nmD in self._learned:
            part.add(grad_nmD, g["decoder"], 1)
