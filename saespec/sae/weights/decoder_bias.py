"""`decoder_bias`: what reconstructions are shifted by; where it is shared the input is shifted back by the same.

E(x - o) + b = Ex + (b - Eo): the subtraction folds into the encoder's shift, so that one batch stays shared by all
cells. With G the gradient by E(x - o) + b summed over samples, E's gets -G oᵀ besides, and o's gets -EᵀG.

Legend: N cells of a stack, L latents, D dimensions. All tensors float32.
"""

from __future__ import annotations

import torch

from saespec.sae.memory import alike
from saespec.sae.pieces import Params

from .shift import Shift


class Learned(Shift):
    """Added to reconstructions alone."""

    def forward(self, params: Params) -> Params:
        """The bias as offset."""
        return {**super().forward(params), "offset": params["decoder_bias"]}


class Shared:
    """Added to reconstructions, and subtracted from the input before it is encoded."""

    def __init__(self, bias_in_product: bool, params: Params) -> None:
        self._with_bias = bias_in_product
        encoder_NLD = params["encoder"]
        self._product_NLD = alike(encoder_NLD)
        self._shift_NL = alike(encoder_NLD, *encoder_NLD.shape[:2])
        self._own_grad_NL = alike(encoder_NLD, *encoder_NLD.shape[:2])
        self._w: Params = {}
        self._grads: Params = {}

    def forward(self, params: Params) -> Params:
        """Bias and shift folded into one."""
        torch.mul(params["encoder"], params["decoder_bias"].unsqueeze(1), out=self._product_NLD)
        torch.sum(self._product_NLD, dim=2, out=self._shift_NL).neg_()
        if self._with_bias:
            self._shift_NL.add_(params["bias"])
        self._w = params
        return {**params, "shift": self._shift_NL, "offset": params["decoder_bias"]}

    def wire(self, grads: Params) -> Params:
        """The shift's gradient is the bias's where it holds the bias."""
        shift_NL = grads["bias"] if self._with_bias else self._own_grad_NL
        self._grads = {**grads, "shift": shift_NL, "offset": grads["decoder_bias"]}
        return self._grads

    def back(self) -> None:
        """What the fold adds to the gradients of encoder and offset."""
        shift_NL1 = self._grads["shift"].unsqueeze(2)
        self._grads["encoder"].addcmul_(shift_NL1, self._w["decoder_bias"].unsqueeze(1), value=-1)
        torch.mul(self._w["encoder"], shift_NL1, out=self._product_NLD)
        self._grads["offset"].sub_(self._product_NLD.sum(dim=1))
