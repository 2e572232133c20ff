"""Models, tokenizers and data sets of a hub, for real, from one on loopback.

What speaks to it runs in processes of its own: the libraries read the hub's address when they are imported.
"""

from __future__ import annotations

import io
import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from corpus_sample import sentences, transformer_data, write_corpus
from hub_server import Files, Hub, Repository
from pydantic import TypeAdapter

from saespec.data.language import models
from saespec.data.text import corpora
from saespec.errors import CallError, StageError
from saespec.plan.inputs import model_folder
from saespec.spec.corpus import Corpus

T = TypeVar("T")
CPU = torch.device("cpu")

README = b"""---
configs:
- config_name: short
  data_files: [{split: test, path: "short/*.parquet"}]
- config_name: long
  data_files: [{split: test, path: "long/*.parquet"}]
---
"""


# What runs in the worker


def texts(**fields: Any) -> list[str]:
    corpus = made_corpus(**fields)
    root = Path("/nowhere")
    return sorted([*corpora.documents(corpus, "train", root), *corpora.documents(corpus, "held-out", root)])


def content_hash(**fields: Any) -> str:
    return corpora.content_hash(made_corpus(**fields), Path("/nowhere"))


def made_corpus(**fields: Any) -> Corpus:
    made: Corpus = TypeAdapter(Corpus).validate_python(
        {"kind": "hub", "name": "someone/texts", "revision": "main", **fields}
    )
    return made


def first_weight(name: str, revision: str) -> tuple[float, str, int]:
    data = transformer_data({"kind": "pretrained", "name": name, "revision": revision})
    loaded = models.load_model(data, Path("/nowhere"), Path("/nowhere"), CPU)
    ids = loaded.tokenizer("the cat")["input_ids"]
    assert loaded.tokenizer.decode(ids) == "the cat"
    return next(loaded.model.parameters()).flatten()[0].item(), loaded.revision, loaded.vocab


def train(data: Any, root: Path) -> int:
    models.train_model(data, root / "store", root, CPU, lambda step, steps, loss: None, lambda: False)
    return models.load_model(data, root / "store", root, CPU).vocab


# The hub


@contextmanager
def worker(home: Path, endpoint: str, **more: str) -> Iterator[Callable[..., Any]]:
    """Calls functions in a fresh process that knows this hub only."""
    with pytest.MonkeyPatch.context() as patch:
        settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", **more}
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.delenv("HF_TOKEN", raising=False)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:

            def call(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
                return pool.submit(function, *args, **kwargs).result(timeout=120)

            yield call


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def data_sets() -> dict[str, Repository]:
    """Two commits of JSON lines, Parquet in two configurations, and one that is gated."""
    lines, books, gated = Repository(), Repository(), Repository(gated=True)
    lines.commit({"a.jsonl": jsonl([{"text": f"old {i}"} for i in range(9)])}, "v1")
    new = [{"text": f"new {i}", "n": i} for i in range(9)]
    more = [{"text": line, "n": 0} for line in sentences(150)]
    lines.commit({"a.jsonl": jsonl(new), "b.jsonl": jsonl(more)}, "main")
    files: Files = {"README.md": README}
    for size in ("short", "long"):
        buffer = io.BytesIO()
        pq.write_table(pa.table({"body": [f"a {size} book", "another"], "n": [1, 2]}), buffer)
        files[f"{size}/books.parquet"] = buffer.getvalue()
    books.commit(files, "main")
    gated.commit({"a.jsonl": jsonl([{"text": "secret"}])}, "main")
    return {
        "datasets/someone/texts": lines,
        "datasets/someone/books": books,
        "datasets/someone/gated": gated,
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny trained model."""
    root = tmp_path_factory.mktemp("project")
    write_corpus(root)
    data = transformer_data({"train": {"tokens": 64, "batch": 4, "lr": 1e-3}})
    train(data, root)
    return model_folder(root / "store", data)


def checkpoints(folder: Path) -> dict[str, Repository]:
    """Two commits of a model, and what a model should not be."""
    import safetensors.torch

    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "training.json"}
    weights = safetensors.torch.load(files["model.safetensors"])
    other = {name: tensor + 1 for name, tensor in weights.items()}
    newer = {**files, "model.safetensors": safetensors.torch.save(other, {"format": "pt"})}
    good = Repository()
    good.commit(files, "v1")
    good.commit(newer, "main")
    pickled = Repository()
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    without = {name: content for name, content in files.items() if name != "model.safetensors"}
    pickled.commit({**without, "pytorch_model.bin": buffer.getvalue()}, "main")
    coded = Repository()
    config = json.loads(files["config.json"])
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Mine"},
    }
    code = b"import pathlib; pathlib.Path('/nowhere').touch(); raise SystemExit(3)"
    coded.commit({**files, "config.json": json.dumps(config).encode(), "mine.py": code}, "main")
    gated = Repository(gated=True)
    gated.commit(files, "main")
    return {
        "models/someone/tiny": good,
        "models/someone/pickled": pickled,
        "models/someone/coded": coded,
        "models/someone/gated": gated,
    }


@pytest.fixture(scope="module")
def hub(trained: Path) -> Iterator[Hub]:
    made = Hub()
    made.repositories |= {**data_sets(), **checkpoints(trained)}
    yield made
    made.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("huggingface")


@pytest.fixture(scope="module")
def call(hub: Hub, home: Path) -> Iterator[Callable[..., Any]]:
    with worker(home, hub.endpoint) as made:
        yield made


# Data sets


@pytest.mark.parametrize("streaming", [True, False])
def test_a_revision_is_the_text_of_its_commit(call: Callable[..., Any], hub: Hub, streaming: bool) -> None:
    old = [f"old {i}" for i in range(9)]
    commit = hub.repositories["datasets/someone/texts"].names["v1"]
    assert call(texts, revision="v1", streaming=streaming) == old
    assert call(texts, revision=commit, streaming=streaming) == old
    new = call(texts, revision="main", streaming=streaming)
    assert len(new) == 159
    assert not set(new) & set(old)


@pytest.mark.parametrize("streaming", [True, False])
def test_a_configuration_split_and_column(call: Callable[..., Any], streaming: bool) -> None:
    found = call(texts, name="someone/books", config="long", split="test", column="body", streaming=streaming)
    assert found == ["a long book", "another"]


def test_parts_are_by_document(call: Callable[..., Any]) -> None:
    assert call(parts_overlap) == (0, 159)


def parts_overlap() -> tuple[int, int]:
    corpus = made_corpus(held_out=0.3)
    train = list(corpora.documents(corpus, "train", Path("/nowhere")))
    held_out = list(corpora.documents(corpus, "held-out", Path("/nowhere")))
    return len(set(train) & set(held_out)), len(train) + len(held_out)


def test_the_content_hash_is_the_commits_and_downloads_nothing(call: Callable[..., Any], hub: Hub) -> None:
    commit = hub.repositories["datasets/someone/texts"].names["v1"]
    hub.requests.clear()
    tag, new = call(content_hash, revision="v1"), call(content_hash, revision="main")
    assert tag == call(content_hash, revision=commit) != new
    assert new != call(content_hash, revision="main", config="books")
    assert not [request for request in hub.requests if "/resolve/" in request]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"revision": "v9"}, "someone/texts has no revision v9"),
        ({"name": "someone/nothing"}, "no data set someone/nothing"),
        ({"name": "someone/gated"}, r"gated: accept its terms on http://127.*/datasets/someone/gated"),
        ({"column": "body"}, "no column 'body'; it has 'text', 'n'"),
        ({"column": "n"}, "'n' holds int, not text"),
        ({"split": "validation"}, "validation"),
        ({"name": "someone/books", "config": "films"}, "films"),
    ],
)
@pytest.mark.parametrize("streaming", [True, False])
def test_a_data_set_that_cannot_be_used(
    call: Callable[..., Any], fields: dict[str, str], message: str, streaming: bool
) -> None:
    with pytest.raises(CallError, match=message):
        call(texts, **fields, streaming=streaming)


# Models


def test_revisions_of_a_model(call: Callable[..., Any], hub: Hub) -> None:
    repository = hub.repositories["models/someone/tiny"]
    old, new = repository.names["v1"], repository.names["main"]
    first, commit, vocab = call(first_weight, "someone/tiny", "v1")
    assert (commit, vocab) == (old, 280)
    assert call(first_weight, "someone/tiny", old) == (first, old, 280)
    assert call(first_weight, "someone/tiny", "main") == (pytest.approx(first + 1, abs=1e-6), new, 280)


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("someone/tiny", "v9", "someone/tiny has no revision v9"),
        ("someone/nothing", "main", "no model someone/nothing"),
        ("someone/gated", "main", "gated: accept its terms on http://127.*/someone/gated"),
        ("someone/pickled", "main", "safetensors"),
        ("someone/coded", "main", "someone/coded"),
    ],
)
def test_a_model_that_cannot_be_used(
    call: Callable[..., Any], name: str, revision: str, message: str
) -> None:
    with pytest.raises(CallError, match=message):
        call(first_weight, name, revision)


def test_pickles_and_code_are_not_even_downloaded(call: Callable[..., Any], hub: Hub) -> None:
    hub.requests.clear()
    for name in ("pickled", "coded"):
        with pytest.raises(CallError):
            call(first_weight, f"someone/{name}", "main")
    assert not [r for r in hub.requests if r.startswith("GET") and r.endswith((".bin", ".py"))]


def test_a_model_trained_on_the_hubs_text_with_a_tokenizer_of_the_hub(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    corpus = {"kind": "hub", "name": "someone/texts", "revision": "main", "held_out": 0.2}
    tokenizer = {"kind": "named", "name": "someone/tiny", "revision": "v1"}
    data = transformer_data({"tokenizer": tokenizer}, corpus=corpus)
    assert call(train, data, tmp_path) == 280


# Without a connection


@pytest.mark.slow
def test_what_was_downloaded_is_there_offline(call: Callable[..., Any], hub: Hub, home: Path) -> None:
    sections: list[dict[str, Any]] = [{"revision": "main"}, {"revision": "v1"}]
    sections += [
        {"name": "someone/books", "config": config, "split": "test", "column": "body"}
        for config in ("long", "short")
    ]
    found = [call(texts, **fields, streaming=False) for fields in sections]
    digest = call(content_hash, revision="v1")
    online = call(first_weight, "someone/tiny", "v1")
    hub.requests.clear()
    with worker(home, hub.endpoint, HF_HUB_OFFLINE="1") as offline:
        assert [offline(texts, **fields, streaming=False) for fields in sections] == found
        assert offline(content_hash, revision="v1") == digest
        assert offline(first_weight, "someone/tiny", "v1") == online
        assert not hub.requests
        with pytest.raises(StageError, match="not downloaded before, and HF_HUB_OFFLINE is set"):
            offline(texts, name="someone/others")
        with pytest.raises(StageError, match="not downloaded before, and HF_HUB_OFFLINE is set"):
            offline(first_weight, "someone/others", "main")


@pytest.mark.slow
def test_a_hub_that_does_not_answer(tmp_path: Path) -> None:
    closed = Hub()
    closed.close()
    with worker(tmp_path, closed.endpoint) as alone:
        for function, arguments in (
            (texts, {}),
            (first_weight, {"name": "someone/tiny", "revision": "main"}),
        ):
            with pytest.raises(StageError, match=r"cannot reach the hub at http://127.*same command again"):
                alone(function, **arguments)
