"""Many cells of one shape as one batched program: stacked parameters and their optimiser.

Legend: N cells, P floats of a cell's parameters, padded. Row n of every [N, P] tensor belongs to cell n.

Promise 1 (a cell's numbers depend only on the cell) rests on three facts, each tested: torch's batched
products give a matrix the same bits whatever its neighbours, if there are at least two and each is aligned
(see `memory`); the other operations work element by element or within a cell's rows; and rows are padded to
whole vector registers, so that the fused optimiser treats an element alike wherever its cell stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.errors import StageError
from saespec.plan.cost import BYTES_CPU, cell_bytes
from saespec.plan.groups import shared
from saespec.plan.identity import canonical_json
from saespec.plan.model import Cell
from saespec.spec.spec import CellConfig
from saespec.spec.train import Adam

from .assembly import trained
from .gradients import Gradients
from .initial import initial, own_starts, shapes
from .memory import padded
from .rules.clip import clip
from .rules.schedule import lr_share, penalty_share


class Stack:
    """Parameters, gradients and Adam moments of cells that have the same shapes."""

    def __init__(
        self, cells: tuple[Cell, ...], device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.cells = cells
        self.device = device
        self._dtype = dtype
        check_memory(cells[0].config, device)
        self.rows = with_idle(cells, device)
        configs = [cell.config for cell in self.rows]
        assert len({shared(config) for config in configs}) == 1, "pieces are those of the first cell"
        self._shapes = shapes(configs[0])
        theta, mean, square, self._flat_grads = (self._zeros() for _ in range(4))
        grads = self._flat_grads
        self.state = {"theta": theta, "mean": mean, "square": square}
        self.params, self.grads = self._views(theta), self._views(grads)
        self.mean, self.square = self._views(mean), self._views(square)
        self.starts = own_starts(trained(configs[0]))
        self.gradients = Gradients(configs, self.params, self.grads)
        self.state |= self.gradients.state
        self.updates, self._one = torch.zeros((), device=device), torch.ones((), device=device)
        # Rows are sorted by optimiser, so that each distinct one updates one slice.
        self._optimizers: list[tuple[Adam, list[list[Tensor]]]] = []
        for optimizer, group in groupby(range(len(configs)), key=lambda n: configs[n].train.optimizer):
            members = list(group)
            rows = slice(members[0], members[-1] + 1)
            tensors = [[t[rows] for t in kind.values()] for kind in (theta, grads, mean, square)]
            self._optimizers.append((optimizer, tensors))
        # What a captured graph reads must be on the device; on a CPU a number costs less.
        self._rates = [
            torch.tensor(adam.lr, device=device) if device.type == "cuda" else adam.lr
            for adam, _ in self._optimizers
        ]
        self._shares = (1.0, 1.0)

    def initialise(self, vectors: Callable[[int, int], NDArray[np.float64]] | None = None) -> None:
        """Set the initial weights of every cell. `vectors(n, V)` are the first V inputs of row n, [V, D]."""
        for n, cell in enumerate(self.rows):
            start = initial(cell.config, partial(vectors, n) if vectors else _no_vectors)
            for name, value in start.items():
                self.params[name][n] = torch.tensor(value)

    def prepare(self, t: int) -> None:
        """Set learning rate and penalty to what step t takes, t from 0."""
        config = self.rows[0].config
        shares = lr_share(config.train, t), penalty_share(config.loss, config.train, t)
        if shares == self._shares:
            return
        if shares[0] != self._shares[0]:
            for i, (adam, _) in enumerate(self._optimizers):
                rate = self._rates[i]
                if isinstance(rate, Tensor):
                    rate.fill_(adam.lr * shares[0])
                else:
                    self._rates[i] = adam.lr * shares[0]
        if shares[1] != self._shares[1]:
            self.gradients.penalty_scale.share(shares[1])
        self._shares = shares

    def step(self, x_NBD: Tensor, target_NBD: Tensor) -> None:
        """One optimiser step of every cell on its batch."""
        self.gradients(x_NBD, target_NBD)
        if longest := self.rows[0].config.train.clip:
            clip(self._flat_grads, longest)
        self.updates += self._one  # a Python number would be made a tensor in every step
        for (adam, (theta, grads, mean, square)), lr in zip(self._optimizers, self._rates, strict=True):
            torch._fused_adam_(
                theta, grads, mean, square, [], [self.updates] * len(theta),
                lr=lr, beta1=adam.beta1, beta2=adam.beta2, eps=adam.eps,
                weight_decay=0.0, amsgrad=False, maximize=False,
            )  # fmt: skip

    def finish(self) -> None:
        """Bring the parameters into the form in which the next forward pass would use them."""
        for name, value in self.gradients.norm.forward(self.params).items():
            self.params[name].copy_(value)

    def _zeros(self) -> dict[str, Tensor]:
        # A tensor for each parameter, not one for all: torch multiplies into a stack in one call only if the
        # stack is contiguous, and goes through it matrix by matrix otherwise.
        rows = len(self.rows)
        return {
            name: torch.zeros(rows, padded(math.prod(shape)), device=self.device, dtype=self._dtype)
            for name, shape in self._shapes.items()
        }

    def _views(self, flat: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: flat[name][:, : math.prod(shape)].view(-1, *shape) for name, shape in self._shapes.items()
        }


def _no_vectors(count: int) -> NDArray[np.float64]:
    raise AssertionError("a start that needs training inputs, and none are given")


def sort_key(cell: Cell) -> tuple[str, float, str]:
    """Order of cells in a stack: equal optimisers side by side, and among them similarly sparse cells."""
    optimizer = canonical_json(cell.config.train.optimizer.model_dump(mode="json"))
    return optimizer, cell.config.loss.coefficient, cell.id


def with_idle(cells: tuple[Cell, ...], device: torch.device) -> tuple[Cell, ...]:
    """The cells, and idle copies of the last one where the device wants more of them.

    A CPU's product of one matrix pair takes another path than of several; a GPU's depends on the number, so
    there all stacks are equally wide.
    """
    least = 2 if device.type == "cpu" else width(cells[0].config, device)
    return cells + (cells[-1],) * max(0, least - len(cells))


WIDTH_CUDA = 16
BYTES_CUDA = 8 * 2**30
"""What a stack may take, so that it fits into a GPU's memory beside others."""


def width(config: CellConfig, device: torch.device) -> int:
    """The most cells that a stack has. On a GPU a function of the cells' shapes alone: see `with_idle`."""
    if device.type == "cpu":
        return max(2, BYTES_CPU // cell_bytes(config))
    least = WIDTH_CUDA
    while least > 1 and least * cell_bytes(config) > BYTES_CUDA:
        least //= 2
    return least


def split(cells: tuple[Cell, ...], device: torch.device) -> list[tuple[Cell, ...]]:
    """Cells of one group in stacks that the device can hold: a free choice, for no number depends on it."""
    most = width(cells[0].config, device)
    ordered = sorted(cells, key=sort_key)
    return [tuple(ordered[i : i + most]) for i in range(0, len(ordered), most)]


def check_memory(config: CellConfig, device: torch.device) -> None:
    """Raise StageError where a GPU has too little memory left for a stack."""
    if device.type != "cuda":
        return
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    needed = width(config, device) * cell_bytes(config)
    if needed > free:
        raise StageError(
            f"a stack of these cells takes {needed / 2**30:.1f} GiB, and {torch.cuda.get_device_name(device)} has "
            f"{free / 2**30:.1f} GiB left: stop what else uses it, or use --device cpu"
        )
