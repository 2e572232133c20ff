"""The contexts of an extraction on disk: the text that its vectors belong to.

Below `activations/<extraction>/` of the store, raw and [C, T] each:

    <part>/ids.i32          token ids
    <part>/mask.u8          where there is a token and not padding
    <part>/kept.u8          the tokens whose activations are stored
    <part>/contexts.json    their shape, checksums, and the corpus that they come from; written last

A vector is a kept token: the i-th vector of a part belongs to the i-th true entry of `kept`, row by row.

Legend: C contexts, T tokens of a context.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from saespec.data.text.tokens import Tokens
from saespec.errors import DamagedFileError
from saespec.results.atomic import write_bytes, writing

from .store import REMEDY, file_sha256
from .withdraw import withdraw

RECORD = "contexts.json"

FILES: tuple[tuple[str, type], ...] = (
    ("ids.i32", np.int32),
    ("mask.u8", np.bool_),
    ("kept.u8", np.bool_),
)


def write(folder: Path, part: str, blocks: Iterable[Tokens], limit: int, corpus: str) -> int:
    """Write the contexts of a part, so many kept tokens of them, and return how many there were.

    What comes after the last wanted token is no longer kept. With too few it writes no record, so that they do not
    count. Raises StageError where the disk is full.
    """
    target = folder / part
    rows, shape = 0, (0, 0)
    digests = [hashlib.sha256() for _ in FILES]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(writing(target / name)) for name, _ in FILES]
        for block in blocks:
            kept_CT = block.kept_CT.copy()
            kept_CT &= kept_CT.cumsum().reshape(kept_CT.shape) <= limit - rows
            rows += int(kept_CT.sum())
            shape = shape[0] + len(kept_CT), kept_CT.shape[1]
            for file, digest, values in zip(
                files, digests, (block.ids_CT, block.mask_CT, kept_CT), strict=True
            ):
                data = np.ascontiguousarray(values).tobytes()
                digest.update(data)
                file.write(data)
    if rows == limit:
        sha256 = [digest.hexdigest() for digest in digests]
        record = {"shape": shape, "rows": rows, "sha256": sha256, "corpus_sha256": corpus}
        write_bytes(target / RECORD, json.dumps(record).encode())
    return rows


def corpus_sha256(folder: Path, part: str) -> str | None:
    """The content hash of the corpus that the contexts of a part come from; None if they are not there."""
    try:
        record = json.loads((folder / part / RECORD).read_bytes())
        return str(record["corpus_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_there(folder: Path, part: str) -> bool:
    """Whether a part has its record and all files."""
    return all((folder / part / name).exists() for name in (RECORD, *dict(FILES)))


def read(folder: Path, part: str) -> Tokens:
    """The contexts of a part, memory-mapped. Raises DamagedFileError if they are not there, or not whole."""
    found = _whole(folder, part)
    if isinstance(found, Path):
        lost = (found, *folder.glob("*/manifest.json"))
        withdraw(folder, lost, lambda: isinstance(_whole(folder, part), Path))
        raise DamagedFileError(found, "the tokens of an extraction are not there, or not whole", REMEDY)
    return found


def _whole(folder: Path, part: str) -> Tokens | Path:
    """The contexts of a part, memory-mapped; the path of a file that is not there or not what was written."""
    path = folder / part / RECORD
    arrays = []
    try:
        record = json.loads(path.read_bytes())
        shape, checksums = tuple(record["shape"]), dict(zip(dict(FILES), record["sha256"], strict=True))
        for name, kind in FILES:
            path = folder / part / name
            if file_sha256(path) != checksums[name]:
                return path
            # Copy on write: nobody writes, and torch warns of arrays that cannot be written.
            arrays.append(np.memmap(path, dtype=kind, mode="c", shape=shape).view(np.ndarray))
    except (OSError, ValueError, KeyError, TypeError):
        return path
    return Tokens(*arrays)


def blocks(folder: Path, part: str, size: int) -> Iterator[Tokens]:
    """The contexts of a part, `size` at a time, in memory one block at a time. Raises as `read` does."""
    count, length = read(folder, part).ids_CT.shape
    for start in range(0, count, size):
        rows = min(size, count - start)
        yield Tokens(
            *(
                np.fromfile(
                    folder / part / name,
                    dtype=kind,
                    count=rows * length,
                    offset=start * length * np.dtype(kind).itemsize,
                ).reshape(rows, length)
                for name, kind in FILES
            )
        )
