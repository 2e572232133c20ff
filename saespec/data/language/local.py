"""Models and tokenizers in local folders, by a look at their configuration: nothing of `transformers` is imported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from saespec.data import hub
from saespec.errors import CallError
from saespec.spec.families import NAMES_OF_PLACES, Family, family
from saespec.spec.transformer import Site

_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_WIDTH = ("hidden_size", "n_embd", "dim", "d_model")
_HIDDEN = ("intermediate_size", "n_inner", "hidden_dim")
_POSITIONS = ("max_position_embeddings", "n_positions")
"""Names that configurations have for one thing."""

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")

_PLAIN_TOKENIZERS = {"PreTrainedTokenizerFast", "TokenizersBackend"}
"""Classes without special tokens of their own: what their files do not name they do not have."""


@dataclass(frozen=True)
class Checkpoint:
    """What the configuration of a local checkpoint says; None where it leaves a thing to a default."""

    lacks: str = ""
    """What is wrong with the folder, as a sentence; the rest is then not known."""
    type: str = ""
    family: Family | None = None
    layers: int | None = None
    width: int | None = None
    hidden: int | None = None
    positions: int | None = None
    saved: str = ""
    """The class that was saved."""

    @classmethod
    def at(cls, name: str, root: Path) -> Checkpoint | None:
        """The checkpoint that a model's name means; None for a hub id."""
        try:
            folder = hub.local_folder(name, root)
        except CallError as error:
            return cls(lacks=str(error))
        if folder is None:
            return None
        try:
            raw = json.loads((folder / "config.json").read_bytes())
            kind = raw["model_type"]
        except FileNotFoundError:
            return cls(lacks=f"{name} has no config.json: name a folder that `save_pretrained` wrote")
        except (OSError, ValueError, KeyError, TypeError) as error:
            return cls(lacks=f"{name}/config.json cannot be read ({error}): save the model anew")
        if not any(folder.glob("*.safetensors")):
            return cls(lacks=f"{name} has no *.safetensors: save the model with `save_pretrained`")
        config = raw["text_config"] if isinstance(raw.get("text_config"), dict) else raw
        width, hidden = _number(config, _WIDTH), _number(config, _HIDDEN)
        if kind == "gpt2" and hidden is None and width is not None:
            hidden = 4 * width  # its default
        return cls(
            type=kind,
            family=family(kind, SimpleNamespace(**raw)),
            layers=_number(config, _LAYERS),
            width=width,
            hidden=hidden,
            positions=_number(config, _POSITIONS),
            saved=next(iter(raw.get("architectures") or []), ""),
        )

    @property
    def predicts(self) -> bool:
        """Whether it predicts next tokens, as far as its configuration says."""
        return not self.saved or self.saved.endswith(("ForCausalLM", "LMHeadModel"))

    def dim(self, site: Site) -> int | None:
        """Dimensions at a site that is a place; None if that is not known."""
        place = site.place
        if site.name is not None and self.family is not None:
            name = site.name.split(".", 2)[-1]
            place = None if name in self.family.names else NAMES_OF_PLACES.get(name)  # type: ignore[assignment]
        if place is None:
            return None
        return self.hidden if place == "mlp_hidden" else self.width


def _number(config: dict[str, Any], names: tuple[str, ...]) -> int | None:
    found = next((config[name] for name in names if config.get(name) is not None), None)
    return found if isinstance(found, int) else None


def tokenizer_files(folder: Path) -> bool:
    """Whether a folder holds a tokenizer."""
    return any((folder / name).exists() for name in _TOKENIZER_FILES) or any(folder.glob("*.model"))


def lacks_tokens(folder: Path) -> tuple[bool, bool]:
    """Whether a folder's tokenizer surely lacks a beginning-of-text token, and an end-of-text token."""
    config = _read(folder / "tokenizer_config.json")
    if config.get("tokenizer_class") not in _PLAIN_TOKENIZERS:
        return False, False
    named = {**_read(folder / "special_tokens_map.json"), **config}
    begins, ends = ("bos_token", "cls_token"), ("eos_token", "sep_token")
    return not any(named.get(role) for role in begins), not any(named.get(role) for role in ends)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
