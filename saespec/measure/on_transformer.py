"""Cells on a transformer's activations, each with what ties it to the model.

Legend: C contexts, T tokens of a context, V vectors, D dimensions, L latents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from saespec.data.activations.stored import Activations
from saespec.data.text.tokens import Tokens
from saespec.plan.inputs import extraction_id
from saespec.plan.model import Cell
from saespec.spec.transformer import TransformerData

from .trained import Trained

READ = 2**14
"""Vectors read at once."""


@dataclass(frozen=True)
class Placed:
    """One cell of a stack, and its activations."""

    trained: Trained
    n: int
    """Its place in the stack."""
    source: Activations

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.trained.cells[self.n]

    @property
    def data(self) -> TransformerData:
        """Its data section."""
        data = self.cell.config.data
        assert isinstance(data, TransformerData)
        return data

    @property
    def contexts(self) -> Tokens:
        """The held-out contexts that its activations come from."""
        return self.source.held_out_contexts()

    @property
    def params(self) -> dict[str, Tensor]:
        """Its parameters, as a stack of one."""
        return {name: value[self.n : self.n + 1] for name, value in self.trained.params.items()}

    def codes(self, x_VD: Tensor) -> Tensor:
        """Codes [V, L] of normalised activations."""
        return self.trained.coder.encode(self.params, x_VD.unsqueeze(0))[0]

    def reconstruct(self, x_CTD: Tensor) -> Tensor:
        """Reconstructions of activations as the model has them, in its own units, float32."""
        original_VD = x_CTD.reshape(-1, x_CTD.shape[-1]).float()
        codes_1VL = self.codes(self.source.normalise(original_VD)).unsqueeze(0)
        decoded_VD = self.trained.coder.decode(self.params, codes_1VL)[0]
        return self.source.denormalise(decoded_VD, original_VD).view(x_CTD.shape)

    def mean(self, x_CTD: Tensor) -> Tensor:
        """The mean vector of the site's training tokens in place of each, float32."""
        return self.source.mean_D.to(x_CTD.device).expand_as(x_CTD)

    def held_out_codes(self) -> Iterator[Tensor]:
        """Codes [V, L] of all held-out activations, in the order of the text, a block at a time."""
        for start in range(0, int(self.contexts.kept_CT.sum()), READ):
            yield self.codes(self.source.held_out_text(start, start + READ))


def by_extraction(stacks: Sequence[Trained]) -> list[list[Placed]]:
    """The cells that share a model and its contexts, in the order of their first; cells on toy data have none."""
    found: dict[str, list[Placed]] = {}
    for trained in stacks:
        for n, source in enumerate(trained.sources):
            if not isinstance(source, Activations):
                continue
            placed = Placed(trained, n, source)
            found.setdefault(extraction_id(placed.data), []).append(placed)
    return list(found.values())
