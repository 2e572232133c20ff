"""Result tables as Parquet files: the same bytes for the same content, and damage is noticed.

The footer holds provenance (`saespec.*` keys) and, in `saespec.checksum`, the SHA-256 of the whole
file with the digits of the checksum itself read as zeros. So one hash, taken before anything is
parsed, covers pages, statistics, schema and provenance alike. Pages carry CRCs as well, for other readers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saespec.errors import DamagedFileError, StageError, reason
from saespec.spec.columns import Column

from .atomic import write_bytes
from .schema import arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "1"
"""Version of these conventions, in the footer as `saespec.format`."""

_CHECKSUM = "saespec.checksum"
_MARK = b"saespec-sha256:"
_DIGITS = 64
_ROW_GROUP = 131_072


def table(
    columns: Sequence[Column], data: pa.Table | Mapping[str, Any] | Iterable[Mapping[str, Any]]
) -> pa.Table:
    """Return `data` as an Arrow table of the declared columns, in their order.

    `data` is rows (mappings by column), columns (a mapping of name to sequence or NumPy array) or an
    Arrow table. A declared column that is missing is all NULL; one that is not declared is a bug.
    NaN becomes NULL: SQL sorts NaN above every number, so `mmcs >= 0.9` would hold for a diverged cell.
    """
    import pyarrow as pa

    schema = arrow_schema(columns)
    if isinstance(data, pa.Table):
        given = {name: data.column(name) for name in data.column_names}
        length = data.num_rows
    elif isinstance(data, Mapping):
        given = dict(data)
        length = max((len(values) for values in given.values()), default=0)
    else:
        rows = list(data)
        length = len(rows)
        names = {name for row in rows for name in row}
        given = {name: [row.get(name) for row in rows] for name in names}
    undeclared = given.keys() - set(schema.names)
    assert not undeclared, f"columns that the table does not declare: {sorted(undeclared)}"
    return pa.table(
        [_array(given[f.name], f.type) if f.name in given else pa.nulls(length, f.type) for f in schema],
        schema=schema,
    )


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    chunked = isinstance(values, pa.ChunkedArray)
    # One chunk, so that the writer's pages do not depend on how the table was put together.
    array = values.cast(kind).combine_chunks() if chunked else pa.array(values, type=kind)
    if pa.types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
    return array


def write(
    path: Path,
    table_name: str,
    columns: Sequence[Column],
    data: pa.Table | Mapping[str, Any] | Iterable[Mapping[str, Any]],
    provenance: Mapping[str, str],
) -> None:
    """Write a result table (see `table` for what `data` may be) atomically.

    `provenance` (see `saespec.results.provenance`) goes to the footer. Equal arguments give equal bytes.
    Raises StageError, naming the path, if the file cannot be written; the old file is then intact.
    """
    write_bytes(Path(path), encode(table_name, columns, data, provenance))


def encode(
    table_name: str,
    columns: Sequence[Column],
    data: pa.Table | Mapping[str, Any] | Iterable[Mapping[str, Any]],
    provenance: Mapping[str, str],
) -> bytes:
    """Return the bytes that `write` writes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = table(columns, data)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        content.schema,
        version="2.6",
        compression="zstd",
        compression_level=3,
        use_dictionary=[c.name for c in columns if c.type == "string"],
        write_page_checksum=True,
    ) as writer:
        writer.write_table(content, row_group_size=_ROW_GROUP)
        # Not part of the Arrow schema, which Parquet would store a second time, in base64.
        writer.add_key_value_metadata(
            {
                **dict(sorted(provenance.items())),
                "saespec.table": table_name,
                "saespec.format": FORMAT,
                _CHECKSUM: _MARK.decode() + "0" * _DIGITS,
            }
        )
    encoded = bytearray(sink.getvalue())
    start = encoded.rfind(_MARK) + len(_MARK)
    assert encoded[start : start + _DIGITS] == b"0" * _DIGITS
    encoded[start : start + _DIGITS] = hashlib.sha256(encoded).hexdigest().encode()
    return bytes(encoded)


def read(path: Path) -> pa.Table:
    """Return a result table; its schema's metadata is the footer's `saespec.*` keys, less the checksum.

    Raises DamagedFileError if the file is missing or not what saespec wrote.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(verified(path))) as file:
        stored = file.metadata.metadata
        content = file.read(use_threads=False)
    # Arrow takes a schema's metadata from its own copy of the schema, which lacks the footer's keys.
    return content.replace_schema_metadata(
        {
            key: value
            for key, value in stored.items()
            if key.startswith(b"saespec.") and key != _CHECKSUM.encode()
        }
    )


def footer(content: pa.Table) -> dict[str, str]:
    """Return the provenance of a table that `read` returned: its footer's `saespec.*` keys."""
    return {key.decode(): value.decode() for key, value in sorted((content.schema.metadata or {}).items())}


def verified(path: Path) -> bytes:
    """Return the bytes of a result table once they are known to be what saespec wrote.

    Needs no pyarrow. Raises as `read` does.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedFileError(path, "it does not exist", "Run the spec: that writes it") from error
    except OSError as error:
        raise StageError(f"cannot read {path}: {reason(error)}") from error
    remedy = f"Delete it and run the spec again, or take it from git: git checkout -- {path}"
    start = data.rfind(_MARK) + len(_MARK)
    if start < len(_MARK) or not data.endswith(b"PAR1"):
        what = "empty" if not data else "truncated, or not a result table written by saespec"
        raise DamagedFileError(path, what, remedy)
    digest = hashlib.sha256(data[:start])
    digest.update(b"0" * _DIGITS)
    digest.update(memoryview(data)[start + _DIGITS :])
    if digest.hexdigest().encode() != data[start : start + _DIGITS]:
        raise DamagedFileError(path, "its bytes are not those that saespec wrote (checksum)", remedy)
    return data
