"""Corpora: documents of text in a fixed order, each wholly in the train or in the held-out part.

Which part a document belongs to is a function of its text alone, so that copies of one text never lie in both.
"""

from __future__ import annotations

import contextlib
import difflib
import glob
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from saespec.data import hub
from saespec.errors import CallError, StageError, reason
from saespec.plan.project import paths_root
from saespec.spec.corpus import Corpus, HubDataset, PythonSources, TextFiles

if TYPE_CHECKING:
    from importlib.metadata import Distribution

Part = Literal["train", "held-out"]

VERSION_FILES = {"version.py", "_version.py"}
"""Written when a package is built: they differ between builds of one version."""

PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar", ".tgz"}
"""Suffixes of files that hold text in another form than is read here."""

HEAD = 2**16
"""Characters of a file that `look` reads."""


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
    distribution, name = installed(package), package.partition("==")[0]
    for file in distribution.files or ():
        if file.suffix == ".py" and ".." not in file.parts and file.name not in VERSION_FILES:
            yield f"{name}/{file.as_posix()}", Path(str(file.locate()))


def installed(package: str) -> Distribution:
    """The distribution that `name==version` means. Raises CallError if it is not here, or of another version."""
    from importlib import metadata

    name, _, version = package.partition("==")
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise CallError(
            f"the corpus needs the package {package}, which is not installed: `pip install {package}`"
        ) from None
    here = distribution.version.partition("+")[0]  # +cpu, +cu130: builds of the same sources
    if here != version.partition("+")[0]:
        raise CallError(
            f"the corpus needs {package}, but {name} {distribution.version} is installed: "
            f"`pip install {package}`, or write {name}=={here} in the spec (other versions are other text)"
        )
    record = distribution.read_text("RECORD")  # a look at its text: `files` takes long for a large package
    listed = ".py," in record if record else any(file.suffix == ".py" for file in distribution.files or ())
    if not listed:
        raise CallError(f"the package {package} lists no Python files: it cannot be a corpus")
    return distribution


def _text_files(corpus: TextFiles, root: Path) -> Iterator[str]:
    for path in _matching(corpus, root):
        _refuse_packed(path)
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
    return list(dict.fromkeys(path for pattern in corpus.paths for path in files(pattern, root)))


def files(pattern: str, root: Path) -> list[Path]:
    """Files that a pattern means, sorted. Raises CallError if there is none."""
    root = paths_root(root)
    matches = sorted(glob.glob(str(Path(pattern).expanduser()), root_dir=root, recursive=True))
    found = [root / match for match in matches if (root / match).is_file()]
    if found:
        return found
    if matches:
        raise CallError(f"{pattern} is a folder: name its files, such as {pattern.rstrip('/')}/*.txt")
    raise CallError(f"the corpus has no file {pattern} (relative to {root}){_similar(pattern, root)}")


def _similar(pattern: str, root: Path) -> str:
    """A hint at a file that may have been meant."""
    path = root / Path(pattern).expanduser()
    try:
        names = [beside.name for beside in path.parent.iterdir()]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1)
    return f": did you mean {Path(pattern).parent / close[0]}?" if close else ""


def _refuse_packed(path: Path) -> None:
    if path.suffix in PACKED:
        raise CallError(f"{path}: a {path.suffix} file is not read as text: unpack it")


def look(path: Path, corpus: TextFiles) -> None:
    """Raise what reading a file would, as far as its head tells: quick however long it is."""
    _refuse_packed(path)
    if path.suffix == ".parquet":
        _parquet_column(path, corpus.column)
        return
    with _reading(path), path.open(encoding="utf-8-sig") as file:
        head = file.read(HEAD)
    if path.suffix == ".jsonl":
        lines = head.split("\n")
        whole = lines if len(head) < HEAD else lines[:-1]
        for number, line in enumerate(whole, 1):
            if line.strip():
                _row(line, f"{path}:{number}", corpus.column)
                return


def sizes(corpus: Corpus, root: Path) -> dict[Part, tuple[int, int]]:
    """Documents of each part, and their bytes, by reading them all. Raises as `documents` does."""
    found: dict[Part, tuple[int, int]] = {"train": (0, 0), "held-out": (0, 0)}
    for text in _texts(corpus, root):
        part: Part = "held-out" if is_held_out(text, corpus.held_out) else "train"
        number, size = found[part]
        found[part] = number + 1, size + len(text.encode())
    return found


def _lines(path: Path) -> Iterator[str]:
    """Lines with their ends, however they are written."""
    with _reading(path), path.open(encoding="utf-8-sig") as file:
        yield from file


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
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
        yield _row(line, f"{path}:{number}", column)


def _row(line: str, where: str, column: str) -> str:
    """The text of a line of JSON."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise CallError(f"{where}: not JSON ({error.msg} at column {error.colno})") from None
    if not isinstance(row, dict):
        raise CallError(f"{where}: a line must be a JSON object with the key {column!r}")
    if column not in row:
        raise CallError(f"{where}: no key {column!r}; it has {_names(row)}")
    return _text(row[column], where, column)


def _names(columns: Iterable[str]) -> str:
    """The columns that there are, and what to do with one."""
    known = ", ".join(map(repr, columns))
    return f"{known}: write the one with text as data.corpus.column" if known else "none"


def _parquet_column(path: Path, column: str) -> None:
    """Raise CallError if a Parquet file lacks a column of text, by a look at its footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise CallError(f"{path}: cannot be read as Parquet ({error})") from error
    if column not in schema.names:
        raise CallError(f"{path}: no column {column!r}; it has {_names(schema.names)}")
    kind = schema.field(column).type
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner)):
        raise CallError(f"{path}: {column!r} holds {kind}, not text")


def _parquet(path: Path, column: str) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _parquet_column(path, column)
    try:
        with pq.ParquetFile(path) as file:
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
