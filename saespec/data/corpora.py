"""Corpora: documents of text in a fixed order, each wholly in the train or in the held-out part.

Which part a document belongs to is a function of its text alone, so that copies of one text never lie in both.
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from saespec.errors import CallError, StageError, reason
from saespec.plan.project import paths_root
from saespec.spec.corpus import Corpus, HubDataset, PythonSources, TextFiles

from . import hub

Part = Literal["train", "held-out"]

VERSION_FILES = {"version.py", "_version.py"}
"""Written when a package is built: they differ between builds of one version."""


def documents(corpus: Corpus, part: Part, root: Path) -> Iterator[str]:
    """Documents of a part, in the corpus's order; empty ones are left out.

    Paths are relative to `root`. Raises CallError if the corpus is not there or not as the spec says,
    StageError if the hub does not answer.
    """
    for text in _texts(corpus, root):
        if is_held_out(text, corpus.held_out) == (part == "held-out"):
            yield text


def is_held_out(text: str, share: float) -> bool:
    """Whether a document belongs to the held-out part: the first 64 bits of its SHA-256 are below the share."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64


def content_hash(corpus: Corpus, root: Path) -> str:
    """SHA-256 of what the corpus holds, 64 hex digits.

    Of every document; for a data set of the hub of its name, configuration, split, column and commit, so
    that nothing is downloaded. Raises as `documents` does.
    """
    sha = hashlib.sha256()
    if isinstance(corpus, HubDataset):
        commit = hub.commit("dataset", corpus.name, corpus.revision)
        sha.update(json.dumps([corpus.name, corpus.config, corpus.split, corpus.column, commit]).encode())
    else:
        for text in _texts(corpus, root):
            document = text.encode()
            sha.update(len(document).to_bytes(8, "big"))
            sha.update(document)
    return sha.hexdigest()


def _texts(corpus: Corpus, root: Path) -> Iterator[str]:
    if isinstance(corpus, PythonSources):
        texts = _python_sources(corpus)
    elif isinstance(corpus, TextFiles):
        texts = _text_files(corpus, root)
    else:
        texts = _hub_dataset(corpus)
    for text in texts:
        if text.strip():
            # Half of a surrogate pair, which JSON can carry, is no text: it has no bytes.
            yield text.encode("utf-8", "replace").decode()


def _python_sources(corpus: PythonSources) -> Iterator[str]:
    """In the order of a hash of their names: a part of the corpus is then a fair sample of its packages."""
    files: list[tuple[str, Path]] = []
    for package in sorted(corpus.packages):
        files.extend(_files_of(package))
    files.sort(key=lambda file: hashlib.sha256(file[0].encode()).digest())
    for name, path in files:
        try:
            yield path.read_text("utf-8", errors="replace")
        except OSError as error:
            raise CallError(
                f"the corpus cannot read {name} ({reason(error)}): install its package again"
            ) from error


def _files_of(package: str) -> Iterator[tuple[str, Path]]:
    """Python files of an installed distribution: name within it, and path."""
    from importlib import metadata

    name, _, version = package.partition("==")
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise CallError(
            f"the corpus needs the package {package}, which is not installed: `pip install {package}`"
        ) from None
    installed = distribution.version.partition("+")[0]  # +cpu, +cu130: builds of the same sources
    if installed != version.partition("+")[0]:
        raise CallError(
            f"the corpus needs {package}, but {name} {distribution.version} is installed: "
            f"`pip install {package}`, or write {name}=={installed} in the spec (other versions are other text)"
        )
    listed = [file for file in distribution.files or () if file.suffix == ".py" and ".." not in file.parts]
    if not listed:
        raise CallError(f"the package {package} lists no Python files: it cannot be a corpus")
    for file in listed:
        if file.name not in VERSION_FILES:
            yield f"{name}/{file.as_posix()}", Path(str(file.locate()))


def _text_files(corpus: TextFiles, root: Path) -> Iterator[str]:
    for path in _matching(corpus, root):
        if path.suffix == ".jsonl":
            yield from _json_lines(path, corpus.column)
        elif path.suffix == ".parquet":
            yield from _parquet(path, corpus.column)
        elif corpus.documents == "paragraph":
            yield from _paragraphs(path)
        elif corpus.documents == "line":
            yield from _lines(path)
        else:
            yield "".join(_lines(path))


def _matching(corpus: TextFiles, root: Path) -> list[Path]:
    """Files of each pattern in its turn, sorted, each once."""
    root = paths_root(root)
    found: dict[Path, None] = {}
    for pattern in corpus.paths:
        matches = sorted(glob.glob(str(Path(pattern).expanduser()), root_dir=root, recursive=True))
        files = [root / match for match in matches if (root / match).is_file()]
        if not files:
            raise CallError(f"the corpus has no file {pattern} (relative to {root})")
        found.update(dict.fromkeys(files))
    return list(found)


def _lines(path: Path) -> Iterator[str]:
    """Lines with their ends, however they are written."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from file
    except UnicodeDecodeError as error:
        raise CallError(f"{path}: not UTF-8 ({error.reason}): convert it") from None
    except OSError as error:
        raise StageError(f"cannot read {path}: {reason(error)}") from error


def _paragraphs(path: Path) -> Iterator[str]:
    """Blocks of lines between empty ones."""
    for is_text, lines in itertools.groupby(_lines(path), lambda line: bool(line.strip())):
        if is_text:
            yield "".join(lines)


def _json_lines(path: Path, column: str) -> Iterator[str]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CallError(f"{where}: not JSON ({error.msg} at column {error.colno})") from None
        if not isinstance(row, dict):
            raise CallError(f"{where}: a line must be a JSON object with the key {column!r}")
        if column not in row:
            raise CallError(f"{where}: no key {column!r}; it has {', '.join(map(repr, row)) or 'none'}")
        yield _text(row[column], where, column)


def _parquet(path: Path, column: str) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if column not in names:
                raise CallError(f"{path}: no column {column!r}; it has {', '.join(map(repr, names))}")
            for batch in file.iter_batches(batch_size=1024, columns=[column]):
                for value in batch.column(0).to_pylist():
                    yield _text(value, str(path), column)
    except (OSError, pa.ArrowException) as error:
        raise CallError(f"{path}: cannot be read as Parquet ({reason(error)})") from error


def _hub_dataset(corpus: HubDataset) -> Iterator[str]:
    import datasets  # here, so that what it sets up on import is quiet below

    where = f"{corpus.name}, split {corpus.split}"
    with hub.asking("dataset", corpus.name, corpus.revision):
        commit = hub.commit("dataset", corpus.name, corpus.revision)
        data = datasets.load_dataset(
            # The prefix keeps a folder of the same name from standing in for it.
            f"hf://datasets/{corpus.name}",
            corpus.config,
            split=corpus.split,
            revision=commit,
            streaming=corpus.streaming,
            # Without a connection it takes the newest of what it has cached, of whatever commit.
            cache_dir=str(Path(datasets.config.HF_DATASETS_CACHE) / "saespec" / commit),
        )
        if data.column_names and corpus.column in data.column_names:
            data = data.select_columns([corpus.column])
        rows = iter(data)
    while True:
        with hub.asking("dataset", corpus.name, corpus.revision):
            row = next(rows, None)
        if row is None:
            return
        if corpus.column not in row:
            raise CallError(f"{where}: no column {corpus.column!r}; it has {', '.join(map(repr, row))}")
        yield _text(row[corpus.column], where, corpus.column)


def _text(value: object, where: str, column: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CallError(f"{where}: {column!r} holds {type(value).__name__}, not text")
    return value
