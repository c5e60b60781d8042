"""What the feature store promises: what was written is read back, damage is never taken for numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from annotate.errors import FeatureError
from annotate.feature_store import FeatureStore, ShardInfo
from annotate.temporary import temporary_name
from annotate.types import Modality
from tests.support.leftovers import name_of_an_ended_process

IDS = [f"{i:016x}" for i in range(3)]


def items() -> list[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (i, rng.normal(size=(frames, 5)).astype(np.float32)) for i, frames in zip(IDS, (1, 7, 3), strict=True)
    ]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


@pytest.fixture
def shard(store: FeatureStore) -> ShardInfo:
    return store.write(Modality.AUDIO, "voice@00000000", items())


def test_ragged_arrays_come_back_in_the_order_asked(store: FeatureStore, shard: ShardInfo) -> None:
    last, first = store.read(shard.path, [2, 0])
    np.testing.assert_allclose(last, items()[2][1], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(first, items()[0][1], rtol=1e-3, atol=1e-3)
    assert last.dtype == np.float32 and shard.samples == tuple(IDS)
    assert shard.path.startswith("A/voice@00000000/")


def test_equal_features_give_the_same_file(store: FeatureStore, shard: ShardInfo) -> None:
    assert store.write(Modality.AUDIO, "voice@00000000", items()) == shard


def test_numbers_too_large_for_sixteen_bits_are_kept_exactly(store: FeatureStore) -> None:
    large = np.array([[1e6, 1.0000001]], np.float32)
    shard = store.write(Modality.TEXT, "t@0", [(IDS[0], large)])
    np.testing.assert_array_equal(store.read(shard.path, [0])[0], large)


def test_any_safetensors_reader_can_open_a_shard(store: FeatureStore, shard: ShardInfo) -> None:
    with safe_open(store.root / shard.path, "numpy") as opened:
        assert opened.metadata() == {"dim": "5"}
        assert bytes(opened.get_tensor("samples")[1]).decode() == IDS[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_refused(store: FeatureStore, bad: float) -> None:
    with pytest.raises(FeatureError, match="not finite"):
        store.write(Modality.TEXT, "t@0", [(IDS[0], np.array([[bad]], np.float32))])
    assert store.sweep(set()) == 0


def test_samples_of_different_width_are_refused(store: FeatureStore) -> None:
    two = [(IDS[0], np.zeros((1, 2), np.float32)), (IDS[1], np.zeros((1, 3), np.float32))]
    with pytest.raises(FeatureError, match="different shapes"):
        store.write(Modality.TEXT, "t@0", two)


def test_a_shard_cut_short_anywhere_is_called_damaged(store: FeatureStore, shard: ShardInfo) -> None:
    path = store.root / shard.path
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(FeatureError, match=path.name) as caught:
            store.read(shard.path, [0, 1, 2])
        assert caught.value.hint == "annotate extract"
        assert not store.intact(shard.path, shard.sha256)


def test_no_flipped_bit_changes_a_number_unseen(store: FeatureStore, shard: ShardInfo) -> None:
    path = store.root / shard.path
    whole, expected = path.read_bytes(), store.read(shard.path, [0, 1, 2])
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert not store.intact(shard.path, shard.sha256)
        try:
            found = store.read(shard.path, [0, 1, 2])
        except FeatureError:
            continue
        for now, before in zip(found, expected, strict=True):
            np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("header", [b"", b"[]", b"{}", b'{"__metadata__": {"dim": "x"}}', b"\xff\xff"])
def test_a_header_that_is_no_header_is_called_damaged(store: FeatureStore, header: bytes) -> None:
    path = store.root / "T" / "t@0" / "x.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(FeatureError, match="damaged"):
        store.read("T/t@0/x.safetensors", [0])


def test_a_header_that_points_outside_the_file_is_called_damaged(
    store: FeatureStore, shard: ShardInfo
) -> None:
    path = store.root / shard.path
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header["values"]["data_offsets"] = [-64, header["values"]["data_offsets"][1]]
    changed = json.dumps(header).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + whole[8 + length :])
    with pytest.raises(FeatureError, match="damaged"):
        store.read(shard.path, [0])


def test_a_missing_shard_is_named(store: FeatureStore) -> None:
    with pytest.raises(FeatureError, match=r"gone\.safetensors"):
        store.read("T/t@0/gone.safetensors", [0])


def test_a_row_that_was_never_written_is_refused(store: FeatureStore, shard: ShardInfo) -> None:
    with pytest.raises(FeatureError, match="no row 3"):
        store.read(shard.path, [3])


def test_sweeping_removes_what_killed_runs_left_and_nothing_else(
    store: FeatureStore, shard: ShardInfo
) -> None:
    folder = (store.root / shard.path).parent
    orphan = store.write(Modality.TEXT, "t@0", [("ab" * 8, np.ones((1, 2), np.float32))])
    left = folder / name_of_an_ended_process()
    mine = [folder / name for name in ("feed.123.part", "README.txt", f"{'ab' * 8}.safetensors")]
    mine += [store.root / "mosei.safetensors", folder / temporary_name()]
    for path in (left, *mine):
        path.write_bytes(b"something")
    assert store.sweep({shard.path}) == 2
    assert not left.exists() and not (store.root / orphan.path).exists()
    assert all(path.read_bytes() == b"something" for path in mine)
    assert len(store.read(shard.path, [0])) == 1
