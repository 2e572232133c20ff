"""The hand-written step against autograd and torch's own Adam."""

from __future__ import annotations

import pytest
import torch
from cells import cell

from saespec.sae.assembly import dictionary
from saespec.sae.loss import l1_scale, reconstruction_scale
from saespec.sae.stack import Stack

CPU = torch.device("cpu")


def autograd_loss(
    params: dict[str, torch.Tensor], config, x: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:  # type: ignore[no-untyped-def]
    codes = torch.relu(x @ params["encoder"].T + params["bias"])
    error = codes @ params["decoder"] - target
    reconstruction = error.square().sum(dim=1).mean() * reconstruction_scale(config)
    return reconstruction + config.loss.sparsity.coefficient * l1_scale(config) * codes.sum(dim=1).mean()


@pytest.mark.parametrize("per", ["latents", "sample"])
@pytest.mark.parametrize("reconstruction", ["mean", "sum"])
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("bfloat16", 5e-2)])
def test_gradients_are_those_of_the_loss(
    per: str, reconstruction: str, noisy: bool, precision: str, tolerance: float
) -> None:
    cells = tuple(
        cell(l1=l1, per=per, reconstruction=reconstruction, seed=seed, precision=precision)
        for seed, l1 in enumerate((0.1, 2.0))
    )
    stack = Stack(cells, CPU)
    stack.initialise()
    stack.gradients.effective()
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(2, 32, 16, generator=generator)
    x = target + torch.randn(2, 32, 16, generator=generator) if noisy else target
    stack.gradients(x, target)
    for n, own in enumerate(cells):
        params = {name: value[n].double().requires_grad_() for name, value in stack.params.items()}
        autograd_loss(params, own.config, x[n].double(), target[n].double()).backward()
        for name, value in params.items():
            assert value.grad is not None
            off = torch.linalg.vector_norm(stack.grads[name][n].double() - value.grad)
            assert off <= tolerance * torch.linalg.vector_norm(value.grad), (name, n)


def test_a_step_is_a_step_of_torch_adam_on_a_unit_norm_dictionary() -> None:
    own = cell()
    stack = Stack((own,), CPU)
    stack.initialise()
    stack.gradients.effective()
    params = {name: value[0].clone().requires_grad_() for name, value in stack.params.items()}
    adam = torch.optim.Adam(params.values(), lr=own.config.train.optimizer.lr)
    for t in range(5):
        x = torch.randn(1, 32, 16, generator=torch.Generator().manual_seed(t)).expand(2, -1, -1)
        with torch.no_grad():
            params["decoder"] /= params["decoder"].norm(dim=1, keepdim=True)
        adam.zero_grad()
        autograd_loss(params, own.config, x[0], x[0]).backward()
        adam.step()
        stack.step(x, x)
        for name, value in params.items():
            assert torch.allclose(stack.params[name][0], value, rtol=1e-3, atol=1e-5), (t, name)


@pytest.mark.parametrize("kind", ["relu", "tied_relu"])
def test_elements_normalised_in_the_forward_pass_keep_their_length(kind: str) -> None:
    """Against autograd through the division by the length, and torch's own Adam."""
    own = cell(kind=kind, decoder_norm="unit_in_forward")
    stack = Stack((own,), CPU)
    stack.initialise()
    stack.params[dictionary(own.config)].mul_(torch.linspace(0.5, 2, 24)[:, None])
    params = {name: value[0].clone().requires_grad_() for name, value in stack.params.items()}
    adam = torch.optim.Adam(params.values(), lr=own.config.train.optimizer.lr)
    for t in range(5):
        x = torch.randn(1, 32, 16, generator=torch.Generator().manual_seed(t)).expand(2, -1, -1)
        adam.zero_grad()
        trained = params[dictionary(own.config)]
        unit = trained / trained.norm(dim=1, keepdim=True)
        weights = {
            "bias": params["bias"],
            "encoder": unit if kind == "tied_relu" else params["encoder"],
            "decoder": unit,
        }
        autograd_loss(weights, own.config, x[0], x[0]).backward()
        adam.step()
        stack.step(x, x)
        for name, value in params.items():
            assert torch.allclose(stack.params[name][0], value, rtol=1e-3, atol=1e-5), (t, name)
    stack.finish()
    norms = stack.params[dictionary(stack.cells[0].config)].norm(dim=2)
    assert torch.allclose(norms, torch.ones_like(norms), atol=1e-6)


def test_initial_dictionary_is_orthogonal() -> None:
    stack = Stack((cell(latents=16), cell(latents=16, seed=1)), CPU)
    stack.initialise()
    for decoder in stack.params["decoder"]:
        assert torch.allclose(decoder @ decoder.T, torch.eye(16), atol=1e-5)
    wide = Stack((cell(latents=40),), CPU)
    wide.initialise()
    assert torch.allclose(wide.params["decoder"][0].T @ wide.params["decoder"][0], torch.eye(16), atol=1e-5)


def test_dictionary_elements_have_unit_length_after_finishing() -> None:
    stack = Stack((cell(),), CPU)
    stack.initialise()
    x = torch.randn(2, 32, 16)
    stack.step(x, x)
    stack.finish()
    norms = stack.params[dictionary(stack.cells[0].config)].norm(dim=2)
    assert torch.allclose(norms, torch.ones_like(norms), atol=1e-6)
