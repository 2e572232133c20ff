"""What a spec names and this machine lacks, found before anything runs: text, packages, models, tokenizers.

Nothing is loaded and the hub is not asked: files are there and can be read, packages have their versions, headers,
first records and configurations fit the spec. What only a forward pass or the whole text tells, a run finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from saespec.data.language.hooks import refusal
from saespec.data.language.local import Checkpoint, lacks_tokens, tokenizer_files
from saespec.data.text import corpora
from saespec.errors import CallError, Problem, SaespecError
from saespec.plan.inputs import site_key
from saespec.spec.base import Conflict
from saespec.spec.corpus import Corpus, PythonSources, TextFiles
from saespec.spec.families import Family, family
from saespec.spec.language.load import LoadedSpec
from saespec.spec.language.messages import locate
from saespec.spec.language.yaml import Scalar
from saespec.spec.transformer import NamedTokenizer, PretrainedModel, Site, TrainedModel, TransformerData

from . import hub

HEADS = 256
"""Files of a pattern whose beginnings are looked at, at most."""

SMALL = 2**20
"""Bytes of a corpus that is read as a whole, to see whether its parts can fill."""


def problems(loaded: LoadedSpec, root: Path) -> list[Problem]:
    """All that cells of a spec need and that is not here, or does not fit, in file order; the project is `root`."""
    look = _Look(root)
    found: dict[Problem, None] = {}
    seen: set[int] = set()
    for point in loaded.points:
        data = point.config.data
        if isinstance(data, TransformerData) and id(data) not in seen:
            seen.add(id(data))
            for conflict in look.section(data):
                found[_problem(loaded, f"data.{conflict.field}", conflict, point.swept)] = None
            for conflict in look.measures(loaded, data):
                found[_problem(loaded, conflict.field, conflict, {})] = None
    return sorted(found)


def _problem(loaded: LoadedSpec, path: str, conflict: Conflict, swept: dict[str, Any]) -> Problem:
    """A conflict at the value that a file or the sweep gives, or at the section that lacks it."""
    if any(path == setter or path.startswith(f"{setter}.") for setter in swept):
        origin = loaded.origin(path, swept)
        at = origin.file, origin.line, origin.column
    else:
        mark, node, whole = locate(loaded.tree, path.split("."))
        mark = node.mark if whole and isinstance(node, Scalar) else mark
        at = mark.file, mark.line, mark.column
    return Problem(*at, path, conflict.message, conflict.hint)


class _Look:
    """Looks at each corpus and folder once, however many sections name it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.corpus = cache(lambda corpus: tuple(_corpus(corpus, root)))
        self.sizes = cache(partial(_sizes, root=root))
        self.folder = cache(partial(Checkpoint.at, root=root))

    def section(self, data: TransformerData) -> Iterator[Conflict]:
        """What a data section names and is not here."""
        missing = self.corpus(data.corpus)
        yield from missing
        if not missing:
            yield from self.fills(data)
        if isinstance(data.model, TrainedModel):
            known = family(data.model.family, data.model)
            assert known is not None
            yield from _site(data.site, known, data.model.layers)
            if isinstance(data.model.tokenizer, NamedTokenizer):
                yield from self.tokenizer(data, data.model.tokenizer.name, "model.tokenizer.name")
        else:
            yield from self.checkpoint(data, data.model)

    def fills(self, data: TransformerData) -> Iterator[Conflict]:
        """Parts that cannot have as many tokens as are asked for: a token has at least a byte."""
        corpus = data.corpus
        if not isinstance(corpus, TextFiles):
            return
        try:
            known = self.sizes(corpus)
        except SaespecError as error:
            yield Conflict("corpus.paths", str(error))
            return
        if known == "one":
            hint = "write documents: paragraph or line, or name more files"
            yield Conflict("corpus.paths", "is one document, which is either trained on or held out", hint)
        elif isinstance(known, int):
            wanted, most = data.tokens + data.held_out_tokens, _most(data, known, known)
            if wanted > most:
                message = f"with held_out_tokens, more than the corpus has: {known:,} bytes are at most {most:,} tokens"
                yield Conflict("tokens", message, "lower it, or take more text")
        elif known is not None:
            parts = (("train", "tokens", data.tokens), ("held-out", "held_out_tokens", data.held_out_tokens))
            for part, field, wanted in parts:
                if wanted > (most := _most(data, *known[part])):
                    number, size = known[part]
                    has = f"{number:,} documents of {size:,} bytes, at most {most:,} tokens"
                    hint = f"lower {field}, change held_out, or take more and shorter documents"
                    yield Conflict(field, f"the {part} part of the corpus has {has}, not {wanted:,}", hint)

    def checkpoint(self, data: TransformerData, model: PretrainedModel) -> Iterator[Conflict]:
        """What a local folder lacks, or has otherwise than the section says."""
        found = self.folder(model.name)
        if model.tokenizer is not None:
            yield from self.tokenizer(data, model.tokenizer.name, "model.tokenizer.name")
        if found is None:
            return
        if found.lacks:
            yield Conflict("model.name", found.lacks)
            return
        if model.tokenizer is None:
            yield from self.tokenizer(data, model.name, "model.name")
        if found.positions is not None and data.context > found.positions:
            yield Conflict("context", f"must be at most the model's ({found.positions}), not {data.context}")
        if found.family is None:
            if data.site.module is None:
                message = f"places and names are not known for models of type {found.type}"
                yield Conflict("site", message, "give the path of a module")
            return
        refused = list(_site(data.site, found.family, found.layers)) if found.layers is not None else []
        yield from refused
        if not refused and (dim := found.dim(data.site)) not in (None, data.dim):
            message = f"must be {dim} at {site_key(data.site)}, not {data.dim}"
            yield Conflict("dim", message, f"write dim: {dim}")

    def tokenizer(self, data: TransformerData, name: str, field: str) -> Iterator[Conflict]:
        """What the tokenizer of a local folder lacks."""
        try:
            folder = hub.local_folder(name, self.root)
        except CallError as error:
            yield Conflict(field, str(error))
            return
        if folder is None:
            return
        if not tokenizer_files(folder):
            yield Conflict(field, f"{name} holds no tokenizer", "name another as data.model.tokenizer")
            return
        bos, end = lacks_tokens(folder)
        if bos and data.bos != "none":
            yield Conflict("bos", f"the tokenizer {name} has no beginning-of-text token", "write bos: none")
        if end:
            message = (
                f"the tokenizer {name} has no end-of-text token: documents cannot be packed or padded with it"
            )
            yield Conflict(field, message, "name another tokenizer")

    def measures(self, loaded: LoadedSpec, data: TransformerData) -> Iterator[Conflict]:
        """Measures that ask a local model for what it does not do."""
        for i, measure in enumerate(loaded.spec.measure):
            if measure.kind == "language_model" and isinstance(data.model, PretrainedModel):
                found = self.folder(data.model.name)
                if found is not None and not found.predicts:
                    message = f"{data.model.name} ({found.saved}) does not predict next tokens"
                    yield Conflict(f"measure.{i}", message, "remove language_model from measure")


def _site(site: Site, known: Family, layers: int) -> Iterator[Conflict]:
    """A place or a name that a model lacks."""
    if site.module is None and (refused := refusal(site, known, layers)):
        if site.layer is not None and site.layer >= layers:
            yield Conflict("site.layer", f"must be less than the model's layers ({layers}), not {site.layer}")
        else:
            yield Conflict("site.place" if site.place else "site.name", refused)


def _corpus(corpus: Corpus, root: Path) -> Iterator[Conflict]:
    """Each package, pattern or file of a corpus that is not here or cannot be read."""
    if isinstance(corpus, PythonSources):
        for i, package in enumerate(corpus.packages):
            try:
                corpora.installed(package)
            except CallError as error:
                yield Conflict(f"corpus.packages.{i}", str(error))
    elif isinstance(corpus, TextFiles):
        for i, pattern in enumerate(corpus.paths):
            if said := _unreadable(pattern, corpus, root):
                more = f"as are {len(said) - 1} more of its files" if len(said) > 1 else ""
                yield Conflict(f"corpus.paths.{i}", said[0], more)


def _unreadable(pattern: str, corpus: TextFiles, root: Path) -> list[str]:
    """What is wrong with the files of a pattern."""
    try:
        found = corpora.files(pattern, root)
        if not any(path.stat().st_size for path in found):
            what = "is empty" if len(found) == 1 else "means empty files only"
            raise CallError(f"{pattern} {what}: a corpus needs text")
    except (SaespecError, OSError) as error:
        return [str(error)]
    said = []
    for path in found[:HEADS]:
        try:
            corpora.look(path, corpus)
        except SaespecError as error:
            said.append(str(error))
    return said


def _sizes(corpus: TextFiles, root: Path) -> Any:
    """What is cheap to know of how much text there is.

    Documents and bytes of each part of a small corpus; the bytes of all of a larger one; `one` for a single document;
    None where that cannot be told.
    """
    paths = {path: path.stat().st_size for pattern in corpus.paths for path in corpora.files(pattern, root)}
    texts = [path for path, size in paths.items() if size]
    if any(path.suffix == ".parquet" for path in texts):  # compressed
        return None
    if corpus.documents == "file" and len(texts) == 1 and texts[0].suffix != ".jsonl":
        return "one"
    total = sum(paths.values())
    return corpora.sizes(corpus, root) if total <= SMALL else total


def _most(data: TransformerData, documents: int, size: int) -> int:
    """Vectors that so much text can give at most.

    A byte is a token, each document has a separator, and with `bos: add` each context has one token more. Other
    tokenizers than our own may make several tokens of what they unfold a byte to.
    """
    tokenizer = data.model.tokenizer
    own = isinstance(data.model, TrainedModel) and not isinstance(tokenizer, NamedTokenizer)
    most = size + documents if own else 4 * (size + documents)
    return most + most // (data.context - 1) + documents if data.bos == "add" else most
