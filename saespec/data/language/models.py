"""Language models: trained once into the store, or finished checkpoints of the hub and of local folders.

Legend: C contexts, T tokens of a context.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from saespec.data import hub
from saespec.data.activations.store import file_sha256
from saespec.data.activations.withdraw import object_lock_name, withdraw
from saespec.data.text import corpora, tokens
from saespec.errors import CallError, DamagedFileError, StageError, reason
from saespec.plan.inputs import model_folder, model_id
from saespec.results.lock import Notify, Stop, store_lock
from saespec.spec.corpus import Corpus
from saespec.spec.transformer import NamedTokenizer, PretrainedModel, TrainedModel, TransformerData

from .bigram import Bigram
from .configuration import architecture
from .malloc import keep_freed_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

RECORD = "training.json"
"""What became of a training; written last."""

WEIGHTS = "model.safetensors"

HELD_OUT_TOKENS = 2**19
"""Held-out tokens that a trained model is judged on, at most."""

BIGRAM_TOKENS = 2**25
"""Tokens that the bigram model beside it is counted from, at most: they are sorted in memory."""


@dataclass(frozen=True)
class Loaded:
    """A model ready to run: in eval mode, without gradients."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    vocab: int
    """Tokens that its embedding knows."""
    revision: str
    """The hub's commit; a digest of its weights for a local folder; empty for a trained model."""


def model_is_finished(store: Path, data: TransformerData) -> bool:
    """Whether the trained model that a data section names is in the store."""
    return (model_folder(store, data) / RECORD).exists()


def train_model(
    data: TransformerData,
    store: Path,
    root: Path,
    device: torch.device,
    report: Callable[[int, int, float], None],
    stop: Stop,
    notify: Notify = lambda message: None,
) -> None:
    """Train the model of a data section into its folder of the store, unless it is there.

    The folder holds the model as `save_pretrained` writes it, the tokenizer, and training.json: corpus_sha256,
    model_sha256, files (name → SHA-256), train_tokens, parameters, held_out (cross_entropy in nats a token,
    perplexity, tokens), bigram_cross_entropy (of an interpolated bigram model on the same tokens), and curve (see
    `pretraining.train`).

    One process trains it; others wait, saying so to `notify`, and find it there.
    `report(step, steps, loss)` is called after each step. A training that was killed continues from its last
    snapshot with the same result, bit for bit. Raises Interrupted once `stop()` is true, with everything saved;
    CallError if the corpus is too small or not there; StageError if the disk is full or the training diverges.
    """
    folder = model_folder(store, data)
    with store_lock(store, object_lock_name(folder), notify, stop):
        if model_is_finished(store, data):
            return
        work = folder.with_name(f".{folder.name}.training")
        with _writing(work):
            _train(data, work, root, device, report, stop)
            shutil.rmtree(work / "replaced", ignore_errors=True)
            if folder.exists():  # without a record it is no model
                os.replace(folder, work / "replaced")
            os.replace(work / "finished", folder)
            shutil.rmtree(work)


def _train(
    data: TransformerData,
    work: Path,
    root: Path,
    device: torch.device,
    report: Callable[[int, int, float], None],
    stop: Callable[[], bool],
) -> None:
    """Make the folder `finished` in the work folder."""
    from . import pretraining

    keep_freed_memory()
    model_config = data.model
    assert isinstance(model_config, TrainedModel)
    sha256 = corpora.content_hash(data.corpus, root)
    _begin(work, sha256)
    tokenizer = _tokenizer(model_config, data.corpus, root, work / "tokenizer")
    needed = pretraining.steps(model_config) * model_config.train.batch

    def ids(part: corpora.Part, limit: int) -> NDArray[np.int32]:
        path = work / f"{part}.int32"
        return _token_ids(path, data.corpus, part, root, tokenizer, model_config.context, limit)

    train_CT = ids("train", needed * model_config.context)
    held_out_CT = ids("held-out", HELD_OUT_TOKENS)
    with hub.quiet():
        model = _untrained(model_config, tokenizer)
        model.to(device)  # type: ignore[arg-type]
        curve = pretraining.train(
            model, model_config, train_CT, held_out_CT, work / "snapshots", device, report, stop
        )
        entropy = pretraining.cross_entropy(model, held_out_CT)
        if not math.isfinite(entropy):
            raise StageError(
                f"the language model's training diverged: lower its lr ({model_config.train.lr})"
            )
        finished = work / "finished"
        model.save_pretrained(finished, max_shard_size="1TB")
        tokenizer.save_pretrained(finished)
    bigram = Bigram(train_CT[: BIGRAM_TOKENS // model_config.context], len(tokenizer))
    record = {
        "corpus_sha256": sha256,
        "model_sha256": file_sha256(finished / WEIGHTS),
        "files": {path.name: file_sha256(path) for path in sorted(finished.iterdir()) if path.is_file()},
        "train_tokens": needed * model_config.context,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "held_out": {
            "cross_entropy": entropy,
            "perplexity": math.exp(entropy),
            "tokens": held_out_CT.shape[0] * (held_out_CT.shape[1] - 1),
        },
        "bigram_cross_entropy": bigram.cross_entropy(held_out_CT),
        "curve": curve,
    }
    (finished / RECORD).write_text(json.dumps(record, indent=1) + "\n")


@contextlib.contextmanager
def _writing(folder: Path) -> Any:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StageError(f"cannot write {error.filename or folder}: {reason(error)}") from error
    except (SafetensorError, RuntimeError) as error:  # what torch and safetensors make of a full disk
        if shutil.disk_usage(folder).free >= 2**20 and "No space left" not in str(error):
            raise
        raise StageError(f"cannot write {folder}: the disk is full") from error


def _begin(work: Path, corpus_sha256: str) -> None:
    """Empty the work folder if what is in it was made from another text."""
    mark = work / "corpus_sha256"
    if not mark.exists() or mark.read_text() != corpus_sha256:
        shutil.rmtree(work)
        work.mkdir()
        mark.write_text(corpus_sha256)


def _tokenizer(model: TrainedModel, corpus: Corpus, root: Path, folder: Path) -> PreTrainedTokenizerBase:
    """The model's tokenizer, trained at the first call."""
    if isinstance(model.tokenizer, NamedTokenizer):
        return tokens.load_tokenizer(model.tokenizer, root)
    if not folder.exists():
        made = tokens.train_tokenizer(corpora.documents(corpus, "train", root), model.tokenizer.vocabulary)
        half = folder.with_name("half-written")
        made.save_pretrained(half)
        os.replace(half, folder)
    return tokens.read_tokenizer(folder)


def _token_ids(
    path: Path,
    corpus: Corpus,
    part: corpora.Part,
    root: Path,
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    limit: int,
) -> NDArray[np.int32]:
    """Contexts [C, T] of about `limit` tokens of a part, made at the first call; read from disk as needed."""
    if not path.exists():
        half = path.with_suffix(".half")
        texts = corpora.documents(corpus, part, root)
        with half.open("wb") as file:
            for block in tokens.contexts(texts, tokenizer, context, "none", "packed", limit):
                file.write(block.ids_CT.tobytes())
        if not half.stat().st_size:
            raise CallError(f"the {part} part of the corpus has fewer tokens than a context ({context})")
        os.replace(half, path)
    return np.memmap(path, dtype=np.int32, mode="r").reshape(-1, context)


def _untrained(config: TrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The model with its first weights, a function of the seed."""
    from transformers import AutoModelForCausalLM

    made = architecture(config, len(tokenizer), tokens.end_of_text(tokenizer))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        auto: Any = AutoModelForCausalLM
        model: PreTrainedModel = auto.from_config(made, dtype=torch.float32)
    return model


def load_model(data: TransformerData, store: Path, root: Path, device: torch.device) -> Loaded:
    """The model of a data section and its tokenizer, from the store, the hub or a local folder.

    Safetensors only, no code of others. Raises DamagedFileError if a trained model is not in the store, or damaged,
    CallError for a model, folder or revision that does not exist, StageError if the hub cannot be reached.
    """
    config = data.model
    if isinstance(config, TrainedModel):
        folder = model_folder(store, data)
        if not model_is_finished(store, data):
            raise DamagedFileError(folder, "holds no trained model", "Run `saespec run SPEC`")
        verified(folder)
        return _load(str(folder), None, "float32", tokens.read_tokenizer(folder), device)
    where, commit = _whereabouts(config, root)
    if config.tokenizer is not None:
        tokenizer = tokens.load_tokenizer(config.tokenizer, root)
    else:
        tokenizer = tokens.read_tokenizer(where, commit)
    loaded = _load(where, commit, config.dtype, tokenizer, device)
    return loaded if commit else replace(loaded, revision=_folder_sha256(Path(where)))


def made_by(data: TransformerData, loaded: Loaded) -> str:
    """What tells a data section's model from every other: a trained one's id, a commit or a folder's digest."""
    return model_id(data) if isinstance(data.model, TrainedModel) else loaded.revision


def _folder_sha256(folder: Path) -> str:
    """Digest of a local checkpoint's configuration and weights: what a commit is on the hub."""
    files = sorted([folder / "config.json", *folder.glob("*.safetensors")])
    return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()[:12]


def verified(folder: Path) -> dict[str, Any]:
    """The record of a trained model, all files of which are what was written.

    Raises DamagedFileError where they are not; the model then counts as not trained, so that it is made again.
    """
    record, damage = _inspected(folder)
    if damage is not None:
        withdraw(folder, [folder / RECORD], lambda: _inspected(folder)[1] is not None)
        raise damage
    return record


def _inspected(folder: Path) -> tuple[dict[str, Any], DamagedFileError | None]:
    """The record of a trained model, and what is wrong with its files."""
    file, record = folder / RECORD, {}
    try:
        record = json.loads(file.read_bytes())
        # Records of older versions tell the weights alone.
        for name, checksum in {WEIGHTS: record["model_sha256"], **record.get("files", {})}.items():
            file = folder / name
            if file_sha256(file) != checksum:
                raise ValueError("its checksum differs")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"a trained model is not what was written ({reason(error)})"
        remedy = "Run `saespec run` with the spec again: the model is trained anew"
        return record, DamagedFileError(file, what, remedy)
    return record, None


def _whereabouts(config: PretrainedModel, root: Path) -> tuple[str, str | None]:
    """A folder, or a hub id with its commit."""
    folder = hub.local_folder(config.name, root)
    if folder is not None:
        return str(folder), None
    return config.name, hub.commit("model", config.name, config.revision)


def _load(
    where: str, commit: str | None, dtype: str, tokenizer: PreTrainedTokenizerBase, device: torch.device
) -> Loaded:
    import transformers

    with hub.asking("model", where, commit or ""):
        pinned: dict[str, Any] = {
            "revision": commit or "main",
            "local_files_only": commit is None,
            "trust_remote_code": False,
        }
        kind = _kind(transformers.AutoConfig.from_pretrained(where, **pinned))
        model, info = getattr(transformers, kind).from_pretrained(
            where, **pinned, use_safetensors=True, dtype=getattr(torch, dtype), output_loading_info=True
        )
    if info["missing_keys"] or info["mismatched_keys"]:
        lacking = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        raise CallError(f"the checkpoint {where} lacks weights of the model: {', '.join(lacking[:5])}")
    model.eval().requires_grad_(False).to(device)
    return Loaded(model, tokenizer, int(model.get_input_embeddings().num_embeddings), commit or "")


def _kind(config: Any) -> str:
    """The class that loads a checkpoint: with its language-model head, if it was saved with one."""
    saved = next(iter(config.architectures or []), "")
    if saved.endswith(("ForMaskedLM", "ForPreTraining")):
        return "AutoModelForMaskedLM"
    if saved.endswith(("ForCausalLM", "LMHeadModel")):
        return "AutoModelForCausalLM"
    return "AutoModel"
