"""Toy data: statistics that the document asks for, and batches as a function of (data, seed, t)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from cells import cell

from saespec.data.source import source
from saespec.data.toy import Toy, correlation_factor, rescale
from saespec.sae.batches import Batches, Sources
from saespec.spec.toy import RandomCorrelation

CPU = torch.device("cpu")


def toy(seed: int = 0, **data: object) -> Toy:
    made = source(cell(**data).config.data, seed, CPU)
    assert isinstance(made, Toy)
    return made


def codes(made: Toy, batches: int = 40, size: int = 256) -> torch.Tensor:
    return torch.cat([made.codes("train", t, size) for t in range(batches)])


@pytest.mark.parametrize("correlation", ["none", "random", {"kind": "random", "draw": "sample"}])
@pytest.mark.parametrize("decay", ["none", {"rule": "multiply"}, {"rule": "power"}])
def test_mean_number_of_active_features(correlation: object, decay: object) -> None:
    made = toy(features=64, active=3.0, correlation=correlation, decay=decay)
    assert (codes(made) > 0).float().sum(dim=1).mean().item() == pytest.approx(3.0, rel=0.05)


def test_directions_are_unit_and_spread_over_the_sphere() -> None:
    truth = toy(dim=64, features=2000).truth_GD
    assert torch.allclose(truth.norm(dim=1), torch.ones(2000), atol=1e-6)
    assert truth.mean(dim=0).abs().max() < 0.02
    assert (truth @ truth.T).fill_diagonal_(0).std().item() == pytest.approx(1 / math.sqrt(64), rel=0.05)


def test_positive_directions_have_no_negative_entry() -> None:
    assert (toy(directions="positive").truth_GD >= 0).all()


def test_coefficients_of_active_features_are_uniform() -> None:
    values = codes(toy())
    values = values[values > 0]
    assert values.mean().item() == pytest.approx(0.5, abs=0.01)
    assert values.var().item() == pytest.approx(1 / 12, rel=0.05)
    shifted = codes(toy(coefficients={"low": 1.0, "high": 3.0}))
    shifted = shifted[shifted > 0]
    assert shifted.min() >= 1
    assert shifted.mean().item() == pytest.approx(2.0, abs=0.03)


@pytest.mark.parametrize(("rule", "ratio"), [("multiply", 0.9**10), ("power", None)])
def test_decay_lowers_the_frequency_of_later_features(rule: str, ratio: float | None) -> None:
    made = toy(features=32, active=2.0, decay={"rule": rule, "rate": 0.9}, correlation="random")
    frequency = (codes(made, 100) > 0).double().mean(dim=0)
    if ratio is not None:
        assert (frequency[10:13].mean() / frequency[0:3].mean()).item() == pytest.approx(ratio, rel=0.15)
    assert frequency[0] > 3 * frequency[20]


def test_power_decay_is_zipf_like_with_unit_variance() -> None:
    # E[Φ(z)^(λ i)] = 1 / (1 + λ i): documents §1.4
    made = toy(features=512, active=5.0, decay={"rule": "power", "rate": 0.99}, correlation="random")
    p = torch.cat([made.probabilities("train", t, 8) for t in range(2000)]).mean(dim=0)
    assert p[0].item() == pytest.approx(0.75, abs=0.08)
    assert (p[:10].sum() / p.sum()).item() == pytest.approx(0.45, abs=0.04)


@pytest.mark.parametrize("covariance", ["uniform", "gram"])
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_correlation_factor_has_unit_variance(covariance: str, strength: float) -> None:
    config = RandomCorrelation(kind="random", covariance=covariance, strength=strength)
    factor = correlation_factor(100, config, np.random.default_rng(0))
    correlations = factor @ factor.T
    assert np.allclose(np.diag(correlations), 1)
    off = correlations[~np.eye(100, dtype=bool)]
    if covariance == "uniform":
        assert off.mean() == pytest.approx(strength * 0.09, abs=0.04)


@pytest.mark.parametrize(("covariance", "expected"), [("uniform", 2.1), ("gram", 10)])
def test_raw_covariance_keeps_its_variance_and_saturates(covariance: str, expected: float) -> None:
    """Wigner's semicircle gives the uniform matrix −2√(G/24) as its smallest eigenvalue; A Aᵀ has G on its diagonal."""
    raw, unit = (
        RandomCorrelation(kind="random", covariance=covariance, variance=variance, strength=0.5)
        for variance in ("raw", "unit")
    )
    factor, scaled = (correlation_factor(100, config, np.random.default_rng(0)) for config in (raw, unit))
    deviation = np.linalg.norm(factor, axis=1)
    assert deviation.mean() == pytest.approx(expected, rel=0.1)
    assert np.allclose(factor, scaled * deviation[:, None])
    data: dict[str, Any] = {"dim": 20, "features": 100, "active": 20}
    extreme = []
    for config in (raw, unit):
        made = toy(**data, correlation=config.model_dump())
        p = torch.cat([made.probabilities("train", t, 1) for t in range(50)])
        extreme.append(((p < 1e-3).sum() / p.numel()).item())
    assert extreme[0] > 0.05
    assert extreme[1] < 0.01


def test_low_rank_gram_correlates_strongly() -> None:
    config = RandomCorrelation(kind="random", covariance="gram", rank=2)
    factor = correlation_factor(100, config, np.random.default_rng(0))
    off = (factor @ factor.T)[~np.eye(100, dtype=bool)]
    assert np.abs(off).mean() > 0.5


def test_correlated_features_fire_together_with_a_draw_per_sample() -> None:
    correlation = {"kind": "random", "covariance": "gram", "rank": 1, "draw": "sample"}
    active = (codes(toy(features=8, active=2.0, correlation=correlation), 200) > 0).double()
    correlations = torch.corrcoef(active.T)
    independent = torch.corrcoef((codes(toy(features=8, active=2.0), 200) > 0).double().T)
    assert correlations.fill_diagonal_(0).abs().mean() > 5 * independent.fill_diagonal_(0).abs().mean()


def test_rescaled_probabilities_sum_to_the_wanted_mean_exactly() -> None:
    assert rescale(torch.full((2, 8), 0.5), 2.0).sum(dim=1).tolist() == pytest.approx([2, 2])
    skewed = rescale(
        torch.tensor([[0.9, 0.05, 0.05, 0.05], [0.1, 0.2, 0.3, 0.1], [0.9, 0.8, 0.01, 0.01]]), 2.1
    )
    assert skewed.max() <= 1
    assert skewed.sum(dim=1).tolist() == pytest.approx([2.1, 2.1, 2.1])
    assert torch.allclose(rescale(torch.rand(5, 7), 7.0), torch.ones(5, 7))


def test_jitter_and_background_noise_have_the_stated_size() -> None:
    clean, jittered, noisy = toy(dim=64), toy(dim=64, jitter=0.5), toy(dim=64, background_noise=0.2)
    for made, expected in (
        (jittered, 0.5 * codes(jittered, 20).norm(dim=1).square().mean().sqrt()),
        (noisy, 0.2 * 8),
    ):
        exact = torch.cat([made.codes("train", t, 256) @ made.truth_GD for t in range(20)])
        x = torch.cat([made.batch("train", t, 256) for t in range(20)])
        assert (x - exact).norm(dim=1).square().mean().sqrt().item() == pytest.approx(
            float(expected), rel=0.03
        )
    assert torch.equal(clean.batch("train", 0, 8), clean.codes("train", 0, 8) @ clean.truth_GD)


def test_empty_rows_are_kept_or_filled() -> None:
    kept = toy(active=0.5).codes("train", 0, 512)
    filled = toy(active=0.5, empty_rows="fill").codes("train", 0, 512)
    assert (kept == 0).all(dim=1).any()
    assert not (filled == 0).all(dim=1).any()


def test_batches_are_a_function_of_part_and_index() -> None:
    first, second = toy(correlation="random"), toy(correlation="random")
    late_first = first.batch("train", 37, 64)
    for t in range(40):
        second.batch("train", t, 64)
    assert torch.equal(late_first, second.batch("train", 37, 64))
    assert not torch.equal(late_first, first.batch("held-out", 37, 64))
    assert not torch.equal(late_first, first.batch("train", 38, 64))
    assert not torch.equal(late_first, toy(seed=1, correlation="random").batch("train", 37, 64))


def test_batches_do_not_depend_on_the_number_of_threads() -> None:
    correlation = {"kind": "random", "draw": "sample"}
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = toy(features=512, active=5.0, correlation=correlation).batch("train", 3, 256)
        torch.set_num_threads(2)
        two = toy(features=512, active=5.0, correlation=correlation).batch("train", 3, 256)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one, two)


def test_noise_of_inactive_features_is_in_the_input_alone() -> None:
    noisy, plain = cell(off_noise=0.3), cell()
    x_NBD, target_NBD = Batches([noisy.config, plain.config], Sources(torch.device("cpu"))).batch("train", 3)
    assert torch.equal(target_NBD[0], target_NBD[1])  # the same features, the same chances
    assert torch.equal(x_NBD[1], target_NBD[1])
    own_1BD, _ = Batches([noisy.config], Sources(torch.device("cpu"))).batch("train", 3)
    assert torch.equal(own_1BD[0], x_NBD[0])
    alone = toy(dim=24, features=1, active=0.5, off_noise=0.3)
    added_BD = alone.disturbance("train", 0, 500)
    assert added_BD is not None
    off_B = added_BD @ alone.truth_GD[0]
    on_B = alone.codes("train", 0, 500)[:, 0] > 0
    assert (off_B[on_B] == 0).all()
    assert off_B[~on_B].min() >= 0
    assert 0.28 < off_B.max() <= 0.3 + 1e-6
