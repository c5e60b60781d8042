"""Tables, feature arrays and pickles of others: what is read of them, and what is refused."""

import builtins
import os
import pickle
import re
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from annotate.errors import CorpusError, UsageError
from annotate.importing import columns as columns_module
from annotate.importing.answers import dimension_block, parse_answer
from annotate.importing.columns import LONGEST_CELL, read_columns
from annotate.importing.mapping import TableMap, read_map
from annotate.importing.mmsa import read_mmsa
from annotate.importing.table import TableSource, read_table
from annotate.types import Modality, Split, Task
from tests.support.dimensions import SENTIMENT, classification, multilabel

EMOTION = classification("emotion", "anger", "happy", "sad")
SEVERAL = multilabel("several", "anger", "happy", "sad")
TASKS = tuple(Task(d, m) for m in Modality for d in (SENTIMENT, EMOTION, SEVERAL))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def table(path: Path, *, features=(), **names):
    return read_table(TableSource(path, features, read_map(None, names)), TASKS)


# -- columns --------------------------------------------------------------------------------------


def test_ids_stay_text_whatever_they_look_like(tmp_path):
    path = write(tmp_path / "a.csv", "id,x\n0001,1\n1e5,2\nTrue,3\nNA,4\n12,5\n")
    assert read_columns(path, ["id"])["id"] == ["0001", "1e5", "True", "NA", "12"]


def test_a_missing_column_names_its_nearest(tmp_path):
    path = write(tmp_path / "a.csv", "id,Speaker,label\n1,a,0\n")
    with pytest.raises(CorpusError, match="no column 'speaker'") as error:
        read_columns(path, ["speaker"])
    assert "'Speaker'" in error.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,x\n", "no rows"),
        ("", "no column"),
        ("id,x\n1,2,3\n", "row 1 has 3 cells"),
        ("id,x\n1,2\n1\n", "row 2 has 1 cells"),
        ('id,x\n1,"never closed\n2,3\n', "not valid CSV"),
        (f"id,x\n1,{'w' * (LONGEST_CELL + 1)}\n", "characters"),
        (f"id,x\n1,{'w' * 10 * LONGEST_CELL}\n", "not valid CSV after row 0"),
        ("id,id\n1,2\n", "two columns"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, content, message):
    with pytest.raises(CorpusError, match=message) as error:
        read_columns(write(tmp_path / "a.csv", content), ["id", "x"] if "x" in content else ["id"])
    assert error.value.hint


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,x\n1,\xff\xfe\n")
    with pytest.raises(CorpusError, match="not UTF-8"):
        read_columns(path, ["x"])


def test_a_cell_may_be_as_long_as_a_book_has_pages(tmp_path):
    path = write(tmp_path / "a.csv", f'\ufeffid;x\n1;"{"w, " * 30_000}"\n')
    assert len(read_columns(path, ["x"])["x"][0]) == 90_000


@pytest.mark.parametrize("name", ["gone.csv", "notes.docx"])
def test_what_is_no_table_is_a_matter_of_usage(tmp_path, name):
    if name == "notes.docx":
        write(tmp_path / name, "x")
    with pytest.raises(UsageError):
        table(tmp_path / name)


def test_parquet_is_read_as_the_same_text(tmp_path):
    frame = pd.DataFrame({"id": ["0001", "2"], "n": [1, 2], "x": [0.2, np.nan], "s": ["a", None]})
    frame.to_parquet(tmp_path / "a.parquet")
    found = read_columns(tmp_path / "a.parquet", ["id", "n", "x", "s"])
    assert found == {"id": ["0001", "2"], "n": ["1", "2"], "x": ["0.2", ""], "s": ["a", ""]}


def test_without_pyarrow_parquet_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(columns_module, "find_spec", lambda name: None)
    with pytest.raises(CorpusError, match="pyarrow") as error:
        read_columns(write(tmp_path / "a.parquet", ""), ["id"])
    assert ".[parquet]" in error.value.hint


def test_a_parquet_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="not a Parquet file"):
        read_columns(write(tmp_path / "a.parquet", "no"), ["id"])


def test_arrays_of_an_npz_are_columns(tmp_path):
    np.savez(
        tmp_path / "a.npz", split=np.array(["train", "test"]), y=np.float32([[0.2, 1], [0.5, np.nan]]),
        audio=np.zeros((2, 3, 4)),
    )  # fmt: skip
    found = read_columns(tmp_path / "a.npz", ["split", "y.0", "y.1"])
    assert found == {"split": ["train", "test"], "y.0": ["0.2", "0.5"], "y.1": ["1.0", ""]}


# -- cells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dimension", "cell", "expected"),
    [
        (SENTIMENT, "1.0", "1"), (SENTIMENT, "-1", "-1"), (SENTIMENT, "-0.0", "0"),
        (SENTIMENT, "0.25", "0.25"), (SENTIMENT, "nan", None), (SENTIMENT, "", None),
        (SENTIMENT, "0.30000001", "0.30000001"),
        (EMOTION, "sad", "sad"), (EMOTION, "A", "anger"), (EMOTION, "NA", None),
        (SEVERAL, "sad|A", "anger|sad"), (SEVERAL, "none", ""), (SEVERAL, "", None),
    ],
)  # fmt: skip
def test_a_cell_becomes_an_answer(dimension, cell, expected):
    assert parse_answer(cell, Task(dimension, Modality.TEXT), "row 1", {"A": "anger"}) == expected


@pytest.mark.parametrize(
    ("dimension", "cell", "message"),
    [
        (SENTIMENT, "1.5", "goes from -1 to 1"), (SENTIMENT, "inf", "goes from"),
        (SENTIMENT, "good", "a number"),
        (EMOTION, "joy", "not an answer of emotion"), (SEVERAL, "sad|joy", "not an answer of several"),
    ],
)  # fmt: skip
def test_a_cell_that_is_no_answer_names_its_row_and_the_way_out(dimension, cell, message):
    with pytest.raises(CorpusError, match=f"row 7: .*{message}") as error:
        parse_answer(cell, Task(dimension, Modality.TEXT), "row 7", {})
    assert "annotate.toml" in error.value.hint or "column" in error.value.hint


@pytest.mark.parametrize(
    ("cells", "suggested"),
    [
        (["0.5", "7"], ["0.5", "7.0"]), (["7"], ["7.0", "8.0"]),
        (["7", "inf", "NAN", " nan"], ["7.0", "8.0"]),
        ([str(n / 10) for n in range(30)], ["0.0", "1.0", "2.0", "3.0"]),
        # A column of times or numbers of samples, named by mistake: not a billion answers.
        ([str(n * 10**8) for n in range(30)], ["0.0", "2900000000.0"]),
    ],
)  # fmt: skip
def test_the_scale_that_is_suggested_has_few_finite_answers(cells, suggested):
    block = dimension_block("valence", cells)
    assert re.findall("value = ([^,]+),", block) == suggested


def test_a_scale_is_never_suggested_for_infinity():
    task = Task(SENTIMENT, Modality.TEXT)
    with pytest.raises(CorpusError, match="is inf") as error:
        parse_answer("1e309", task, "row 7", {}, ["0", "1e309"])
    assert "[[dimensions]]" not in error.value.hint


@pytest.mark.parametrize(
    ("label", "message", "hint"),
    [
        ("valence.T=y", "no dimension of this project", 'name = "valence"\nkind = "classification"'),
        ("sentiment.X=y", "is not a task", "sentiment.M"),
        ("sentimental.T=y", "no dimension", "did you mean sentiment.T"),
    ],
)
def test_an_unknown_task_says_what_to_write(tmp_path, label, message, hint):
    path = write(tmp_path / "a.csv", "id,y\n1,anger\n")
    with pytest.raises(CorpusError, match=message) as error:
        table(path, id="id", label=[label])
    assert hint in error.value.hint


# -- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "names", "message"),
    [
        ("id,y\na,1\na,0\n", {"id": "id"}, "row 2: the id 'a' is in row 1"),
        ("id,y\n,1\n", {"id": "id"}, "row 1: id is empty"),
        ("id,s\na,train\nb,tset\n", {"id": "id", "split": "s"}, "row 2: 'tset' is not a split"),
        ("id,b,e\na,1,2\nb,x,3\n", {"id": "id", "start": "b", "end": "e"}, "row 2: b is 'x'"),
        ("id,b,e\na,1,2\nb,3,2.5\n", {"id": "id", "start": "b", "end": "e"}, "row 2: e is before b"),
        ("id,r\na,w1\na,w1\n", {"id": "id", "rater": "r"}, "answered by 'w1' in row 1"),
        ("id,r,t\na,w1,x\na,w2,y\n", {"id": "id", "rater": "r", "text": "t"}, "t of 'a' is 'y'"),
        ("id,m\na,sound\n", {"id": "id", "modality": "m"}, "which is not a modality"),
        ("id,n\na,-1\n", {"id": "id", "count": ["emotion.M:sad=n"]}, "not a number of votes"),
    ],
)
def test_rows_that_cannot_be_are_named(tmp_path, content, names, message):
    with pytest.raises(CorpusError, match=message) as error:
        table(write(tmp_path / "a.csv", content), **names)
    assert error.value.hint


def test_votes_counts_and_raters_are_single_answers(tmp_path):
    by_rater = write(tmp_path / "r.csv", "id,who,y\na,w1,sad\na,w2,happy\nb,w1,sad\n")
    found = table(by_rater, id="id", rater="who", label=["emotion.A=y"])
    assert [tuple(v) for v in found.votes] == [
        (0, "emotion.A", "w1", "sad"), (0, "emotion.A", "w2", "happy"), (1, "emotion.A", "w1", "sad"),
    ]  # fmt: skip
    assert [u.key for u in found.utterances] == ["a", "b"]
    nobody = table(by_rater, id="id", votes=True, label=["emotion.A=y"])
    assert [v.rater for v in nobody.votes] == ["1", "2", "1"]
    counts = write(tmp_path / "c.csv", "id,on,s,h\na,voice,2,1\na,face,0,1\n")
    counted = table(counts, id="id", modality="on", count=["emotion:sad=s", "emotion:happy=h"])
    assert [tuple(v) for v in counted.votes] == [
        (0, "emotion.A", "1", "sad"), (0, "emotion.A", "2", "sad"), (0, "emotion.A", "3", "happy"),
        (0, "emotion.V", "1", "happy"),
    ]  # fmt: skip


def test_counted_votes_are_numbered_on_through_the_rows_of_a_sample(tmp_path):
    path = write(tmp_path / "c.csv", "id,a,s,y\nq1,2,0,happy\nq2,1,0,\nq1,0,2,\nq1,1,0,anger\n")
    counts = ["emotion.M:anger=a", "emotion.M:sad=s"]
    found = table(path, id="id", votes=True, count=counts)
    said = [(v.rater, v.value) for v in found.votes if v.position == 0]
    assert said == [("1", "anger"), ("2", "anger"), ("3", "sad"), ("4", "sad"), ("5", "anger")]
    beside = table(path, id="id", votes=True, count=counts, label=["emotion.M=y", "emotion.T=y"])
    voices = [(v.position, v.task_id, v.rater) for v in beside.votes]
    assert len(voices) == len(set(voices)) == 10
    assert Counter(v.value for v in beside.votes if v.position == 0 and v.task_id == "emotion.M") == {
        "anger": 4, "sad": 2, "happy": 1,
    }  # fmt: skip


def test_a_count_beside_a_rater_is_a_matter_of_usage(tmp_path):
    path = write(tmp_path / "c.csv", "id,who,a\nq1,ann,2\n")
    with pytest.raises(UsageError, match="--rater means that a row is one answer, and --count") as error:
        table(path, id="id", rater="who", count=["emotion.M:anger=a"])
    assert error.value.hint


def test_the_answer_of_a_count_may_be_said_in_another_word(tmp_path):
    path = write(tmp_path / "c.csv", "id,k\nq1,2\n")
    with pytest.raises(CorpusError, match="'angry' is not an answer") as error:
        table(path, id="id", count=["emotion.M:angry=k"])
    assert '--value "emotion:angry=anger"' in error.value.hint
    found = table(path, id="id", count=["emotion.M:angry=k"], value=["emotion:angry=anger"])
    assert [v.value for v in found.votes] == ["anger", "anger"]
    nothing = table(path, id="id", count=["several.M:none=k"])
    assert [v.value for v in nothing.votes] == ["", ""]
    with pytest.raises(CorpusError, match="'NA' is not an answer of emotion"):
        table(path, id="id", count=["emotion.M:NA=k"])


@pytest.mark.parametrize(
    "said", [{"value": ["emotoin:happy=sad"]}, {"map": '[value.emotoin]\nhappy = "sad"\n'}]
)
def test_a_word_of_a_dimension_that_is_not_there_is_a_matter_of_usage(tmp_path, said):
    path = write(tmp_path / "a.csv", "id,y\nq1,happy\n")
    mapping = write(tmp_path / "map.toml", said["map"]) if "map" in said else None
    names = read_map(mapping, {"id": "id", "label": ["emotion.M=y"], "value": said.get("value", ())})
    with pytest.raises(UsageError, match="no dimension of this project is called 'emotoin'") as error:
        read_table(TableSource(path, (), names), TASKS)
    assert "did you mean emotion" in error.value.hint


def test_rows_without_times_keep_their_order_in_their_video(tmp_path):
    path = write(tmp_path / "a.csv", "id,v,b,e\nx,one,1.5,2\ny,one,3,4\nz,two,0,1\n")
    bare = table(path, id="id", video="v").utterances
    assert [(u.video, u.start_us, u.end_us) for u in bare] == [("one", 0, 0), ("one", 1, 1), ("two", 0, 0)]
    timed = table(path, id="id", video="v", start="b", end="e").utterances
    assert (timed[0].start_us, timed[0].end_us) == (1_500_000, 2_000_000)


def test_the_words_of_others_for_splits_are_known(tmp_path):
    path = write(tmp_path / "a.csv", "id,s\n1,Train\n2,dev\n3,val\n4,testing\n5,\n")
    found = [u.split for u in table(path, id="id", split="s").utterances]
    assert found == [Split.TRAIN, Split.VALID, Split.VALID, Split.TEST, None]


# -- arrays ---------------------------------------------------------------------------------------


def frames(tmp_path, rows=2, **arrays):
    path = write(tmp_path / "a.csv", "id\n" + "".join(f"s{i}\n" for i in range(rows)))
    np.savez(tmp_path / "f.npz", **{k: v for k, v in arrays.items() if isinstance(v, np.ndarray)})
    names = {k: v for k, v in arrays.items() if not isinstance(v, np.ndarray)}
    return table(path, features=[tmp_path / "f.npz"], id="id", **names).features


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"audio": np.zeros((3, 4))}, "has 3 rows, and the table 2"),
        ({"audio": np.array([["a", 1], ["b", None]], dtype=object)}, "holds objects"),
        ({"audio": np.array([["a"], ["b"]])}, "is <U1 of shape"),
        ({"audio": np.zeros(2)}, "of shape"),
        ({"audio": np.array(3.0)}, r"'audio' has shape \(\), and the table 2 samples"),
        ({"audio": np.zeros((2, 4)), "n": np.array(3), "length": ["audio=n"]}, r"'n' has shape \(\)"),
        ({"audio": np.zeros((2, 4)), "ids": np.array(3), "feature_id": "ids"}, r"'ids' has shape \(\)"),
        ({"audio": np.zeros((2, 4)), "ids": np.array([["a"]]), "feature_id": "ids"}, r"shape \(1, 1\)"),
        ({"mfcc": np.zeros((2, 4))}, "no array is called text, audio or vision"),
        ({"mfcc": np.zeros((2, 4)), "feature": ["audio=mfc"]}, "no array 'mfc'"),
        ({"audio": np.zeros((2, 4)), "ids": np.array(["x", "y"]), "feature_id": "ids"}, "no id of the array"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, message):
    with pytest.raises(CorpusError, match=message) as error:
        frames(tmp_path, **arrays)
    assert error.value.hint


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e300])
def test_a_number_that_is_none_names_its_row(tmp_path, wrong):
    audio = np.zeros((2, 3, 4))
    audio[1, 2, 0] = wrong
    found = frames(tmp_path, audio=audio)[Modality.AUDIO]
    assert found.of(0).shape == (3, 4)
    with pytest.raises(CorpusError, match="row 1 of the array 'audio'"):
        found.of(1)


def test_rows_are_found_by_id_and_padding_is_cut(tmp_path):
    audio = np.zeros((2, 4, 1), np.float32)
    audio[:, 1, 0] = [5, 7]
    by_id = {"ids": np.array(["s1", "other"]), "feature_id": "ids"}
    found = frames(tmp_path, audio=audio, cut_padding=True, **by_id)[Modality.AUDIO]
    assert found.of(0) is None
    assert found.of(1).tolist() == [[5.0]]
    cut = frames(tmp_path, audio=audio, n=np.array([2, 0]), length=["audio=n"])[Modality.AUDIO]
    assert cut.of(0).tolist() == [[0.0], [5.0]]
    assert cut.of(1).tolist() == [[0.0]]


def test_ids_of_bytes_are_text(tmp_path):
    audio, ids = np.array([[1.0], [2.0]]), np.array(["s1", "s0"]).astype("S")
    found = frames(tmp_path, audio=audio, ids=ids, feature_id="ids")[Modality.AUDIO]
    assert [found.of(i).tolist() for i in range(2)] == [[[2.0]], [[1.0]]]
    np.savez(tmp_path / "t.npz", ids=ids)
    assert read_columns(tmp_path / "t.npz", ["ids"])["ids"] == ["s1", "s0"]


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    for name, content in (("a.npz", b"no"), ("b.npz", b"PK\x03\x04"), ("c.npz", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CorpusError) as error:
            table(write(tmp_path / "a.csv", "id\n1\n"), features=[tmp_path / name], id="id")
        assert "allow_pickle" not in str(error.value)


def test_text_that_nothing_can_store_names_its_row_and_column(tmp_path):
    np.savez(tmp_path / "t.npz", ids=np.array(["fine", "a\ud800b"]))
    with pytest.raises(CorpusError, match=r"row 2: ids is 'a\\ud800b', which is not valid text") as error:
        read_columns(tmp_path / "t.npz", ["ids"])
    assert error.value.hint


def test_ids_of_features_are_told_without_blanks_as_those_of_the_table(tmp_path):
    write(tmp_path / "a.csv", "id\n s1 \ns0\n")
    audio, ids = np.array([[1.0], [2.0]]), np.array([" s0", "s1 "])
    np.savez(tmp_path / "f.npz", audio=audio, ids=ids)
    found = table(tmp_path / "a.csv", features=[tmp_path / "f.npz"], id="id", feature_id="ids").features
    assert [found[Modality.AUDIO].of(i).tolist() for i in range(2)] == [[[2.0]], [[1.0]]]


def test_an_array_that_is_left_aside_for_others_that_are_named_is_told(tmp_path):
    path = write(tmp_path / "a.csv", "id\ns0\ns1\n")
    np.savez(tmp_path / "f.npz", mfcc=np.ones((2, 3)), vision=np.ones((2, 4)), other=np.ones(2))
    files = [tmp_path / "f.npz"]
    named = table(path, features=files, id="id", feature=["audio=mfcc"])
    assert set(named.features) == {Modality.AUDIO}
    assert named.notes == ("the array 'vision' was not read; say --feature vision=vision to read it too",)
    assert table(path, features=files, id="id", feature=["audio=mfcc", "vision=vision"]).notes == ()
    # As something else than it is called.
    assert table(path, features=files, id="id", feature=["audio=vision"]).notes == ()
    assert table(path, features=files, id="id").notes == ()


def test_a_length_without_an_array_that_it_is_of_is_a_matter_of_usage(tmp_path):
    ones = {"mfcc": np.ones((2, 3, 4)), "n": np.array([1, 2])}
    with pytest.raises(UsageError, match="--length names vision, but no array of it is read") as error:
        frames(tmp_path, **ones, feature=["audio=mfcc"], length=["vision=n"])
    assert "--feature vision=ARRAY" in error.value.hint


# -- maps -----------------------------------------------------------------------------------------


def test_a_file_says_what_flags_do_and_flags_win(tmp_path):
    path = write(
        tmp_path / "map.toml",
        'id = "name"\nvotes = true\n[label]\n"emotion.M" = "e"\n[value.emotion]\nA = "anger"\n'
        '[count."emotion.T"]\nsad = "S"\n',
    )
    found = read_map(path, {"id": "key", "label": ["emotion.M=other"], "value": ["emotion:H=happy"]})
    assert found == TableMap(
        id="key", votes=True, label={"emotion.M": "other"}, value={"emotion": {"A": "anger", "H": "happy"}},
        count={"emotion.T": {"sad": "S"}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('speakr = "x"', "unknown key 'speakr'"), ("id = 3", "id has to be a name"),
        ('label = "x"', "has to be a table"),
        ("votes = 1", "true or false"), ('[value]\nA = "b"', "has to be a table"), ("x", "cannot be read"),
        ('[feature]\nsmell = "x"', "names 'smell'"),
    ],
)  # fmt: skip
def test_a_map_that_cannot_be_is_a_matter_of_usage(tmp_path, content, message):
    with pytest.raises(UsageError, match=message):
        read_map(write(tmp_path / "map.toml", content), {})


@pytest.mark.parametrize(
    "flags",
    [
        {"label": ["sentiment.M=a", "sentiment.M=b"]},
        {"label": ["sentiment.M"]},
        {"value": ["A=anger"]},
        {"count": ["emotion=A"]},
        {"feature": ["sound=x"]},
    ],
)
def test_a_flag_that_cannot_be_read_is_a_matter_of_usage(flags):
    with pytest.raises(UsageError):
        read_map(None, flags)


# -- pickles --------------------------------------------------------------------------------------


def content(dtype="<f4"):
    def part(n, first):
        audio = np.zeros((n, 3, 2), dtype)
        audio[:, 0] = 1
        audio[0, 0, 0] = -np.inf
        return {
            "id": [f"v{first}$_${i + 1:04d}" for i in range(n)], "raw_text": np.array(["hé", "你好"][:n]),
            "audio": audio, "audio_lengths": [1] * n, "regression_labels": np.array([0.2, np.nan][:n], "<f4"),
            "regression_labels_T": np.array([-1, 1][:n], "<f4"), "annotations": ["Neutral"] * n,
        }  # fmt: skip

    return {"train": part(2, 0), "valid": part(1, 1), "test": part(1, 2), "config": {"x": 1}}


def read(path, **options):
    with read_mmsa(path, TASKS, "sentiment", options.get("memory_gb", 2.0)) as corpus:
        audio = corpus.features[Modality.AUDIO]
        return corpus, [audio.of(i) for i in range(len(corpus.utterances))]


def dump(path, thing, protocol=4):
    path.write_bytes(pickle.dumps(thing, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_feature_pickle_of_any_age_is_read(tmp_path, protocol):
    corpus, audio = read(dump(tmp_path / "a.pkl", content(), protocol))
    assert [(u.video, u.split, u.text, u.start_us) for u in corpus.utterances] == [
        ("v0", Split.TRAIN, "hé", 1), ("v0", Split.TRAIN, "你好", 2), ("v1", Split.VALID, "hé", 1),
        ("v2", Split.TEST, "hé", 1),
    ]  # fmt: skip
    said = {(v.position, v.task_id): v.value for v in corpus.votes}
    assert said == {
        (0, "sentiment.M"): "0.2", (2, "sentiment.M"): "0.2", (3, "sentiment.M"): "0.2",
        (0, "sentiment.T"): "-1", (1, "sentiment.T"): "1", (2, "sentiment.T"): "-1", (3, "sentiment.T"): "-1",
    }  # fmt: skip
    assert audio[0].tolist() == [[0.0, 1.0]] and audio[1].tolist() == [[1.0, 1.0]]
    assert "config" in " ".join(corpus.notes)


def test_keys_of_bytes_old_module_names_and_fortran_order_are_read(tmp_path):
    old = {key.encode(): value for key, value in content()["train"].items()}
    old[b"audio"] = np.asfortranarray(np.arange(12.0).reshape(2, 3, 2))
    data = pickle.dumps({b"train": old}, protocol=2).replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core.multiarray" in data
    (tmp_path / "a.pkl").write_bytes(data)
    _, audio = read(tmp_path / "a.pkl")
    assert audio[1].tolist() == [[6.0, 7.0]]


def test_text_of_python_2_is_read(tmp_path):
    # {'train': {'id': ['a$_$1'], 'audio': [[[0.5]]], ...}} as Python 2 wrote it, with `str` of bytes.
    def short(text):
        return b"U" + bytes([len(text)]) + text

    number = b"G" + struct.pack(">d", 0.5)
    inner = short(b"id") + b"](" + short(b"a$_$1") + b"e" + short(b"raw_text") + b"](" + short("é".encode())
    inner += b"e" + short(b"regression_labels") + b"](" + number + b"e" + short(b"audio") + b"](](]("
    inner += number + b"eee"
    data = b"\x80\x02}(" + short(b"train") + b"}(" + inner + b"uu."
    (tmp_path / "a.pkl").write_bytes(data)
    corpus, audio = read(tmp_path / "a.pkl")
    assert corpus.utterances[0].text == "é"
    assert corpus.votes[0].value == "0.5"
    assert audio[0].tolist() == [[0.5]]


class Evil:
    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


def _harm(marker):
    yield Evil(os.system, f"touch {marker}")
    yield Evil(eval, f"open({str(marker)!r}, 'w')")
    yield Evil(exec, f"open({str(marker)!r}, 'w')")
    yield Evil(builtins.open, str(marker), "w")
    yield Evil(getattr, Evil(__import__, "os"), "system")
    yield Evil(np.fromfile, "/etc/passwd")
    yield Evil(bytearray, 10**12)
    yield Evil(np.ndarray, (10**12,), "<f8", b"x")
    yield Evil(np.ndarray, (1,), "O", b"12345678")
    yield Evil(np.dtype, "V8")
    yield np.array([{"a": 1}, Evil(os.system, f"touch {marker}")], dtype=object)
    yield np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")])
    yield pd.Series([1, 2])
    yield Path("x")


@pytest.mark.parametrize("which", range(14))
def test_a_pickle_that_would_build_anything_else_is_refused_and_nothing_happens(tmp_path, which):
    marker = tmp_path / "harmed"
    evil = content()
    evil["train"]["audio"] = list(_harm(marker))[which]
    with pytest.raises(CorpusError, match="was not read") as error:
        read(dump(tmp_path / "a.pkl", evil))
    assert error.value.hint
    assert not marker.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
        b"\x80\x02cnumpy\ndtype\n}b.",
        b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__(tsN\x86b.",
        b"\x80\x02\x82\x01.",
        b"Pid\n.",
        b"\x80\x02Xxxxx",
        b"r\xff\xff\xff\x7f.",
        b"",
        b"not a pickle at all",
        b"\x80\x05N.",
        b"\x80\x05](K\x01K\x02e.",
    ],
)
def test_streams_that_are_no_feature_file_are_refused(tmp_path, data):
    path = tmp_path / "a.pkl"
    path.write_bytes(data)
    with pytest.raises(CorpusError):
        read(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_pickle_is_refused(tmp_path, share):
    path = dump(tmp_path / "a.pkl", content())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CorpusError, match="was not read"):
        read(path)


def test_a_pickle_larger_than_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.pkl"
    with path.open("wb") as file:
        file.truncate(2_000_000_000)
    with pytest.raises(CorpusError, match="too many") as error:
        read(path)
    assert "--memory 6" in error.value.hint


def test_a_small_pickle_that_wants_much_memory_is_stopped(tmp_path):
    # A memo index of two thousand million asks for a table of that size.
    data = b"\x80\x02](" + b"K\x01r\xff\xff\xff\x3f0" + b"e."
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(CorpusError, match="memory"):
        read(tmp_path / "a.pkl", memory_gb=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["train"].pop("id"), None),
        (lambda c: c["train"].update(id=["a"]), "1 ids, but"),
        (lambda c: c["valid"].update(id=c["test"]["id"]), "is there twice"),
        (lambda c: c["valid"].update(audio=np.zeros((1, 3, 5))), "different widths"),
        (lambda c: c["train"].update(regression_labels=[0.5, 7.0]), "goes from -1 to 1"),
        (lambda c: c["train"].update(audio="loud"), "where numbers belong"),
        (
            lambda c: c["train"].update(regression_labels=np.zeros((2, 2))),
            r"regression_labels of train has shape \(2, 2\), not one number per sample",
        ),
        (lambda c: c["train"].update(regression_labels_T=np.zeros((2, 1, 3))), r"shape \(2, 1, 3\)"),
        (lambda c: c["train"].update(raw_text=["a\ud800b", "c"]), r"'a\\ud800b' is not valid text"),
        (lambda c: c["test"].update(id=["v\udfff$_$1"]), r"'v\\udfff\$_\$1' is not valid text"),
        (lambda c: c["test"].update({"\ud800": 1}), "is not valid text"),
        (lambda c: [c.pop(k) for k in ("train", "valid", "test")], "no sample with an id"),
    ],
)
def test_content_that_does_not_fit_is_named(tmp_path, change, message):
    wrong = content()
    change(wrong)
    path = dump(tmp_path / "a.pkl", wrong)
    if message is None:
        assert len(read(path)[0].utterances) == 2
        return
    with pytest.raises(CorpusError, match=message):
        read(path)
