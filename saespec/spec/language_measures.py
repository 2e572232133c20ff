"""Measures that need a transformer: what reconstructions do to it, top examples, and what it is itself."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from .columns import Column
from .measured import Measured


class LanguageModel(Measured):
    """What happens to the model's predictions where reconstructions take the place of its activations."""

    needs = "transformer"
    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (
            Column("ce", "float64", "nat/token", "Cross-entropy of the model untouched with the next token."),
            Column("ce_zero", "float64", "nat/token", "The same with the site's activations set to zero."),
            Column(
                "ce_mean", "float64", "nat/token", "With each the mean vector of the site's training tokens."
            ),
            Column("ce_spliced", "float64", "nat/token", "With each its reconstruction."),
            Column(
                "reconstruction_score",
                "float64",
                "fraction",
                "(ce_zero - ce_spliced) / (ce_zero - ce): 1 as good as untouched, 0 as bad as zeroed.",
            ),
            Column("nats_lost", "float64", "nat/token", "ce_spliced - ce."),
            Column(
                "kl",
                "float64",
                "nat/token",
                "KL divergence of the spliced model's predictions from the untouched one's: unlike nats_lost it "
                "counts every change of the distribution, not that of the next token's probability alone.",
            ),
            Column("kl_zero", "float64", "nat/token", "The same divergence with the site set to zero."),
            Column("perplexity", "float64", "1", "e^ce."),
            Column("perplexity_spliced", "float64", "1", "e^ce_spliced."),
        ),
    }
    kind: Literal["language_model"] = Field(
        description="Cross-entropy, KL divergence and reconstruction score with reconstructions spliced in."
    )
    contexts: int = Field(
        64,
        ge=1,
        description="Held-out contexts, spread evenly over the documents, or all if there are fewer.",
    )


class TopExamples(Measured):
    """The held-out text on which latents are most active: a row for each latent and example."""

    needs = "transformer"
    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "examples": (
            Column("latent", "int64", "index", "The latent, from 0."),
            Column("density", "float32", "probability", "Share of held-out tokens that activate the latent."),
            Column("rank", "int64", "1", "1 for the example with the highest activation."),
            Column("activation", "float32", "activation", "The latent's code at the token."),
            Column("context", "int64", "index", "The context among the held-out ones, from 0."),
            Column("position", "int64", "index", "The token's place in its context, from 0."),
            Column("token", "string", "text", "The token."),
            Column("before", "string", "text", "Text of the tokens before it, as far as is shown."),
            Column("after", "string", "text", "Text of the tokens after it, as far as is shown."),
            Column(
                "tokens",
                "string",
                "JSON",
                "All tokens shown, each [text, code]; the code is null where no activation was taken.",
            ),
        ),
    }
    kind: Literal["top_examples"] = Field(description="Top-activating examples in context.")
    where: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="Which cells, by their fields, such as {sae.latents: 512}; all if empty.",
    )
    choose: Literal["random", "frequent", "recurring"] = Field(
        "random",
        description="Which latents of those that fire. random: any, by the cell's seed. frequent: the most dense "
        "ones. recurring: those with the highest cosine in the next larger dictionary.",
    )
    latents: int = Field(20, ge=1, le=10_000, description="Latents of each cell.")
    examples: int = Field(5, ge=1, le=1000, description="Examples of each latent, from as many contexts.")
    before: int = Field(24, ge=0, le=10_000, description="Tokens shown before the example's.")
    after: int = Field(8, ge=0, le=10_000, description="Tokens shown after it.")


class ModelRecord(Measured):
    """The models that the cells' activations come from, and how their training went."""

    needs = "transformer"
    columns: ClassVar[dict[str, tuple[Column, ...]]] = {
        "cells": (Column("model_id", "string", "id", "The model, as in the table models."),),
        "models": (
            Column("name", "string", "name", "What it is: its architecture, or the checkpoint's name."),
            Column("parameters", "int64", "parameters", "Its parameters."),
            Column("train_tokens", "int64", "tokens", "Tokens it was trained on; NULL for a checkpoint."),
            Column(
                "cross_entropy",
                "float64",
                "nat/token",
                "On held-out documents, after training; NULL for a checkpoint, as all below.",
            ),
            Column("perplexity", "float64", "1", "e^cross_entropy."),
            Column("held_out_tokens", "int64", "tokens", "Tokens that this is the mean over."),
            Column(
                "bigram_cross_entropy",
                "float64",
                "nat/token",
                "Of a bigram model of the same tokens, on the same held-out ones.",
            ),
            Column("corpus", "string", "name", "The text it was trained on."),
            Column("corpus_sha256", "string", "hash", "SHA-256 of that text."),
        ),
        "model_curves": (
            Column("step", "int64", "steps", "Optimiser steps taken so far."),
            Column("tokens", "int64", "tokens", "Tokens seen so far."),
            Column("loss", "float64", "nat/token", "Cross-entropy on the last batches trained on."),
            Column("held_out_cross_entropy", "float64", "nat/token", "Cross-entropy on held-out documents."),
            Column("lr", "float64", "1", "Learning rate."),
        ),
    }
    kind: Literal["model"] = Field(description="The models, their held-out perplexity and training curves.")
