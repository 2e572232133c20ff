"""Activations as they are read back from the store: batches, held-out text, normalisation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from extract_sample import (
    CPU,
    HIDDEN,
    MLP,
    POST,
    data,
    gpt2_project,
    hidden_states,
    run,
    small_shards,
    vectors,
)

from saespec.data.activations.stored import Activations
from saespec.data.parts import HELD_OUT, TRAIN
from saespec.data.source import source
from saespec.data.streams import Streams
from saespec.errors import CallError, DamagedFileError


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gpt2_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_shards(monkeypatch)


def test_batches_are_the_stores_vectors(gpt2: Path, tmp_path: Path) -> None:
    folder = run(data(), tmp_path, gpt2)
    activations = Activations(data(), Streams("a", CPU), tmp_path)
    for part, batches in ((TRAIN, 10), (HELD_OUT, 3)):
        epoch = torch.cat([activations.batch(part, t, 100) for t in range(batches)])
        stored = vectors(folder, MLP, part)
        assert not torch.equal(epoch, stored)
        assert torch.equal(epoch[epoch[:, 0].argsort()], stored[stored[:, 0].argsort()])
    assert activations.truth is None


def test_held_out_contexts_are_those_of_the_held_out_vectors(gpt2: Path, tmp_path: Path) -> None:
    run(data(POST), tmp_path, gpt2)
    activations = Activations(data(POST), Streams("a", CPU), tmp_path)
    text = activations.held_out_contexts()
    states = hidden_states(data(POST), gpt2, text.ids_CT)[1][torch.from_numpy(text.kept_CT)]
    assert torch.allclose(activations.held_out_text(0, 400), states, atol=1e-5)


@pytest.mark.parametrize("normalise", ["none", "rms", "mean_norm", "vector"])
def test_normalisation_is_from_the_train_part_and_can_be_undone(
    gpt2: Path, tmp_path: Path, normalise: str
) -> None:
    stored = vectors(run(data(), tmp_path, gpt2), MLP)
    activations = Activations(data(normalise=normalise), Streams("a", CPU), tmp_path)
    x = torch.cat([activations.batch(TRAIN, t, 100) for t in range(10)])
    if normalise == "rms":
        assert x.square().mean() == pytest.approx(1, rel=1e-5)
    elif normalise == "mean_norm":
        assert x.norm(dim=1).mean() == pytest.approx(1, rel=1e-5)
    elif normalise == "vector":
        assert torch.allclose(x.square().mean(dim=1), torch.ones(1000), rtol=1e-5)
    else:
        assert torch.equal(x.sort(dim=0).values, stored.sort(dim=0).values)
    original = stored.view(10, 100, HIDDEN)
    normalised = activations.normalise(original)
    assert torch.allclose(activations.denormalise(normalised, original), original, rtol=1e-5)
    assert torch.allclose(activations.denormalise(0.5 * normalised, original), 0.5 * original, rtol=1e-5)
    assert torch.allclose(activations.mean_D, stored.mean(dim=0), atol=1e-6)


def test_a_zero_vector_stays_zero(gpt2: Path, tmp_path: Path) -> None:
    run(data(), tmp_path, gpt2)
    activations = Activations(data(normalise="vector"), Streams("a", CPU), tmp_path)
    assert torch.equal(activations.normalise(torch.zeros(2, HIDDEN)), torch.zeros(2, HIDDEN))


def test_activations_that_are_not_there_are_named(gpt2: Path, tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"not in the store.*Run `saespec run`"):
        Activations(data(), Streams("a", CPU), tmp_path)


def test_other_dimensions_are_refused(gpt2: Path, tmp_path: Path) -> None:
    run(data(), tmp_path, gpt2)
    with pytest.raises(CallError, match=r"data\.dim is 25, but activations at 1\.mlp_hidden have 24"):
        Activations(data(dim=25), Streams("a", CPU), tmp_path)


def test_the_source_of_a_data_section(gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAESPEC_STORE", str(tmp_path))
    run(data(), tmp_path, gpt2)
    one, other = source(data(), 0, CPU), source(data(), 1, CPU)
    assert torch.equal(one.batch(TRAIN, 3, 64), source(data(), 0, CPU).batch(TRAIN, 3, 64))
    assert not torch.equal(one.batch(TRAIN, 3, 64), other.batch(TRAIN, 3, 64))
    assert torch.equal(one.batch(HELD_OUT, 3, 64), other.batch(HELD_OUT, 3, 64))
