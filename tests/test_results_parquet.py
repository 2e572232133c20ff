"""Result tables as files: same bytes, whole or not at all, damage noticed."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results_sample import PROVENANCE, cell_rows, spec

from saespec.errors import DamagedFileError, StageError
from saespec.results import parquet, schema
from saespec.spec.columns import Column

CELLS = schema.tables(spec())["cells"]
PAIR = (
    Column("name", "string", "1", "A."),
    Column("value", "float64", "m", "B."),
    Column("n", "int64", "1", "C."),
)


def write(path, rows=None):
    parquet.write(path, "cells", CELLS, cell_rows() if rows is None else rows, PROVENANCE)
    return path.read_bytes()


def test_rows_come_back_with_types_units_and_provenance(tmp_path):
    write(tmp_path / "cells.parquet")
    content = parquet.read(tmp_path / "cells.parquet")
    assert schema.columns_of(content.schema) == CELLS
    assert parquet.footer(content) == {**PROVENANCE, "saespec.table": "cells", "saespec.format": "1"}
    rows = content.select(list(cell_rows()[0])).to_pylist()
    assert rows == cell_rows()


def test_rows_columns_and_arrow_give_the_same_bytes():
    rows = [{"name": "a", "value": 1.5, "n": 3}, {"name": "b", "value": None, "n": 4}]
    columns = {"n": np.array([3, 4]), "name": ["a", "b"], "value": np.array([1.5, np.nan])}
    arrow = pa.concat_tables([pa.Table.from_pylist([row]) for row in rows], promote_options="permissive")
    files = {parquet.encode("t", PAIR, data, PROVENANCE) for data in (rows, columns, arrow)}
    assert len(files) == 1


def test_equal_input_gives_equal_bytes_in_another_process(tmp_path):
    here = write(tmp_path / "here.parquet")
    there = tmp_path / "there.parquet"
    code = f"""
import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
from pathlib import Path; import test_results_parquet as t
t.write(Path({str(there)!r}))"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert there.read_bytes() == here


def test_a_missing_column_is_null_and_an_undeclared_one_is_a_bug():
    assert parquet.table(PAIR, [{"name": "a"}]).to_pylist() == [{"name": "a", "value": None, "n": None}]
    with pytest.raises(AssertionError, match="nmae"):
        parquet.table(PAIR, [{"nmae": "a"}])


def test_nan_is_stored_as_null_and_infinity_kept():
    content = parquet.table(PAIR, {"value": [float("nan"), float("inf"), -0.0]})
    assert content.column("value").to_pylist() == [None, float("inf"), -0.0]


def test_an_empty_table_keeps_its_columns(tmp_path):
    write(tmp_path / "cells.parquet", [])
    assert schema.columns_of(parquet.read(tmp_path / "cells.parquet").schema) == CELLS


def test_any_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "cells.parquet"
    good = write(path)
    rng = random.Random(0)
    for position in rng.sample(range(len(good)), 200):
        bad = bytearray(good)
        bad[position] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        with pytest.raises(DamagedFileError, match=r"cells\.parquet"):
            parquet.read(path)


def test_any_truncation_is_noticed(tmp_path):
    path = tmp_path / "cells.parquet"
    good = write(path)
    for length in [0, 3, 4, 8, 12, len(good) - 1, *random.Random(0).sample(range(len(good)), 50)]:
        path.write_bytes(good[:length])
        with pytest.raises(DamagedFileError, match=r"git checkout"):
            parquet.read(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(DamagedFileError):
        parquet.read(path)


def test_a_parquet_file_of_another_program_is_refused(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(DamagedFileError, match="not a result table"):
        parquet.read(tmp_path / "other.parquet")


def test_a_missing_file_says_who_writes_it(tmp_path):
    with pytest.raises(DamagedFileError, match="does not exist"):
        parquet.read(tmp_path / "cells.parquet")


def test_pages_carry_checksums_for_other_readers(tmp_path):
    path = tmp_path / "cells.parquet"
    bad = bytearray(write(path))
    bad[40] ^= 0xFF
    path.write_bytes(bad)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch, failing):
    path = tmp_path / "cells.parquet"
    old = write(path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(StageError, match=r"cannot write .*cells\.parquet: No space left on device"):
        write(path, [])
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["cells.parquet"]


def test_a_real_full_disk(tmp_path):
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount a small file system")
    try:
        old = write(tmp_path / "cells.parquet", [])
        (tmp_path / "filler").write_bytes(b"\0" * (64 * 1024 - len(old) - 12_000))
        with pytest.raises(StageError, match="No space left on device"):
            write(tmp_path / "cells.parquet")
        assert (tmp_path / "cells.parquet").read_bytes() == old
        assert sorted(os.listdir(tmp_path)) == ["cells.parquet", "filler"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "tables").write_text("a file where a folder should be")
    with pytest.raises(StageError, match=r"cannot write .*tables/cells\.parquet"):
        write(tmp_path / "tables" / "cells.parquet")


def test_a_read_only_file_system_is_named(tmp_path):
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k,ro", "tmpfs", tmp_path], capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount a small file system")
    try:
        with pytest.raises(StageError, match=r"cells\.parquet: Read-only file system"):
            write(tmp_path / "cells.parquet")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_what_a_killed_run_left_behind_is_cleared(tmp_path):
    (tmp_path / ".cells.parquet.12345.tmp").write_bytes(b"half")
    write(tmp_path / "cells.parquet")
    assert os.listdir(tmp_path) == ["cells.parquet"]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "cells.parquet")
    assert os.listdir(tmp_path) == []
