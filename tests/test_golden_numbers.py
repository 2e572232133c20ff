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
    assert NUMERICS == 1


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


BATCH = [-3.004355947357908, 34.63648258893514, -0.3402934670448303]
CURVES = {
    "plain": [0.008661025275147788, 0.002808032189071572, 0.05852993086076215, 8.125, 0.7248643537362417],
    "per_sample": [
        0.015142756502255673,
        0.005636976358010309,
        0.9505780144245364,
        5.0625,
        0.7776533166567484,
    ],
    "denoising": [
        0.011859430454996808,
        0.0070603649096208825,
        0.047990655453759246,
        6.921875,
        0.7490597168604533,
    ],
}
