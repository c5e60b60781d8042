"""What a file of others announces is checked before it costs memory or disk, and odd text is refused."""

import pickle
import struct
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from annotate.corpus.paths import LONGEST_PATH, path_key
from annotate.errors import ConfigError, CorpusError
from annotate.importing.answers import parse_answer
from annotate.importing.arrays import ArrayFiles
from annotate.importing.columns import read_columns
from annotate.importing.mapping import TableMap
from annotate.importing.mmsa import read_mmsa
from annotate.importing.table import TableSource, read_table
from annotate.importing.votes import LONGEST_RATER
from annotate.types import Modality, Task
from tests.support.dimensions import SENTIMENT, SENTIMENT_TASKS, regression


@contextmanager
def little_memory(most=4_000_000):
    """Fails when what the block does takes more bytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def header(shape, descr="<f4", version=1):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + b"\n"


def archive(path, content, *, announced=None, compress=zipfile.ZIP_DEFLATED, name="audio.npy"):
    """An .npz file of one array; `announced` replaces the size that its directory names."""
    with zipfile.ZipFile(path, "w", compress) as file:
        file.writestr(name, content)
    if announced is not None:
        raw = bytearray(path.read_bytes())
        struct.pack_into("<I", raw, raw.find(b"PK\x01\x02") + 24, announced)
        struct.pack_into("<I", raw, raw.find(b"PK\x03\x04") + 22, announced)
        path.write_bytes(raw)
    return path


# -- arrays ---------------------------------------------------------------------------------------


def test_an_npz_bomb_is_refused_with_the_memory_it_asks_for(tmp_path):
    archive(tmp_path / "a.npz", header((1000, 2_500)) + bytes(10_000_000))
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    with (
        little_memory(),
        ArrayFiles([tmp_path / "a.npz"], memory_gb=0.005) as files,
        pytest.raises(CorpusError, match=r"shape \(1000, 2500\).* 0.01 GB .* 0.005 GB") as error,
    ):
        files.get("audio")
    assert "--memory 1" in error.value.hint


def test_the_memory_of_all_arrays_together_is_limited(tmp_path):
    np.savez(tmp_path / "a.npz", audio=np.zeros(600_000), vision=np.zeros(600_000))
    with ArrayFiles([tmp_path / "a.npz"], memory_gb=0.006) as files:
        files.get("audio")
        with pytest.raises(CorpusError, match="'vision'"):
            files.get("vision")


@pytest.mark.parametrize(
    ("content", "announced"),
    [
        (header((10**9, 1000)), None),
        (header((10**6, 1000)) + b"12", 4_000_000_000),
        (header((2, 2)) + bytes(15), None),
        (header((2, 2)) + bytes(17), None),
        (header((-1, 4)) + bytes(16), None),
        (header((2, 2)) + bytes(16), 10),
        (header((True, 4)) + bytes(16), None),
        (header((10**11,), "<U0"), None),
        (header((10**11, 3), "|V0"), None),
        (header((3, 0, 10**15)), None),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", None),
        (b"\x93NUMPY\x02\x00\x00\x00\x00\x80" + bytes(50_000), None),
        (b"\x93NUMPY\x01\x00\xff\x00" + b"(" * 255, None),
        (b"\x93NUMPY\x09\x00\x10\x00" + bytes(16), None),
        (b"no array at all", None),
        (b"", None),
    ],
)
@pytest.mark.parametrize("compress", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_that_lies_is_damage_and_costs_no_memory(tmp_path, content, announced, compress):
    path = archive(tmp_path / "a.npz", content, announced=announced, compress=compress)
    with little_memory(), ArrayFiles([path]) as files:
        for read in (files.shape, files.get):
            with pytest.raises(CorpusError, match=r"'audio' of .* is damaged"):
                read("audio")


def test_arrays_without_rows_or_text_are_no_damage(tmp_path):
    np.savez(tmp_path / "a.npz", audio=np.zeros((0, 50, 74)), ids=np.array(["", ""]))
    with ArrayFiles([tmp_path / "a.npz"]) as files:
        assert files.get("audio").shape == (0, 50, 74)
        assert files.get("ids").tolist() == ["", ""]


def test_ids_of_features_are_refused_before_they_become_text(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", audio=np.zeros((3, 2)), ids=np.zeros(1_000_000, np.uint8))
    (tmp_path / "t.csv").write_text("id,s\na,1\n")
    names = TableMap(id="id", label={"sentiment.M": "s"}, feature={"audio": "audio"}, feature_id="ids")
    source = TableSource(tmp_path / "t.csv", (tmp_path / "a.npz",), names, 0.01)
    with pytest.raises(CorpusError, match=r"'ids' of .* GB of memory would be needed"):
        read_table(source, SENTIMENT_TASKS)


def test_damage_inside_of_compressed_numbers_is_said(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", audio=np.random.default_rng(0).random((50, 50)))
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[2000:2100] = bytes(100)
    (tmp_path / "a.npz").write_bytes(raw)
    with ArrayFiles([tmp_path / "a.npz"]) as files, pytest.raises(CorpusError, match="is damaged"):
        files.get("audio")


def test_a_single_array_is_named_as_such_before_it_is_read(tmp_path):
    (tmp_path / "a.npz").write_bytes(header((10**9, 1000)))
    with little_memory(), pytest.raises(CorpusError, match="holds one array without a name"):
        ArrayFiles([tmp_path / "a.npz"])


# -- tables ---------------------------------------------------------------------------------------


def test_of_an_npz_table_only_the_wanted_columns_are_read(tmp_path):
    np.savez(
        tmp_path / "t.npz",
        ids=np.array(["a", "b"]),
        y=np.array([[0.5, np.nan], [1.0, 0.25]], np.float32),
        junk=np.array([{}, []], object),
        big=np.zeros((1_000_000, 3)),
    )
    found = read_columns(tmp_path / "t.npz", ["ids", "y.1"], memory_gb=0.001)
    assert found == {"ids": ["a", "b"], "y.1": ["", "0.25"]}
    with pytest.raises(CorpusError, match=r"'junk' .* holds objects"):
        read_columns(tmp_path / "t.npz", ["junk"])
    with pytest.raises(CorpusError, match=r"no column 'y\.2'") as error:
        read_columns(tmp_path / "t.npz", ["y.2"])
    assert "y.1" in error.value.hint


def test_a_column_of_many_short_cells_is_refused_before_it_becomes_text(tmp_path):
    np.savez_compressed(tmp_path / "t.npz", ids=np.zeros(1_000_000, np.uint8))
    with little_memory(), pytest.raises(CorpusError, match="announces 1000000 rows"):
        read_columns(tmp_path / "t.npz", ["ids"], memory_gb=0.01)


def test_a_parquet_bomb_is_refused(tmp_path):
    frame = pd.DataFrame({"id": ["same words"] * 200_000, "other": np.arange(200_000)})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(CorpusError, match="announces 200000 rows") as error:
        read_columns(tmp_path / "t.parquet", ["id"], memory_gb=0.01)
    assert "--memory 1" in error.value.hint


def test_parquet_text_numbers_and_gaps_are_read_as_they_stand(tmp_path):
    frame = pd.DataFrame(
        {"id": ["b", "a", "b"], "y": [0.5, None, 1.0], "n": [1, 2, 3], "t": ["x", None, "x"]}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_columns(tmp_path / "t.parquet", ["id", "y", "n", "t"]) == {
        "id": ["b", "a", "b"], "y": ["0.5", "", "1.0"], "n": ["1", "2", "3"], "t": ["x", "", "x"],
    }  # fmt: skip


# -- pickles --------------------------------------------------------------------------------------


def feature_file(path, **change):
    part = {"id": ["v$_$1", "v$_$2"], "raw_text": ["a", "b"], "audio": np.ones((2, 3, 4), np.float32)}
    part |= {"regression_labels": [0.5, -1.0]} | change
    path.write_bytes(pickle.dumps({"train": part}, protocol=4))
    return path


def read(path, memory_gb=2.0):
    with read_mmsa(path, SENTIMENT_TASKS, "sentiment", memory_gb) as corpus:
        return corpus


def test_the_temporary_files_of_a_pickle_are_limited_together(tmp_path):
    shared = np.zeros((1000, 100, 50), np.float32)
    parts = {f"split {n}": {"id": ["x"], "audio": shared, "vision": shared} for n in range(100)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(parts, protocol=4))
    assert (tmp_path / "a.pkl").stat().st_size < 30_000_000
    with pytest.raises(CorpusError, match="of temporary files or more") as error:
        read(tmp_path / "a.pkl", memory_gb=0.4)
    assert "--memory 1" in error.value.hint


@pytest.mark.parametrize(
    "texts",
    [
        [None, 5],
        [float("nan"), 5],
        np.array([None, 5], object),
        np.array([np.nan, np.int64(5)], object),
        (np.float32("nan"), np.str_("5")),
        [b"", "5"],
        ["", "\x005\x00"],
    ],
    ids=["none", "nan", "array-none", "array-nan", "numpy-scalars", "bytes", "nul"],
)
def test_a_missing_text_is_empty_and_a_number_is_read_as_text(tmp_path, texts):
    found = read(feature_file(tmp_path / "a.pkl", raw_text=texts))
    assert [one.text for one in found.utterances] == ["", "5"]


@pytest.mark.parametrize("wrong", [None, "v\0$_$1"])
def test_an_id_that_is_none_is_refused(tmp_path, wrong):
    with pytest.raises(CorpusError, match="was not read"):
        read(feature_file(tmp_path / "a.pkl", id=[wrong, "v$_$2"]))


# -- labels, raters and text ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1.0000000000000002", "1"),
        ("1.0000001", "1"),
        ("1.0000001192092896", "1"),
        ("-1.0000002", "-1"),
        (str(np.nextafter(np.float32(1), np.float32(2))), "1"),
        ("0.9999999999999999", "0.9999999999999999"),
    ],
)
def test_a_label_beyond_the_scale_by_a_rounding_error_is_its_end(cell, expected):
    assert parse_answer(cell, Task(SENTIMENT, Modality.MULTIMODAL), "row 1", {}) == expected


def test_the_rounding_error_grows_with_the_scale():
    percent = regression("percent", 0.0, 100.0)
    task = Task(percent, Modality.MULTIMODAL)
    assert parse_answer(str(np.nextafter(np.float32(100), np.float32(200))), task, "row 1", {}) == "100"
    assert parse_answer("-5.9604645e-08", task, "row 1", {}) == "0"


@pytest.mark.parametrize("cell", ["1.0001", "1.01", "-1.00002", "1.1", "7"])
def test_a_label_that_is_really_beyond_the_scale_is_refused(cell):
    with pytest.raises(CorpusError, match="goes from -1 to 1"):
        parse_answer(cell, Task(SENTIMENT, Modality.MULTIMODAL), "row 1", {})


def table(path, content, **names):
    path.write_text(content, encoding="utf-8")
    return read_table(TableSource(path, [], TableMap(**names)), SENTIMENT_TASKS)


@pytest.mark.parametrize("column", ["id", "text", "speaker"])
def test_a_character_that_no_database_stores_is_named_by_row_and_column(tmp_path, column):
    cells = {"id": "a", "text": "words", "speaker": "s"} | {column: "h\0i"}
    content = "id,text,speaker\nx,y,z\n" + ",".join(cells.values()) + "\n"
    with pytest.raises(CorpusError, match=rf"row 2: {column} is 'h\\x00i', with a character U\+0000"):
        table(tmp_path / "a.csv", content, id="id", text="text", speaker="speaker")


def test_a_rater_whose_name_no_index_takes_is_refused_and_a_long_one_is_not(tmp_path):
    names = {"id": "id", "rater": "who", "label": {"sentiment.M": "y"}}
    longest = "é" * (LONGEST_RATER // 2)
    found = table(tmp_path / "a.csv", f"id,who,y\na,{longest},1\n", **names)
    assert [vote.rater for vote in found.votes] == [longest]
    with pytest.raises(CorpusError, match="row 1: who has 3000 characters, beginning with 'xxxx") as error:
        table(tmp_path / "a.csv", f"id,who,y\na,{'x' * 3000},1\n", **names)
    assert "500 bytes" in error.value.hint


def test_settings_cannot_hold_it_either(project):
    path = project.root / "annotate.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('name = "corpus"', r'name = "cor\u0000pus"', 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"U\+0000"):
        type(project).open(project.root)


def test_a_path_that_no_index_takes_is_kept_shorter_and_stays_unlike_others():
    one, other = ("/" + "ä" * 2000 + end for end in ("a.mp4", "b.mp4"))
    assert path_key("/a/b.mp4") == "/a/b.mp4"
    assert path_key(one) != path_key(other)
    assert path_key(one)[:900] == one[:900]
    assert all(len(path_key(path).encode()) <= LONGEST_PATH for path in (one, other))
