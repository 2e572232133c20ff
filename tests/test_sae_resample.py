"""Resampling against the rule, written again in NumPy with float64.

Legend: B samples, V inputs, D dimensions, L latents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cells import cell
from numpy.typing import NDArray

from saespec.plan.model import Cell
from saespec.sae.batches import Sources
from saespec.sae.initial import generator
from saespec.sae.stack import Stack
from saespec.sae.train import Run

Array = NDArray[np.float64]
STEPS, EVERY, UNTIL, WINDOW, BATCHES, RARE = 40, 12, 24, 5, 3, 0.02
KILLED = [2, 3, 11, 20]
RULE = {"every": EVERY, "until": UNTIL, "window": WINDOW, "batches": BATCHES}
RULES: dict[str, dict[str, Any]] = {
    "bricken": {"kind": "bricken", **RULE},
    "taggart": {"kind": "taggart", **RULE, "frequency": RARE, "warmup": 4},
}
KINDS: dict[str, dict[str, Any]] = {
    "untied": {},
    "tied": {"weights": "tied"},
    "shared bias": {"decoder_bias": "shared", "decoder_norm": "unit_projected"},
}


class Recorded:
    """What a stack's parameters and moments were before and after each step, and its inputs; float64."""

    def __init__(self, own: Cell) -> None:
        self.before: list[dict[str, Array]] = []
        self.after: list[dict[str, Array]] = []
        self.inputs: list[Array] = []
        run = Run((own,), Sources(torch.device("cpu")))
        for latent in KILLED:
            run.stack.params["bias"][:, latent] = -100
        update = run._update

        def step(x_NBD: torch.Tensor, target_NBD: torch.Tensor) -> None:
            self.before.append(state(run.stack))
            self.inputs.append(x_NBD[0].double().numpy().copy())
            update(x_NBD, target_NBD)
            self.after.append(state(run.stack))

        run._update = step
        for _ in range(STEPS):
            run.advance()


def state(stack: Stack) -> dict[str, Array]:
    kinds = {"": stack.params, "mean ": stack.mean, "square ": stack.square}
    return {
        f"{kind}{name}": value[0].double().numpy().copy()
        for kind, own in kinds.items()
        for name, value in own.items()
    }


def codes(own: Cell, p: dict[str, Array], x_VD: Array) -> tuple[Array, Array]:
    """Codes [V, L] and the squared error of each input [V], with dictionary elements of unit length."""
    tied = own.config.sae.weights == "tied"  # type: ignore[union-attr]
    elements_LD = p["encoder" if tied else "decoder"]
    elements_LD = elements_LD / np.linalg.norm(elements_LD, axis=1, keepdims=True)
    offset_D = p.get("decoder_bias", np.zeros(x_VD.shape[1]))
    codes_VL = np.maximum((x_VD - offset_D) @ (elements_LD if tied else p["encoder"]).T + p["bias"], 0)
    return codes_VL, ((codes_VL @ elements_LD + offset_D - x_VD) ** 2).sum(axis=1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_dead_latents_begin_anew_as_the_rule_says(kind: str, rule: str) -> None:
    own = cell(steps=STEPS, sae=KINDS[kind], train={"resample": RULES[rule]}, seed=3)
    seen = Recorded(own)
    tied = kind == "tied"
    fired = [
        (codes(own, p, x_BD)[0] > 0).sum(axis=0) for p, x_BD in zip(seen.before, seen.inputs, strict=True)
    ]
    begun = 0
    for t in range(1, STEPS):
        ended, begins = seen.after[t - 1], seen.before[t]
        if t not in (EVERY, UNTIL):
            assert all(np.array_equal(ended[name], begins[name]) for name in ended), t
            continue
        window_L = np.sum(fired[t - WINDOW : t], axis=0)
        samples = WINDOW * own.config.train.batch
        dead_L = window_L == 0 if rule == "bricken" else window_L < RARE * samples
        if t == EVERY:
            assert dead_L[KILLED].all()
        begun += dead_L.sum()
        # Which inputs: drawn in proportion to their loss, squared or not, without replacement.
        x_VD = np.concatenate(seen.inputs[t - BATCHES : t])
        _, loss_V = codes(own, ended, x_VD)
        weight_V = loss_V**2 if rule == "bricken" else loss_V
        draw = generator(f"resample {t}", x_VD.shape, own.config.seed)
        chosen = draw.choice(len(x_VD), size=dead_L.sum(), replace=False, p=weight_V / weight_V.sum())
        unit_KD = x_VD[chosen] - ended.get("decoder_bias", 0)
        unit_KD /= np.linalg.norm(unit_KD, axis=1, keepdims=True)
        length = 1.0 if tied else 0.2 * np.linalg.norm(ended["encoder"][~dead_L], axis=1).mean()
        np.testing.assert_allclose(begins["encoder"][dead_L], length * unit_KD, atol=1e-6)
        if not tied:
            np.testing.assert_allclose(begins["decoder"][dead_L], unit_KD, atol=1e-6)
        assert not begins["bias"][dead_L].any()
        for name in ended:
            latents = ended[name].shape[0] == len(dead_L) and "decoder_bias" not in name
            if latents and " " in name:
                assert not begins[name][dead_L].any(), name
            kept = ~dead_L if latents else ...
            assert np.array_equal(begins[name][kept], ended[name][kept]), name
    assert begun >= len(KILLED)


def test_the_learning_rate_rises_anew_after_each_look_of_taggarts_rule() -> None:
    own = cell(steps=STEPS, train={"resample": RULES["taggart"]}, lr=1e-2)
    stack = Stack((own,), torch.device("cpu"))
    shares = []
    for t in range(STEPS):
        stack.prepare(t)
        shares.append(stack._rates[0] / 1e-2)
    rising = [0.25, 0.5, 0.75, 1.0]
    expected = [1.0] * EVERY + rising + [1.0] * (EVERY - 4) + rising + [1.0] * (STEPS - UNTIL - 4)
    assert shares == pytest.approx(expected)
