"""Bits that equal cells must keep giving: every way in which a cell is trained or fitted, to its last step.

Where torch, processor and its instructions are those of some digests all bits count; elsewhere the numbers do, with a
tolerance that a wrong sign or a lost factor exceeds. Run this file as a program to add the digests of the machine at
hand, or, where numbers are others, to write what the tree gives and forget those of other machines.
"""

from __future__ import annotations

import hashlib
import json
import platform
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from cells import cell as small

from saespec.plan.identity import cell_id
from saespec.plan.model import Cell
from saespec.sae.checkpoint import Store, read
from saespec.sae.fit import fit
from saespec.sae.train import train
from saespec.spec.spec import CellConfig

CPU = torch.device("cpu")
FILE = Path(__file__).parent / "golden" / "digests.json"
ROUNDING = {"float32": 2e-3, "bfloat16": 3e-2}
"""How far numbers may be off on other processors, relative."""


def ways() -> dict[str, list[Cell]]:
    """Cells of one stack for each way, by name."""
    found = {}
    tying = {"untied": 1.0, "tied": 1.4}
    for (weights, scale), precision, products, norm in product(
        tying.items(), ("float32", "bfloat16"), ("dense", "sparse"), ("unit", "unit_in_forward")
    ):
        name = f"relu {weights} {precision} {products} {norm}"
        found[name] = _stack(
            weights=weights, precision=precision, products=products, decoder_norm=norm, l1_scale=scale
        )
    found["relu with movement"] = _stack(movement=True)
    found["relu, noise on the input"] = _stack(input_noise=0.1)
    found["relu, summed loss"] = _stack(reconstruction="sum", per="sample", l1_scale=0.3)
    found["relu, correlated data"] = _stack(correlation="random", decay={"rule": "multiply", "rate": 0.99})
    for kind in ("pca", "ica", "random", "neuron_basis"):
        found[kind] = [_baseline(kind)]
    return found


def _stack(l1_scale: float = 1.0, **changes: Any) -> list[Cell]:
    """Cells of which, where products are sparse, one becomes sparse and one stays dense."""
    shape = {"dim": 96, "features": 128, "latents": 128, "batch": 64, "steps": 70, "active": 3.0, "lr": 5e-3}
    return [small(l1=l1 * l1_scale, seed=seed, **{**shape, **changes}) for l1, seed in ((0.01, 0), (0.5, 1))]


def _baseline(kind: str) -> Cell:
    config = small(dim=16, features=12, steps=20, batch=64).config
    values = config.model_dump(mode="json", exclude_unset=True)
    latents = 12 if kind == "ica" else 16  # more components than features are found by chance
    changed = CellConfig.model_validate({**values, "sae": {"kind": kind, "latents": latents}})
    return Cell(cell_id(changed), changed)


def found(cells: list[Cell], folder: Path) -> dict[str, Any]:
    """Digest of each cell's tensors, and the numbers at the end of its curve."""
    store = Store(folder)
    learn = fit if cells[0].config.sae.kind in ("pca", "ica", "random", "neuron_basis") else train
    learn(cells, store, [CPU])
    tensors = [read(store.cell(cell.id))[0] for cell in cells]
    return {
        "digests": [_digest(own) for own in tensors],
        "numbers": [own["curve"][-1].tolist()[1:6] for own in tensors],
    }


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def machine() -> str:
    """What the last bits depend on besides the cell."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor, instructions = (
        names[0] if names else platform.processor(),
        torch.backends.cpu.get_cpu_capability(),
    )
    return f"torch {torch.__version__}, {platform.machine()}, {processor}, {instructions}"


GOLDEN = json.loads(FILE.read_text()) if FILE.exists() else {}


def agree(got: dict[str, Any], expected: dict[str, Any], rounding: float) -> bool:
    """Whether numbers are equal but for what processors round differently."""
    return all(
        mine == pytest.approx(theirs, rel=rounding, abs=1e-6)
        for mine, theirs in zip(got["numbers"], expected["numbers"], strict=True)
    )


def rounding(way: str) -> float:
    return ROUNDING["bfloat16" if "bfloat16" in way else "float32"]


@pytest.mark.parametrize("way", ways())
def test_a_cell_has_the_bits_that_it_had(way: str, tmp_path: Path) -> None:
    expected, got = GOLDEN[way], found(ways()[way], tmp_path)
    assert agree(got, expected, rounding(way)), (got["numbers"], expected["numbers"])
    if machine() in expected["digests"]:
        assert got["digests"] == expected["digests"][machine()]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        for i, (way, cells) in enumerate(ways().items()):
            got = found(cells, Path(scratch) / str(i))
            known = GOLDEN.get(way)
            if known and agree(got, known, rounding(way)):
                known["digests"][machine()] = got["digests"]
            else:
                GOLDEN[way] = {"digests": {machine(): got["digests"]}, "numbers": got["numbers"]}
    FILE.write_text(json.dumps(GOLDEN, indent=1) + "\n")
