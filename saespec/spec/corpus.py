"""Configuration of a corpus: documents of text, each wholly in the train or in the held-out part."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .base import Conflict, Consistent
from .columns import Stored

Share = Annotated[
    float,
    Stored("held_out"),
    Field(gt=0, lt=1, description="Share of the documents that is held out, chosen by their contents."),
]


class PythonSources(Consistent):
    """The Python files of installed packages, in a fixed order: text that needs no download."""

    kind: Annotated[Literal["python_sources"], Stored("corpus")] = Field(
        description="Python files of installed packages."
    )
    packages: Annotated[tuple[str, ...], Stored("corpus_packages")] = Field(
        min_length=1,
        strict=False,  # a list
        description="Distributions with their version, such as torch==2.13.0: other versions are other text.",
    )
    held_out: Share = 0.05

    def conflicts(self) -> Iterator[Conflict]:
        for i, package in enumerate(self.packages):
            name, _, version = package.partition("==")
            if not name or not version:
                yield Conflict(f"packages.{i}", "needs a version", f"such as {name or 'torch'}==1.2.3")


class TextFiles(Consistent):
    """Local files: text (a file is a document), JSON lines or Parquet (a row is a document)."""

    kind: Annotated[Literal["files"], Stored("corpus")] = Field(description="Local files.")
    paths: Annotated[tuple[str, ...], Stored("corpus_paths")] = Field(
        min_length=1,
        strict=False,  # a list
        description="Files or patterns such as text/*.txt, relative to the project; in this order.",
    )
    column: Annotated[str, Stored("corpus_column")] = Field(
        "text", description="The column of JSON lines and Parquet files that holds the text."
    )
    documents: Annotated[Literal["file", "paragraph", "line"], Stored("corpus_documents")] = Field(
        "file",
        description="What is a document in a text file: the file, a block between empty lines, a line.",
    )
    revision: Annotated[str, Stored("corpus_revision")] = Field(
        "",
        description="A name for what the files hold. Change it when they change: what was made from other text is "
        "refused under the same name.",
    )
    held_out: Share = 0.05

    def conflicts(self) -> Iterator[Conflict]:
        rows = [path.endswith((".jsonl", ".parquet")) for path in self.paths]
        texts = [path.endswith((".txt", ".md", ".text")) for path in self.paths]
        if self.documents != "file" and all(rows):
            yield Conflict("documents", "is for text files: a row of these is a document", "remove it")
        if self.column != "text" and all(texts):
            yield Conflict("column", "is for JSON lines and Parquet: text files have none", "remove it")


class HubDataset(Consistent):
    """A data set of the Hugging Face hub."""

    unread: ClassVar[tuple[str, ...]] = ("data.corpus.streaming",)

    kind: Annotated[Literal["hub"], Stored("corpus")] = Field(description="A data set of the hub.")
    name: Annotated[str, Stored("corpus_name")] = Field(min_length=1, description="Hub id.")
    revision: Annotated[str, Stored("corpus_revision")] = Field(
        min_length=1, description="Commit, tag or branch: what the text depends on."
    )
    config: Annotated[str | None, Stored("corpus_config")] = Field(
        None, description="Configuration of the data set."
    )
    split: Annotated[str, Stored("corpus_split")] = Field("train", description="Split of the data set.")
    column: Annotated[str, Stored("corpus_column")] = Field(
        "text", description="The column that holds the text."
    )
    streaming: Annotated[bool, Stored("corpus_streaming")] = Field(
        True, description="Whether to read it as it comes instead of downloading all first."
    )
    held_out: Share = 0.05

    @classmethod
    def ousted(cls, key: str, value: Any) -> Collection[str]:
        return ("revision", "config") if key == "name" else ()


Corpus = Annotated[PythonSources | TextFiles | HubDataset, Field(discriminator="kind")]
