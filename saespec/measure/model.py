"""The models that cells' activations come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saespec.data.language.models import load_model, verified
from saespec.plan.inputs import model_folder, model_id
from saespec.plan.project import store_folder
from saespec.spec.corpus import Corpus, HubDataset, PythonSources
from saespec.spec.language_measures import ModelRecord
from saespec.spec.transformer import TrainedModel, TransformerData

from .columns import Columns
from .on_transformer import by_extraction
from .trained import Trained


def measure(config: ModelRecord, stacks: Sequence[Trained]) -> Columns:
    """A row for each model, its training curve if it was trained here, and which model each cell has."""
    columns = Columns()
    data_of: dict[str, TransformerData] = {}
    for placed in (placed for cells in by_extraction(stacks) for placed in cells):
        name = _id(placed.data)
        data_of.setdefault(name, placed.data)
        columns.add("cells", cell=[placed.cell.id], model_id=[name])
    for name, data in data_of.items():
        if isinstance(data.model, TrainedModel):
            record = verified(model_folder(store_folder(Path.cwd()), data))
            found, curve = _trained(data.model, data.corpus, record), record["curve"]
            columns.add("model_curves", model=[name] * len(curve), **_columns(curve))
        else:
            found = _checkpoint(data, stacks)
        columns.add("models", model=[name], **{column: [value] for column, value in found.items()})
    return columns


def _id(data: TransformerData) -> str:
    if isinstance(data.model, TrainedModel):
        return model_id(data)
    return f"{data.model.name}@{data.model.revision}" if data.model.revision else data.model.name


def _trained(model: TrainedModel, corpus: Corpus, record: dict[str, Any]) -> dict[str, Any]:
    held_out = record["held_out"]
    return {
        "name": f"{model.family}, {model.layers} layers, width {model.width}",
        "parameters": record["parameters"],
        "train_tokens": record["train_tokens"],
        "cross_entropy": held_out["cross_entropy"],
        "perplexity": held_out["perplexity"],
        "held_out_tokens": held_out["tokens"],
        "bigram_cross_entropy": record["bigram_cross_entropy"],
        "corpus": _name(corpus),
        "corpus_sha256": record["corpus_sha256"],
    }


def _checkpoint(data: TransformerData, stacks: Sequence[Trained]) -> dict[str, Any]:
    loaded = load_model(data, store_folder(Path.cwd()), Path.cwd(), stacks[0].device)
    absent = ("train_tokens", "cross_entropy", "perplexity", "held_out_tokens", "bigram_cross_entropy")
    return {
        "name": f"{type(loaded.model).__name__} {_id(data)}",
        "parameters": sum(parameter.numel() for parameter in loaded.model.parameters()),
        **dict.fromkeys((*absent, "corpus", "corpus_sha256")),
    }


def _name(corpus: Corpus) -> str:
    if isinstance(corpus, PythonSources):
        return f"Python sources of {', '.join(corpus.packages)}"
    return corpus.name if isinstance(corpus, HubDataset) else ", ".join(corpus.paths)


def _columns(curve: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = ("step", "tokens", "loss", "held_out_cross_entropy", "lr")
    return {name: [point.get(name) for point in curve] for name in names}
