"""Numbers that equal cells must keep giving. If these change, raise NUMERICS and say why in the changelog.

Measured on two cores with AVX-512; the tolerance allows for other processors' rounding, nothing more.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cells import cell

from saespec.data.source import source
from saespec.plan.identity import NUMERICS
from saespec.sae.checkpoint import Store, read
from saespec.sae.train import train

CPU = torch.device("cpu")
CORRELATED = {"correlation": "random", "decay": {"rule": "multiply", "rate": 0.99}}


def test_the_numerics_version_is_the_one_of_these_numbers() -> None:
    assert NUMERICS == 2


def test_a_batch_of_toy_data() -> None:
    x = source(cell(**CORRELATED).config.data, 0, CPU).batch("train", 3, 64)
    numbers = [x.double().sum().item(), x.double().square().sum().item(), x[5, 7].item()]
    assert numbers == pytest.approx(BATCH, rel=1e-5)


@pytest.mark.parametrize("name", ["plain", "per_sample", "denoising"])
def test_the_end_of_a_curve(name: str, tmp_path: Path) -> None:
    changes = {"per_sample": {"per": "sample", "l1": 0.01}, "denoising": {"input_noise": 0.1}}.get(name, {})
    own = cell(steps=150, batch=64, **CORRELATED, **changes)  # type: ignore[arg-type]
    train([own], Store(tmp_path), [CPU])
    curve = read(Store(tmp_path).cell(own.id))[0]["curve"][-1].tolist()
    assert curve[1:] == pytest.approx(CURVES[name], rel=1e-3)


BATCH = [14.991388545314294, 45.67457881103664, 0.07615835219621658]
CURVES = {
    "plain": [0.008399713084148285, 0.003163341787485399, 0.05236371296662885, 6.875, 0.6925089880824089],
    "per_sample": [
        0.014431350378867723,
        0.0059462494384157644,
        0.8485100940451957,
        4.96875,
        0.7382793786625067,
    ],
    "denoising": [
        0.011885911175399748,
        0.007656147947574385,
        0.04229763227825363,
        6.46875,
        0.7061137780547142,
    ],
}
