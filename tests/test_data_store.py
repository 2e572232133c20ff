"""The activation store: what was written comes back, shuffled reading is a function of the place asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from saespec.data.activations import shuffled, store
from saespec.data.activations.shuffled import Shuffled
from saespec.data.activations.store import Manifest, Site
from saespec.data.parts import HELD_OUT, TRAIN
from saespec.data.streams import Streams
from saespec.errors import DamagedFileError, StageError

CPU = torch.device("cpu")


def written(folder: Path, vectors: dict[str, Tensor], dtype: str = "float32") -> Site:
    """A site's folder as extraction leaves it."""
    dim = vectors[TRAIN].shape[1]
    size = store.shard_rows(dim, dtype)
    records: dict[str, list[store.Shard]] = {}
    for part, rows_VD in vectors.items():
        records[part] = []
        for number, start in enumerate(range(0, len(rows_VD), size)):
            path = store.shard_path(folder, part, number)
            store.write_shard(path, rows_VD[start : start + size].to(store.DTYPES[dtype]))
            record = store.read_shard_record(path)
            assert record is not None
            records[part].append(record)
    store.write_manifest(folder, Manifest("0.mlp_out", dtype, dim, "", "0", records))
    return Site(folder)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many shards and windows with little data."""
    monkeypatch.setattr(store, "SHARD_BYTES", 4 * 4 * 100)
    monkeypatch.setattr(shuffled, "WINDOW_ROWS", 160)
    monkeypatch.setattr(shuffled, "BLOCKS", 8)


def numbered(rows: int, dim: int = 4) -> Tensor:
    """Vectors that say which they are."""
    return torch.arange(rows, dtype=torch.float32)[:, None].expand(-1, dim).contiguous()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_vectors_come_back_in_their_precision(tmp_path: Path, dtype: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(730, 4)
    site = written(tmp_path, {TRAIN: x, HELD_OUT: x[:30]}, dtype)
    assert len(site.manifest.shards[TRAIN]) > 3
    assert torch.equal(site.rows(TRAIN, 0, 730), x.to(store.DTYPES[dtype]))
    assert torch.equal(site.rows(TRAIN, 190, 410), x[190:410].to(store.DTYPES[dtype]))
    assert torch.equal(site.rows(HELD_OUT, 3, 30), x[3:30].to(store.DTYPES[dtype]))


def test_sums_are_those_of_the_train_part(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(730, 4)
    manifest = written(tmp_path, {TRAIN: x, HELD_OUT: x[:30] + 9}).manifest
    assert torch.allclose(manifest.mean_D, x.mean(dim=0), atol=1e-6)
    assert manifest.mean_square == pytest.approx(float(x.square().mean()))
    assert manifest.mean_norm == pytest.approx(float(x.norm(dim=1).mean()))


@pytest.mark.parametrize("rows", [1000, 960, 161, 20, 3])
def test_each_vector_comes_once_an_epoch_in_another_order_each_time(tmp_path: Path, rows: int) -> None:
    site = written(tmp_path, {TRAIN: numbered(rows), HELD_OUT: numbered(1)})
    one = Shuffled(site, Streams("a", CPU))
    epochs = [one.read(epoch * rows, rows)[:, 0] for epoch in range(3)]
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, torch.arange(rows).float())
    if rows > 3:
        assert not torch.equal(epochs[0], epochs[1])
        assert not torch.equal(epochs[0], Shuffled(site, Streams("b", CPU)).read(0, rows)[:, 0])


def test_a_window_mixes_distant_vectors(tmp_path: Path) -> None:
    site = written(tmp_path, {TRAIN: numbered(1000), HELD_OUT: numbered(1)})
    first = Shuffled(site, Streams("a", CPU)).read(0, 40)[:, 0]
    assert first.max() - first.min() > 500
    assert (first.diff().abs() > 1).float().mean() > 0.9


def test_order_does_not_depend_on_how_it_is_read(tmp_path: Path) -> None:
    site = written(tmp_path, {TRAIN: numbered(1000), HELD_OUT: numbered(1)})
    in_sequence = Shuffled(site, Streams("a", CPU)).read(0, 2500)
    for start, size in ((1990, 30), (0, 7), (155, 12), (2499, 1), (700, 900)):
        assert torch.equal(
            Shuffled(site, Streams("a", CPU)).read(start, size), in_sequence[start : start + size]
        )


def test_reading_on_and_elsewhere_gives_the_same(tmp_path: Path) -> None:
    site = written(tmp_path, {TRAIN: numbered(1000), HELD_OUT: numbered(1)})
    in_sequence = Shuffled(site, Streams("a", CPU)).read(0, 4000)
    one = Shuffled(site, Streams("a", CPU))
    for start in (*range(0, 1200, 50), 3000, *range(800, 2600, 90), 0, 3900, 170):
        assert torch.equal(one.read(start, 40), in_sequence[start : start + 40])


def test_a_window_is_read_once_and_one_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory holds two windows, and no vector is read twice."""
    site = written(tmp_path, {TRAIN: numbered(5000), HELD_OUT: numbered(1)})
    read: list[int] = []
    gather = store.Site.gather

    def counted(self: store.Site, part: str, starts: Any, block: int, to_V: Any, out_VD: Any) -> None:
        read.append(len(to_V))
        gather(self, part, starts, block, to_V, out_VD)

    monkeypatch.setattr(store.Site, "gather", counted)
    one = Shuffled(site, Streams("a", CPU))
    for t in range(40):
        one.read(t * 100, 100)
        assert sum(read) <= (t + 1) * 100 + 2 * 160
    assert max(read) <= 160
    assert sum(read) >= 4000


def test_damage_is_named_in_shuffled_reading_too(tmp_path: Path) -> None:
    site = written(tmp_path, {TRAIN: numbered(1000), HELD_OUT: numbered(1)})
    one = Shuffled(site, Streams("a", CPU))
    for number in range(10):
        path = store.shard_path(tmp_path, TRAIN, number)
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFileError, match=r"train-0000\d.bin: a shard is not what was written"):
        one.read(0, 1000)


def test_a_damaged_shard_is_named_and_withdrawn(tmp_path: Path) -> None:
    written(tmp_path, {TRAIN: numbered(1000), HELD_OUT: numbered(1)})
    path = store.shard_path(tmp_path, TRAIN, 3)
    data = bytearray(path.read_bytes())
    data[17] ^= 1
    path.write_bytes(data)
    site = Site(tmp_path)
    site.rows(TRAIN, 0, 200)
    with pytest.raises(DamagedFileError, match=r"train-00003\.bin: a shard is not .* Run `saespec run`"):
        site.rows(TRAIN, 250, 350)
    assert store.read_shard_record(path) is None
    assert store.read_shard_record(store.shard_path(tmp_path, TRAIN, 2)) is not None
    assert not (tmp_path / "manifest.json").exists()


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    site = written(tmp_path, {TRAIN: numbered(1000), HELD_OUT: numbered(1)})
    store.shard_path(tmp_path, TRAIN, 3).unlink()
    with pytest.raises(DamagedFileError, match=r"train-00003.bin.*cannot be read"):
        site.rows(TRAIN, 350, 351)


def test_a_shard_with_values_that_are_not_finite_is_not_written(tmp_path: Path) -> None:
    path = store.shard_path(tmp_path / "2.mlp_out", TRAIN, 0)
    x = torch.tensor([[1e5, 0.0]]).half()
    with pytest.raises(
        StageError, match=r"2\.mlp_out are not finite in torch\.float16 \(float16 ends at 65,504"
    ):
        store.write_shard(path, x)
    assert not path.exists()
    assert store.read_shard_record(path) is None


def test_sums_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(5000, 64)
    threads = torch.get_num_threads()
    records = []
    for number in (1, 2):
        torch.set_num_threads(number)
        store.write_shard(tmp_path / "a.bin", x)
        records.append(store.read_shard_record(tmp_path / "a.bin"))
    torch.set_num_threads(threads)
    assert records[0] == records[1]


def test_what_is_no_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"manifest.json.*not in the store"):
        Site(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "", '{"shards": []}', '{"shards": {"train": []}}', "\xff"],
)
def test_what_is_no_manifest_is_withdrawn(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(DamagedFileError, match="not a manifest"):
        Site(tmp_path)
    assert not (tmp_path / "manifest.json").exists()


@given(st.data())
def test_a_manifest_or_record_that_is_altered_anywhere_is_found(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    """A digit of a mean as much as a bracket; what may differ is the white space alone."""
    folder = tmp_path_factory.mktemp("site")
    torch.manual_seed(0)
    before = written(folder, {TRAIN: torch.randn(3, 2), HELD_OUT: torch.randn(1, 2)}).manifest
    record = store.read_shard_record(store.shard_path(folder, TRAIN, 0))
    for path, read in (
        (folder / "manifest.json", lambda: store.read_manifest(folder)),
        (folder / "train-00000.json", lambda: store.read_shard_record(store.shard_path(folder, TRAIN, 0))),
    ):
        data = bytearray(path.read_bytes())
        data[draw.draw(st.integers(0, len(data) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
        path.write_bytes(data)
        try:
            found = read()
        except DamagedFileError:
            found = None
        assert found in (None, before, record)


def test_manifests_of_older_versions_are_read(tmp_path: Path) -> None:
    manifest = written(tmp_path, {TRAIN: numbered(3), HELD_OUT: numbered(1)}).manifest
    content = json.loads((tmp_path / "manifest.json").read_text())
    del content[store.SEAL]
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    assert store.read_manifest(tmp_path) == manifest
