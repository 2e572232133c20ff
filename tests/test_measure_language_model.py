"""Measures that need a language model, on tiny real ones: splicing, top examples, the models themselves."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells import cell as toy_cell
from cells import rows

from saespec.data.activations import store
from saespec.data.activations.extract import extract, refuse_other_model
from saespec.data.language.models import load_model, train_model
from saespec.data.text import tokens
from saespec.errors import CallError, StageError
from saespec.measure import language_model
from saespec.measure.on_transformer import by_extraction
from saespec.measure.tables import tables
from saespec.measure.trained import load
from saespec.plan.identity import cell_id
from saespec.plan.inputs import extractions, model_id
from saespec.plan.model import Cell
from saespec.plan.project import store_folder
from saespec.sae import checkpoint
from saespec.sae.baselines import BASELINES
from saespec.sae.fit import fit
from saespec.sae.train import CURVE, train
from saespec.spec.language_measures import LanguageModel, ModelRecord, TopExamples
from saespec.spec.spec import CellConfig
from saespec.spec.transformer import TransformerData

CPU = torch.device("cpu")
WORDS = ["import", "def", "return", "class", "self", "for", "in", "if", "else", "print", "range", "open"]
WIDTH, CONTEXT = 16, 24


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text, a GPT-2 of two layers and one BERT with random weights, and their tokenizer."""
    from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

    root = tmp_path_factory.mktemp("project")
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(20, 60))) + "\n" for _ in range(120)]
    (root / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    tokenizer = tokens.train_tokenizer(texts, 280)
    torch.manual_seed(0)
    shape = {"vocab_size": 280, "n_positions": CONTEXT, "n_embd": WIDTH, "n_layer": 2, "n_head": 2}
    gpt2 = GPT2LMHeadModel(GPT2Config(**shape, initializer_range=0.3, bos_token_id=0, eos_token_id=0))
    bert = BertModel(BertConfig(vocab_size=280, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
    for name, model in (("gpt2", gpt2), ("bert", bert)):
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    return root


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def data(place: str = "mlp_hidden", layer: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "transformer",
        "model": {"kind": "pretrained", "name": "./gpt2"},
        "corpus": {"kind": "files", "paths": ["text.jsonl"], "held_out": 0.3},
        "site": {"layer": layer, "place": place},
        "dim": 4 * WIDTH if place == "mlp_hidden" else WIDTH,
        "tokens": 2000,
        "held_out_tokens": 590,
        "context": CONTEXT,
        "dtype": "float32",
        **changes,
    }


def cell(section: dict[str, Any] | None = None, sae: dict[str, Any] | None = None, **changes: Any) -> Cell:
    """A cell on activations; baselines for dictionaries whose effect is known."""
    section = section or data()
    values = toy_cell(steps=20, batch=64, **changes).config.model_dump(mode="json", exclude_unset=True)
    sae = sae or {"kind": "relu", "latents": 24}
    config = CellConfig.model_validate({**values, "data": section, "sae": sae})
    return Cell(cell_id(config), config)


def identity(section: dict[str, Any]) -> Cell:
    """All principal components: reconstructions are the activations, to rounding."""
    return cell(section, {"kind": "pca", "latents": section["dim"]})


def zero(section: dict[str, Any], store: checkpoint.Store) -> Cell:
    """A dictionary that reconstructs nothing."""
    own = cell(section, {"kind": "relu", "latents": 2})
    D = section["dim"]
    tensors = {
        "encoder": torch.zeros(2, D), "decoder": torch.eye(2, D), "bias": torch.full((2,), -1.0),
        "curve": torch.zeros(1, 6, dtype=torch.float64),
    }  # fmt: skip
    header = {"cell": own.id, "config": own.config.model_dump(mode="json"), "device": "cpu", "curve": CURVE}
    checkpoint.write(store.cell(own.id), tensors, header)
    return own


def measured(cells: Sequence[Cell], measures: list[Any]) -> dict[str, list[dict[str, Any]]]:
    store = checkpoint.Store(store_folder(Path.cwd()))
    for extraction in extractions(cells):
        extract(extraction, store.folder, Path.cwd(), CPU, lambda *_: None, lambda: False)
    for own in cells:
        if not store.finished(own.id):
            (fit if own.config.sae.kind in BASELINES else train)([own], store, [CPU])
    stacks = load([((own,), store.cell(own.id).parent) for own in cells], CPU)
    return {name: rows(table) for name, table in tables("x", cells, measures, stacks).items()}


SPLICED = [LanguageModel(kind="language_model", contexts=20)]


@pytest.mark.parametrize("place", ["mlp_hidden", "resid_post"])
@pytest.mark.parametrize("normalise", ["none", "rms"])
def test_the_identity_scores_one_and_the_zero_dictionary_zero(place: str, normalise: str) -> None:
    section = data(place, normalise=normalise)
    store = checkpoint.Store(store_folder(Path.cwd()))
    one, nothing = measured([identity(section), zero(section, store)], SPLICED)["cells"]
    assert one["reconstruction_score"] == pytest.approx(1, abs=1e-4)
    assert one["nats_lost"] == pytest.approx(0, abs=1e-4)
    assert one["kl"] == pytest.approx(0, abs=1e-5)
    assert nothing["reconstruction_score"] == 0
    assert nothing["ce_spliced"] == nothing["ce_zero"]
    assert nothing["kl"] == nothing["kl_zero"] > 0
    assert one["ce_zero"] == nothing["ce_zero"]


def test_cross_entropy_is_that_of_transformers() -> None:
    own = cell()
    row = measured([own], SPLICED)["cells"][0]
    (placed,) = by_extraction(load([((own,), store_folder(Path.cwd()) / "cells")], CPU))[0]
    model: Any = load_model(placed.data, store_folder(Path.cwd()), Path.cwd(), CPU).model
    ids_CT = torch.from_numpy(
        placed.contexts.ids_CT[language_model.spread(len(placed.contexts.ids_CT), 20)]
    ).long()
    assert row["ce"] == pytest.approx(model(ids_CT, labels=ids_CT).loss.item(), rel=1e-5)
    assert row["perplexity"] == pytest.approx(math.exp(row["ce"]))
    assert row["nats_lost"] == pytest.approx(row["ce_spliced"] - row["ce"])
    assert row["reconstruction_score"] == pytest.approx(
        (row["ce_zero"] - row["ce_spliced"]) / (row["ce_zero"] - row["ce"])
    )


def test_the_mean_ablated_model_has_the_training_mean_everywhere() -> None:
    own = cell(data("resid_post"))
    row = measured([own], SPLICED)["cells"][0]
    (placed,) = by_extraction(load([((own,), store_folder(Path.cwd()) / "cells")], CPU))[0]
    mean_D = torch.cat([placed.source.batch("train", t, 100) for t in range(200)]).mean(dim=0)
    assert torch.allclose(placed.mean(mean_D), mean_D, atol=0.1)
    model: Any = load_model(placed.data, store_folder(Path.cwd()), Path.cwd(), CPU).model
    ids_CT = torch.from_numpy(
        placed.contexts.ids_CT[language_model.spread(len(placed.contexts.ids_CT), 20)]
    ).long()
    # After the last block there is nothing but the final norm and the output matrix.
    logits_W = model.lm_head(model.transformer.ln_f(placed.mean(mean_D)))
    expected = torch.nn.functional.cross_entropy(
        logits_W.expand(ids_CT[:, 1:].numel(), -1), ids_CT[:, 1:].flatten()
    )
    assert row["ce_mean"] == pytest.approx(expected.item(), rel=1e-5)


def test_kl_counts_what_cross_entropy_does_not() -> None:
    """Two models may predict the next tokens equally well and still differ."""
    original = torch.tensor([[0.5, 0.3, 0.2]]).log()
    changed = torch.tensor([[0.5, 0.1, 0.4]]).log()
    found = language_model.Predictions()
    found.add(changed, torch.tensor([0]), original, original.exp())
    assert found.ce == pytest.approx(math.log(2))
    assert found.kl == pytest.approx(0.3 * math.log(3) + 0.2 * math.log(0.5))


def test_a_cells_numbers_do_not_depend_on_its_neighbours_or_on_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = [cell(), cell(data("resid_post", 0)), cell(l1=0.01), cell(data(normalise="rms"))]
    together = measured(cells, SPLICED)["cells"]
    for own, row in zip(cells, together, strict=True):
        assert measured([own], SPLICED)["cells"] == [row]
    monkeypatch.setattr(language_model, "NUMBERS", 280 * CONTEXT * 3)
    smaller = measured(cells, SPLICED)["cells"]
    assert [row["ce_spliced"] for row in smaller] == pytest.approx([row["ce_spliced"] for row in together])


def test_tokens_that_are_not_in_the_store_are_left_as_they_are() -> None:
    """With `bos: skip` the first activation stays, so zeroing the rest does less harm than zeroing all."""
    skip, add = (
        measured([cell(data("resid_post", 0, bos=bos))], SPLICED)["cells"][0] for bos in ("skip", "add")
    )
    assert skip["ce"] == pytest.approx(add["ce"], rel=0.05)
    assert skip["kl_zero"] != add["kl_zero"]


def test_special_tokens_that_are_skipped_keep_the_models_own_activations() -> None:
    """The contexts and what is predicted are the same; what is spliced in leaves the separators alone."""
    sections = [data("resid_post", 0, special_tokens=special) for special in ("keep", "skip")]
    keep, skip = (measured([identity(section)], SPLICED)["cells"][0] for section in sections)
    assert skip["ce"] == pytest.approx(keep["ce"], rel=0.02)
    assert skip["kl_zero"] != keep["kl_zero"]
    assert abs(skip["nats_lost"]) < 1e-4
    (placed,) = by_extraction(load([((identity(sections[1]),), store_folder(Path.cwd()) / "cells")], CPU))[0]
    text = placed.contexts
    assert (text.ids_CT[text.kept_CT] != 0).all()
    assert ((text.ids_CT == 0) & text.mask_CT).any()
    assert len(placed.source.held_out_text(0, 10**6)) == text.kept_CT.sum() == 590


def test_padding_is_not_predicted() -> None:
    row = measured([cell(data(packing="documents", held_out_tokens=400))], SPLICED)["cells"][0]
    assert row["ce"] < math.log(280) * 2
    assert row["nats_lost"] == pytest.approx(row["ce_spliced"] - row["ce"])


def test_a_model_that_does_not_predict_next_tokens_is_refused() -> None:
    section = data("resid_post", 0, model={"kind": "pretrained", "name": "./bert"})
    with pytest.raises(CallError, match="BertModel does not predict next tokens"):
        measured([cell(section)], SPLICED)


EXAMPLES = {"kind": "top_examples", "latents": 3, "examples": 4, "before": 5, "after": 2}


def test_top_examples_are_the_highest_codes_of_the_held_out_text() -> None:
    own = cell()
    rows = measured([own], [TopExamples(**EXAMPLES, choose="frequent")])["examples"]
    (placed,) = by_extraction(load([((own,), store_folder(Path.cwd()) / "cells")], CPU))[0]
    codes_VL = torch.cat(list(placed.held_out_codes())).numpy()
    contexts = placed.contexts
    assert len(codes_VL) == contexts.kept_CT.sum() == 590
    context_V, position_V = np.nonzero(contexts.kept_CT)
    latents = sorted({row["latent"] for row in rows})
    assert len(latents) == 3
    for latent in latents:
        of_latent = [row for row in rows if row["latent"] == latent]
        assert [row["rank"] for row in of_latent] == [1, 2, 3, 4]
        assert len({row["context"] for row in of_latent}) == 4
        best_C = [codes_VL[context_V == c, latent].max() for c in range(len(contexts.ids_CT))]
        assert [row["activation"] for row in of_latent] == pytest.approx(sorted(best_C)[:-5:-1])
        assert of_latent[0]["density"] == pytest.approx((codes_VL[:, latent] > 0).mean())
        for row in of_latent:
            v = np.flatnonzero((context_V == row["context"]) & (position_V == row["position"])).item()
            assert codes_VL[v, latent] == row["activation"]


def test_an_example_reads_as_the_text_around_its_token(project: Path) -> None:
    rows = measured([cell()], [TopExamples(**EXAMPLES)])["examples"]
    text = "".join(json.loads(line)["text"] for line in (project / "text.jsonl").read_text().splitlines())
    for row in rows:
        shown = json.loads(row["tokens"])
        assert "".join(token for token, _ in shown) == row["before"] + row["token"] + row["after"]
        assert max(code for _, code in shown) == pytest.approx(row["activation"], rel=1e-3)
        assert len(shown) <= 5 + 1 + 2
        if tokens.END_OF_TEXT not in row["before"] + row["token"] + row["after"]:
            assert row["before"] + row["token"] + row["after"] in text


def test_cells_are_chosen_by_their_fields() -> None:
    cells = [cell(), cell(l1=0.01)]
    chosen = TopExamples(**EXAMPLES, where={"loss.sparsity.coefficient": 0.01})
    assert {row["cell"] for row in measured(cells, [chosen])["examples"]} == {cells[1].id}


def test_latents_are_chosen_by_density_or_by_recurrence() -> None:
    cells = [cell(), cell(sae={"kind": "relu", "latents": 48})]
    dense = measured(cells[:1], [TopExamples(**EXAMPLES, choose="frequent")])["examples"]
    densities = list(dict.fromkeys(row["density"] for row in dense))
    assert densities == sorted(densities, reverse=True)
    recurring = measured(cells, [TopExamples(**EXAMPLES, choose="recurring")])["examples"]
    assert {row["cell"] for row in recurring} == {cells[0].id}  # no larger dictionary, no recurrence


def test_examples_are_the_same_twice() -> None:
    first, second = (measured([cell()], [TopExamples(**EXAMPLES)])["examples"] for _ in range(2))
    assert first == second


def test_a_checkpoint_is_a_model_without_a_training() -> None:
    cells = [cell(), cell(data("resid_post"))]
    found = measured(cells, [ModelRecord(kind="model")])
    (row,) = found["models"]
    assert {own["model_id"] for own in found["cells"]} == {row["model"]} == {"./gpt2"}
    model: Any = load_model(_section(cells[0]), store_folder(Path.cwd()), Path.cwd(), CPU).model
    assert row["parameters"] == model.num_parameters()
    assert row["cross_entropy"] is None
    assert "model_curves" not in found


def test_a_trained_model_has_a_row_and_a_curve() -> None:
    training = {"tokens": 6000, "batch": 10, "lr": 1e-2}
    own_model = {
        "kind": "trained", "layers": 1, "width": 8, "heads": 1, "mlp": 16, "context": CONTEXT,
        "tokenizer": {"kind": "bpe", "vocabulary": 270}, "train": training,
    }  # fmt: skip
    own = cell(data("mlp_hidden", 0, model=own_model, dim=16))
    train_model(_section(own), store_folder(Path.cwd()), Path.cwd(), CPU, lambda *_: None, lambda: False)
    found = measured([own], [ModelRecord(kind="model"), *SPLICED])
    (row,), curve = found["models"], found["model_curves"]
    assert row["model"] == model_id(_section(own)) == found["cells"][0]["model_id"]
    assert (row["train_tokens"], row["corpus"]) == (6000, "text.jsonl")
    assert row["perplexity"] == pytest.approx(math.exp(row["cross_entropy"]))
    assert {point["model"] for point in curve} == {row["model"]}
    assert curve[-1]["tokens"] == 6000
    assert curve[-1]["held_out_cross_entropy"] < curve[0]["held_out_cross_entropy"]
    assert found["cells"][0]["ce"] == pytest.approx(row["cross_entropy"], rel=0.1)
    declared = {column.name for column in ModelRecord.columns["models"]}
    assert declared | {"model"} == set(row)


def _section(own: Cell) -> TransformerData:
    assert isinstance(own.config.data, TransformerData)
    return own.config.data


def test_contexts_are_spread_over_the_part() -> None:
    assert language_model.spread(10, 4).tolist() == [0, 2, 5, 7]
    assert language_model.spread(3, 4).tolist() == [0, 1, 2]
    assert language_model.spread(0, 4).tolist() == []


def test_cells_on_toy_data_beside_others_have_no_language_model() -> None:
    own, toy = cell(data()), toy_cell(dim=data()["dim"], steps=20, batch=64)
    found = measured([own, toy], [*SPLICED, ModelRecord(kind="model")])
    rows = {row["cell"]: row for row in found["cells"]}
    assert rows[own.id]["ce"] > 0
    assert rows[toy.id]["ce"] is None
    assert len(found["models"]) == 1


def test_weights_that_were_replaced_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "37.mlp_hidden"
    store.write_manifest(
        folder, store.Manifest("37.mlp_hidden", "float32", 4, "before", "", {"train": [], "held-out": []})
    )
    refuse_other_model(tmp_path, "before")
    with pytest.raises(StageError, match="the model is not the one that the activations"):
        refuse_other_model(tmp_path, "after")
