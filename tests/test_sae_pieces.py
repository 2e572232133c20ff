"""Every pair of an architecture, a penalty, a norm, a rule … against autograd in float64 (`reference_sae`)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from reference_sae import Reference
from torch import Tensor

from saespec.plan.identity import cell_id
from saespec.plan.model import Cell
from saespec.sae.activations.batch_topk import BatchTopK
from saespec.sae.stack import Stack
from saespec.spec.spec import CellConfig

CPU = torch.device("cpu")
D, L, B, STEPS = 16, 24, 32, 100

CHOICES: dict[str, list[dict[str, Any]]] = {
    "sae": [
        {"kind": "relu"},
        {"kind": "topk", "k": 4},
        {"kind": "batch_topk", "k": 4},
        {"kind": "jumprelu", "threshold": 0.05, "bandwidth": 0.1},
        {"kind": "gated"},
        *(
            {"kind": "prolu", "gradient": gradient, "hybrid": hybrid}
            for gradient in ("relu", "ste")
            for hybrid in (False, True)
        ),
    ],
    "sae.weights": [{"weights": "untied"}, {"weights": "tied"}],
    "sae.norm": [{"decoder_norm": name} for name in ("none", "unit", "unit_in_forward", "unit_projected")],
    "sae.bias": [{"decoder_bias": name} for name in ("none", "learned", "shared")],
    "loss.penalty": [
        {"sparsity": {"kind": "none"}},
        *(
            {"sparsity": {"coefficient": 0.1, "per": "latents", **penalty}}
            for weighted in (False, True)
            for penalty in (
                {"kind": "l1", "weighted_by_norm": weighted},
                {"kind": "sqrt", "of": "codes", "weighted_by_norm": weighted},
                {"kind": "sqrt", "of": "sum", "weighted_by_norm": weighted},
                {"kind": "tanh", "scale": 2.0, "weighted_by_norm": weighted, "warmup": 0.3},
            )
        ),
        {"sparsity": {"kind": "l0", "coefficient": 0.1, "per": "sample"}},
    ],
    "loss.reconstruction": [{"reconstruction": "mean"}, {"reconstruction": "sum"}],
    "loss.prefixes": [{"prefixes": 1}, {"prefixes": 3}],
    "loss.auxiliary": [
        {"auxiliary": "none"},
        {"auxiliary": {"kind": "aux_k", "k": 3, "window": 4}},
        {"auxiliary": {"kind": "ghost", "window": 100, "window_in": "samples"}},
    ],
    "train.schedule": [
        {},
        {"schedule": {"warmup": 0.1, "decay": {"kind": "cosine", "last": 0.3, "to": 0.1}}},
        {"schedule": {"decay": {"kind": "linear", "last": 0.5}}},
    ],
    "train.clip": [{}, {"clip": 0.05}],
}

Choice = tuple[int, ...]


def config(choice: Choice, seed: int = 0, **train: Any) -> CellConfig:
    """The cell with one choice of each kind."""
    sections: dict[str, dict[str, Any]] = {
        "sae": {"latents": L},
        "loss": {},
        "train": {"steps": STEPS, "batch": B, "optimizer": {"lr": 3e-3}, **train},
    }
    for (name, options), i in zip(CHOICES.items(), choice, strict=True):
        sections[name.split(".")[0]].update(options[i])
    data = {"kind": "toy", "dim": D, "features": 24, "active": 3.0}
    return CellConfig.model_validate({"data": data, "seed": seed, **sections})


def pairs(choice: Choice) -> set[tuple[int, int, int, int]]:
    """Which two options of different kinds meet in a choice."""
    return {(a, choice[a], b, choice[b]) for a, b in itertools.combinations(range(len(choice)), 2)}


def valid(choice: Choice) -> bool:
    try:
        config(choice)
    except ValidationError:
        return False
    return True


def covering() -> list[Choice]:
    """Choices in which every pair of options meets that can."""
    draw = random.Random(0)
    sizes = [len(options) for options in CHOICES.values()]
    drawn = {tuple(draw.randrange(size) for size in sizes) for _ in range(6000)}
    possible = sorted(choice for choice in drawn if valid(choice))
    met = {choice: pairs(choice) for choice in possible}
    left = set().union(*met.values())
    found = []
    while left:
        best = max(possible, key=lambda choice: (len(met[choice] & left), choice))
        found.append(best)
        left -= met[best]
    return found


def batches(n: int) -> Iterator[Tensor]:
    """Sparse sums of directions, off the origin, [B, D], float64."""
    directions = torch.randn(8, D, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for t in range(STEPS):
        draw = torch.Generator().manual_seed(1000 * t + n)
        codes = torch.randn(B, 8, generator=draw, dtype=torch.float64).relu()
        yield (codes * (torch.rand(B, 8, generator=draw) < 0.3)) @ directions / 2 + 0.1


def trained_twice(
    cells: list[CellConfig], dtype: torch.dtype, steps: int
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Names and values of parameters as the pieces train them, and as autograd does."""
    stack = Stack(tuple(Cell(cell_id(c), c) for c in cells), CPU, dtype)
    stack.initialise()
    references = [
        Reference(c, {name: value[n] for name, value in stack.params.items()}) for n, c in enumerate(cells)
    ]
    for t, own in zip(range(steps), zip(*(batches(n) for n in range(len(cells))), strict=True), strict=False):
        x_NBD = torch.stack(own).to(dtype)
        stack.prepare(t)
        stack.step(x_NBD, x_NBD)
        for reference, x_BD in zip(references, own, strict=True):
            reference.step(x_BD, x_BD)
    for n, reference in enumerate(references):
        for name, value in reference.params.items():
            yield name, stack.params[name][n].double(), value.detach()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small are multiplied faster by one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


COVERING = covering()


def said(choice: Choice) -> str:
    """What differs from the first option of each kind."""
    chosen = [options[i] for options, i in zip(CHOICES.values(), choice, strict=True) if i]
    return " ".join(str(value) for option in chosen for value in option.values())


@pytest.mark.parametrize("choice", COVERING, ids=said)
def test_a_hundred_steps_are_those_of_autograd(choice: Choice) -> None:
    cells = [config(choice, seed) for seed in range(2)]
    # The slope of the root of a code near 0 is steep: what was rounded away grows tenfold every few steps.
    steps = 30 if getattr(cells[0].loss.sparsity, "of", "") == "codes" else STEPS
    for name, own, expected in trained_twice(cells, torch.float64, steps):
        assert torch.allclose(own, expected, rtol=0, atol=1e-9), name


@pytest.mark.parametrize("choice", COVERING, ids=said)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.1)])
def test_gradients_as_trained_are_near_those_of_autograd(
    choice: Choice, precision: str, tolerance: float
) -> None:
    """Of a first step, in which half of the latents count as dead."""
    cells = [config(choice, seed, precision=precision) for seed in range(2)]
    if precision == "bfloat16" and getattr(cells[0].loss.sparsity, "of", "") == "codes":
        tolerance = 0.3  # the slope of the root of a code near 0 magnifies what was rounded away
    stack = Stack(tuple(Cell(cell_id(c), c) for c in cells), CPU)
    stack.initialise()
    silent = torch.arange(L) % 2 * 1000.0
    if stack.gradients.silence:
        stack.gradients.silence.state["silent"].copy_(silent)
    inputs = [next(batches(n)) for n in range(2)]
    references = [
        Reference(c, {name: value[n] for name, value in stack.params.items()}) for n, c in enumerate(cells)
    ]
    x_NBD = torch.stack(inputs).float()
    stack.prepare(0)
    stack.step(x_NBD, x_NBD)
    for n, reference in enumerate(references):
        reference.silent = silent
        reference.step(inputs[n], inputs[n])
        for name, value in reference.params.items():
            assert value.grad is not None
            off = torch.linalg.vector_norm(stack.grads[name][n].double() - value.grad)
            if name == "log_threshold" and precision == "bfloat16":
                continue  # counts what is near: rounding takes it to either side
            assert off <= tolerance * torch.linalg.vector_norm(value.grad) + 1e-9, name


def test_the_threshold_of_batch_topk_is_the_mean_of_the_smallest_positive_code_that_was_kept() -> None:
    """Bussmann et al. 2024: of positive ones, also where a batch has fewer than k·B; weights fall by 0.999 a step."""
    own = BatchTopK(k=2, cells=1, device=CPU)
    few, many, none = (
        [[0.5, 0.7, -1, -2], [0.9, -1, -1, -1]],
        [[3, 2, 4, 0.1], [5, 1, 0.3, 6]],
        [[-1] * 4] * 2,
    )
    for pre in (few, many, none):
        own.forward(torch.tensor([pre], dtype=torch.float32), {})
    expected = (0.5 * 0.999 + 3 * 1) / 1.999
    assert own.learned()["threshold"].item() == pytest.approx(expected, rel=1e-4)
