"""What cells on transformer activations need first: trained models and extractions, each shared by all that name it.

Both lie in the store, addressed by a digest of what they depend on:

    models/<id>/         a trained model as `save_pretrained` writes it, its tokenizer, `training.json`
    activations/<id>/    tokens, and a folder of shards for each hook site
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from saespec.spec.transformer import Place, Site, TrainedModel, TrainedTokenizer, TransformerData

from . import identity
from .identity import canonical_json, described, sha256_hex
from .model import Cell


@dataclass(frozen=True)
class Extraction:
    """One pass of a model over a corpus: all sites that cells take from it."""

    id: str
    data: TransformerData
    """The data section of one of its cells; they differ in `site`, `dim` and `normalise` alone."""
    sites: tuple[Site, ...]
    dims: tuple[int, ...]
    """Dimensions of each site's vectors, as the spec has them."""


def model_id(data: TransformerData) -> str:
    """First 12 hex digits of a digest of what a trained model depends on: its section and the corpus."""
    assert isinstance(data.model, TrainedModel)
    return _digest({"model": described(data.model), "corpus": described(data.corpus)})


def extraction_id(data: TransformerData) -> str:
    """The same for an extraction: all of the data section but site, dimensions and normalisation."""
    fields = described(data)
    for name in ("site", "dim", "normalise"):
        del fields[name]
    return _digest(fields)


def site_key(site: Site) -> str:
    """What the folder of a site's shards is called, such as `2.mlp_hidden`."""
    if site.place is not None:
        return site.place if site.layer is None else f"{site.layer}.{site.place}"
    return site.name or f"{site.module}.{site.of}"


def site_of(key: str) -> Site:
    """The site whose `site_key` that is."""
    layer, _, rest = key.partition(".")
    if layer.isdecimal() and rest in get_args(Place):
        return Site.model_validate({"layer": int(layer), "place": rest})
    if key in get_args(Place):
        return Site.model_validate({"place": key})
    module, _, side = key.rpartition(".")
    return Site.model_validate(
        {"module": module, "of": side} if side in ("input", "output") else {"name": key}
    )


def model_folder(store: Path, data: TransformerData) -> Path:
    """Where the trained model lies in the store."""
    return store / "models" / model_id(data)


def extraction_folder(store: Path, data: TransformerData) -> Path:
    """Where the extraction lies in the store."""
    return store / "activations" / extraction_id(data)


def model_mark(data: TransformerData) -> PurePosixPath:
    """The file, relative to the store, that is written last when a model is trained."""
    return PurePosixPath("models") / model_id(data) / "training.json"


def site_mark(data: TransformerData, site: Site) -> PurePosixPath:
    """The file, relative to the store, that is written last when a site is extracted."""
    return PurePosixPath("activations") / extraction_id(data) / site_key(site) / "manifest.json"


def parameters(model: TrainedModel) -> int:
    """Roughly the parameters that a token passes through: the blocks' matrices and the output matrix."""
    blocks = model.layers * (4 * model.width**2 + 2 * model.width * model.mlp)
    return blocks + vocabulary(model) * model.width


def vocabulary(model: TrainedModel) -> int:
    """The tokens of a model's vocabulary; roughly, if its tokenizer is a named one."""
    return model.tokenizer.vocabulary if isinstance(model.tokenizer, TrainedTokenizer) else 50_000


def site_bytes(data: TransformerData) -> int:
    """Bytes on disk of the vectors of a site."""
    return (data.tokens + data.held_out_tokens) * data.dim * (4 if data.dtype == "float32" else 2)


def disk_bytes(cells: Iterable[Cell]) -> int:
    """Bytes on disk of all vectors that cells need; what they share counts once."""
    sites = {(extraction_id(data), site_key(data.site)): site_bytes(data) for data in sections(cells)}
    return sum(sites.values())


def trained_models(cells: Iterable[Cell]) -> dict[str, TransformerData]:
    """The trained models that cells need: id → a data section that names it."""
    found: dict[str, TransformerData] = {}
    for data in sections(cells):
        if isinstance(data.model, TrainedModel):
            found.setdefault(model_id(data), data)
    return found


def extractions(cells: Iterable[Cell]) -> tuple[Extraction, ...]:
    """The extractions that cells need, in the order of their first cells; sites in the cells' order."""
    first: dict[str, TransformerData] = {}
    sites: dict[str, dict[str, TransformerData]] = {}
    for data in sections(cells):
        name = extraction_id(data)
        first.setdefault(name, data)
        sites.setdefault(name, {}).setdefault(site_key(data.site), data)
    return tuple(
        Extraction(name, data, tuple(d.site for d in of.values()), tuple(d.dim for d in of.values()))
        for (name, data), of in zip(first.items(), sites.values(), strict=True)
    )


def sections(cells: Iterable[Cell]) -> Iterable[TransformerData]:
    """Each distinct data section once."""
    sections = {id(cell.config.data): cell.config.data for cell in cells}
    return [data for data in sections.values() if isinstance(data, TransformerData)]


def _digest(value: Any) -> str:
    return sha256_hex(canonical_json({"inputs": identity.INPUTS, **value}))[:12]
