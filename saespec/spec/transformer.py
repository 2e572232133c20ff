"""Configuration of a transformer's activations: which model, on which text, at which hook site."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from .base import Conflict, Consistent, Strict
from .columns import Added, Stored
from .corpus import Corpus
from .sites import one_form

Place = Literal[
    "embed", "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_in", "mlp_hidden", "mlp_out"
]
"""Places that the hook table of a known family knows."""

MOST_DIMENSIONS = 65_536

Precision = Literal["float32", "float16", "bfloat16"]


class TrainedTokenizer(Strict):
    """Byte-level BPE, trained on the corpus."""

    kind: Annotated[Literal["bpe"], Stored("tokenizer")] = Field(
        description="Byte-level BPE, trained on the train part of the corpus."
    )
    vocabulary: Annotated[int, Stored("vocabulary", "tokens")] = Field(
        ge=257, le=1_000_000, description="Tokens, the 256 bytes and the end-of-text token among them."
    )


def is_folder(name: str) -> bool:
    """Whether a name means a folder, not a hub id."""
    return name.startswith((".", "/", "~"))


def _unpinned(name: str, revision: str | None) -> Iterator[Conflict]:
    if not revision and not is_folder(name):
        hint = f"name a commit, or write ./{name} for a folder"
        yield Conflict("name", "is a hub id and needs a revision", hint)
    if revision and is_folder(name):
        yield Conflict("revision", f"is for hub ids, and {name} is a folder", "remove it")


class NamedTokenizer(Consistent):
    """A tokenizer of the hub or of a local folder."""

    kind: Annotated[Literal["named"], Stored("tokenizer")] = Field(
        description="A tokenizer of the hub or of a local folder."
    )
    name: Annotated[str, Stored("tokenizer_name")] = Field(
        min_length=1, description="Hub id, or path of a folder relative to the project."
    )
    revision: Annotated[str | None, Stored("tokenizer_revision")] = Field(
        None, description="Commit, tag or branch on the hub; needed for hub ids."
    )

    @classmethod
    def ousted(cls, key: str, value: Any) -> Collection[str]:
        return ("revision",) if key == "name" else ()

    def conflicts(self) -> Iterator[Conflict]:
        yield from _unpinned(self.name, self.revision)


class ModelTraining(Strict):
    """Training of a small language model: AdamW, cosine schedule with warm-up (`transformers.Trainer`)."""

    tokens: Annotated[int, Stored("model_tokens", "tokens")] = Field(
        ge=1, description="Tokens trained on, in all; the corpus is repeated if it has fewer."
    )
    batch: Annotated[int, Stored("model_batch", "contexts")] = Field(ge=1, description="Contexts in a step.")
    lr: Annotated[float, Stored("model_lr")] = Field(gt=0, description="Highest learning rate.")
    warmup: Annotated[float, Stored("model_warmup")] = Field(
        0.01, ge=0, le=1, description="Share of the steps over which the rate rises."
    )
    weight_decay: Annotated[float, Stored("model_weight_decay")] = Field(
        0.0, ge=0, description="Weight decay of AdamW."
    )
    beta2: Annotated[float, Stored("model_beta2")] = Field(
        0.999, ge=0, lt=1, description="Decay of Adam's mean square."
    )
    clip: Annotated[float, Stored("model_clip")] = Field(
        1.0, gt=0, description="Largest norm of the gradient."
    )


class TrainedModel(Consistent):
    """A decoder trained from scratch on the data's corpus; specs that name the same one share its training."""

    kind: Annotated[Literal["trained"], Stored("model")] = Field(description="Trained from scratch.")
    family: Annotated[Literal["gpt2", "gpt_neox", "llama"], Stored("model_family")] = Field(
        "gpt2", description="Architecture: the `transformers` model type."
    )
    layers: Annotated[int, Stored("model_layers", "layers")] = Field(ge=1, le=1000, description="Blocks.")
    width: Annotated[int, Stored("model_width", "dimensions")] = Field(
        ge=1, le=65_536, description="Width of the residual stream."
    )
    heads: Annotated[int, Stored("model_heads", "heads")] = Field(
        ge=1, description="Attention heads; they divide the width."
    )
    mlp: Annotated[int, Stored("model_mlp", "dimensions")] = Field(
        ge=1, le=1_048_576, description="Width of the MLP's hidden layer."
    )
    context: Annotated[int, Stored("model_context", "tokens")] = Field(
        ge=2, le=1_048_576, description="Tokens in a training context, and positions."
    )
    activation: Annotated[str, Stored("model_activation")] = Field(
        "gelu_new", description="Activation function, as `transformers` names it."
    )
    tied_embeddings: Annotated[bool, Stored("model_tied_embeddings")] = Field(
        True, description="Whether the output matrix is the embedding."
    )
    dropout: Annotated[float, Stored("model_dropout")] = Field(
        0.0, ge=0, lt=1, description="Dropout while training."
    )
    init: Annotated[float, Stored("model_init"), Added()] = Field(
        0.02,
        gt=0,
        le=1,
        description="Standard deviation of its first weights and embeddings. 0.02 suits widths near 1000; "
        "0.02·√(768/width) suits small ones.",
    )
    tokenizer: TrainedTokenizer | NamedTokenizer = Field(
        discriminator="kind", description="How text becomes tokens."
    )
    train: ModelTraining = Field(description="How it is trained.")
    seed: Annotated[int, Stored("model_seed")] = Field(
        0, ge=0, lt=2**31, description="Seed of its weights and of the order of its contexts."
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.width % self.heads:
            yield Conflict("heads", f"must divide the width ({self.width}), {self.heads} does not")


class PretrainedModel(Consistent):
    """A checkpoint of the hub, or a local folder as `save_pretrained` writes it; safetensors only."""

    kind: Annotated[Literal["pretrained"], Stored("model")] = Field(description="A finished checkpoint.")
    name: Annotated[str, Stored("model_name")] = Field(
        min_length=1,
        description="Hub id, or path of a folder relative to the project (starting with ./ or /).",
    )
    revision: Annotated[str | None, Stored("model_revision")] = Field(
        None, description="Commit, tag or branch on the hub; needed for hub ids."
    )
    dtype: Annotated[Precision, Stored("model_dtype")] = Field(
        "float32", description="Precision of its weights and of the forward pass."
    )
    tokenizer: NamedTokenizer | None = Field(None, description="Another tokenizer than the checkpoint's own.")

    @classmethod
    def ousted(cls, key: str, value: Any) -> Collection[str]:
        return ("revision",) if key == "name" else ()

    def conflicts(self) -> Iterator[Conflict]:
        yield from _unpinned(self.name, self.revision)


class Site(Consistent):
    """Where activations are taken: `{layer, place}`, a TransformerLens `{name}`, or a `{module}` path."""

    layer: Annotated[int | None, Stored("layer", "index")] = Field(None, ge=0, description="Block, from 0.")
    place: Annotated[Place | None, Stored("place")] = Field(
        None,
        description="resid_pre, resid_mid, resid_post: the residual stream before a block, between attention and "
        "MLP, after the block. attn_out, mlp_out: what they add to it. mlp_in: the MLP's input. mlp_hidden: its "
        "neurons, after the activation function. embed: the residual stream before the first block.",
    )
    name: Annotated[str | None, Stored("hook_name")] = Field(
        None, description="A TransformerLens hook name, such as blocks.2.mlp.hook_post."
    )
    module: Annotated[str | None, Stored("module")] = Field(
        None, description="Path of any module of the model, such as transformer.h.2.mlp.act."
    )
    of: Annotated[Literal["input", "output"], Stored("module_side")] = Field(
        "output", description="With module: whether its input or its output is taken."
    )

    @classmethod
    def ousted(cls, key: str, value: Any) -> Collection[str]:
        forms = {"place": ("layer",), "name": (), "module": ("of",)}
        if key not in forms:
            return ()
        others = [(other, *more) for other, more in forms.items() if other != key]
        layer = ("layer",) if (key, value) == ("place", "embed") else ()
        return (*(k for form in others for k in form), *layer)

    def conflicts(self) -> Iterator[Conflict]:
        forms = [self.place is not None, self.name is not None, self.module is not None]
        if sum(forms) != 1:
            yield Conflict("place", "a site is given by one of place (with layer), name, or module")
        if self.place is not None and self.layer is None and self.place != "embed":
            yield Conflict("place", "needs a layer", "such as layer: 0")
        if self.layer is not None and self.place is None and any(forms):
            yield Conflict("layer", "goes with place only", "remove it")
        if self.place == "embed" and self.layer is not None:
            yield Conflict("layer", "place: embed has no layer", "remove it")
        if self.of == "input" and self.module is None:
            yield Conflict("of", "goes with module only", "remove it")


def _in_one_form(site: Site, model: TrainedModel | PretrainedModel) -> Site:
    """A site in the one form that stands for all that mean the same tensor, as far as the spec tells."""
    if site.place is not None:
        return site
    form = one_form(
        site.name, site.module, site.of, model.family if isinstance(model, TrainedModel) else None
    )
    return site if form is None else Site(**form)


class TransformerData(Consistent):
    """Activations of a transformer at a hook site, extracted once into a store and read back shuffled."""

    offers: ClassVar[str] = "transformer"

    kind: Annotated[Literal["transformer"], Stored("data")] = Field(
        description="Activations of a transformer at a hook site."
    )
    model: TrainedModel | PretrainedModel = Field(discriminator="kind", description="The transformer.")
    corpus: Corpus = Field(description="The text that runs through it.")
    site: Site = Field(description="Where activations are taken.")
    dim: Annotated[int, Stored("dim", "dimensions")] = Field(
        ge=1, le=MOST_DIMENSIONS, description="Dimensions of an activation vector; checked against the model."
    )
    tokens: Annotated[int, Stored("tokens", "tokens")] = Field(
        ge=1, description="Activation vectors to train on; training repeats them, shuffled anew each time."
    )
    held_out_tokens: Annotated[int, Stored("held_out_tokens", "tokens")] = Field(
        ge=1, description="Activation vectors of held-out documents, for measures."
    )
    context: Annotated[int, Stored("context", "tokens")] = Field(
        ge=2, description="Tokens in a context, the beginning-of-text token included."
    )
    packing: Annotated[Literal["packed", "documents"], Stored("packing")] = Field(
        "packed",
        description="packed: documents one after the other, an end-of-text token between, cut into full contexts. "
        "documents: each context holds one document's beginning, padded; padding is never extracted.",
    )
    bos: Annotated[Literal["none", "add", "skip"], Stored("bos")] = Field(
        "none",
        description="none: contexts start with text. add: each starts with a beginning-of-text token, whose "
        "activation is one of the vectors. skip: it starts so, and that vector is left out.",
    )
    special_tokens: Annotated[Literal["keep", "skip"], Stored("special_tokens"), Added()] = Field(
        "keep",
        description="skip: no vector is taken at a token that the tokenizer declares special, such as the end-of-text "
        "token between packed documents; the model still reads it. keep: at those too, as `bos` says of the first.",
    )
    dtype: Annotated[Precision, Stored("activation_dtype")] = Field(
        "float16", description="Precision of the vectors in the store."
    )
    normalise: Annotated[Literal["none", "rms", "mean_norm", "vector"], Stored("normalise")] = Field(
        "none",
        description="rms: one factor for all vectors, so that the mean square of an element is 1. mean_norm: one "
        "factor, so that the mean length is 1. vector: each vector by itself to a mean square of 1.",
    )

    @model_validator(mode="after")
    def _one_site_one_form(self) -> Self:
        self.__dict__["site"] = _in_one_form(self.site, self.model)
        return self

    def conflicts(self) -> Iterator[Conflict]:
        model = self.model
        site = _in_one_form(self.site, model)
        if self.bos == "add" and self.special_tokens == "skip":
            hint = "write bos: skip, or special_tokens: keep"
            yield Conflict("special_tokens", "skip leaves out the vector that bos: add takes", hint)
        if isinstance(model, TrainedModel):
            if self.context > model.context:
                yield Conflict(
                    "context", f"must be at most the model's ({model.context}), not {self.context}"
                )
            block = re.match(r"blocks\.(\d+)\.", site.name or "")
            layer = int(block[1]) if block else site.layer
            if layer is not None and layer >= model.layers:
                form = next(
                    (key for key in ("name", "module") if getattr(self.site, key) is not None), "layer"
                )
                what = "must" if form == "layer" else "names a block that must"
                yield Conflict(f"site.{form}", f"{what} be less than the model's layers ({model.layers})")
            dim = model.mlp if site.place == "mlp_hidden" else model.width
            if site.place is not None and self.dim != dim:
                hint = f"write dim: {dim}" if dim <= MOST_DIMENSIONS else ""
                yield Conflict("dim", f"must be {dim} at {site.place}, not {self.dim}", hint)

    @property
    def truth_features(self) -> None:
        """Nobody knows its features."""

    def bytes(self) -> int:
        """Size of this site's vectors on disk."""
        return (self.tokens + self.held_out_tokens) * self.dim * (4 if self.dtype == "float32" else 2)


__all__ = [
    "ModelTraining",
    "NamedTokenizer",
    "Place",
    "PretrainedModel",
    "Site",
    "TrainedModel",
    "TrainedTokenizer",
    "TransformerData",
]
