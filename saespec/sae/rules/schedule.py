"""How the learning rate and the penalty change over the steps: functions of the step alone."""

from __future__ import annotations

import math

from saespec.spec.loss import Loss, NoPenalty
from saespec.spec.rules import FallingRate, Taggart
from saespec.spec.train import Train


def lr_share(train: Train, t: int) -> float:
    """The share of the learning rate that step t takes, t from 0."""
    share = _rising(t, train.schedule.warmup * train.steps)
    decay = train.schedule.decay
    if isinstance(decay, FallingRate):
        span = decay.last * train.steps
        done = max(0.0, (t + 1 - (train.steps - span)) / span)
        left = 1 - done if decay.kind == "linear" else (1 + math.cos(math.pi * done)) / 2
        share *= decay.to + (1 - decay.to) * left
    rule = train.resample
    if isinstance(rule, Taggart) and t >= rule.every:
        last = min(t, rule.until) // rule.every * rule.every
        share *= _rising(t - last, rule.warmup)
    return share


def penalty_share(loss: Loss, train: Train, t: int) -> float:
    """The share of the penalty's coefficient that step t takes."""
    return 1.0 if isinstance(loss.sparsity, NoPenalty) else _rising(t, loss.sparsity.warmup * train.steps)


def _rising(t: int, steps: float) -> float:
    return min(1.0, (t + 1) / steps) if steps > 0 else 1.0
