"""Each format exactly, read back with the readers that the field uses."""

import csv
import dataclasses
import json
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from annotate.errors import ExportError
from annotate.types import Dataset, Dimension, Modality, Split, Task
from exporters.chsims_csv import ChSimsCsv
from exporters.jsonl import JsonLines
from exporters.mmsa import Mmsa
from tests.support.datasets import EMOTION, SENTIMENT, TASKS, make_dataset, make_features
from tests.support.dimensions import THEMES


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "media")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("value", [math.nan, 1.0, "sport", "work|work", "work|sport"])
def test_what_is_no_set_of_answers_is_refused_where_several_may_be_true(
    value: float | str, tmp_path: Path, out: Path
) -> None:
    task = Task(THEMES, Modality.TEXT)
    dataset = make_dataset(tmp_path / "media", tasks=(task,))
    row = dataset.rows[0]
    bad = {task.id: dataclasses.replace(row.labels[task.id], value=value)}
    rows = [dataclasses.replace(row, labels=bad), *dataset.rows[1:]]
    with pytest.raises(ExportError, match=r"themes\.T") as caught:
        JsonLines().write(dataclasses.replace(dataset, rows=rows), out)
    assert caught.value.hint


def test_several_answers_are_a_list_and_none_an_empty_one(tmp_path: Path, out: Path) -> None:
    tasks = (Task(EMOTION, Modality.TEXT), Task(THEMES, Modality.TEXT))
    JsonLines().write(make_dataset(tmp_path / "media", tasks=tasks), out)
    lines = [json.loads(line) for line in (out / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    said = [line["labels"]["themes.T"] for line in lines]
    assert [label["value"] for label in said] == [
        [],
        ["work"],
        ["work", "family"],
        ["work", "family", "money"],
    ]
    assert said[1]["distribution"] == {"family": 0.2, "money": 0.2, "work": 0.6}
    assert lines[0]["labels"]["emotion.T"]["value"] == "happy"
    assert "at least half of the raters ticked" in (out / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("exporter", [Mmsa, ChSimsCsv])
def test_a_format_of_one_scale_says_which_labels_it_leaves_aside(
    exporter: type, tmp_path: Path, out: Path
) -> None:
    tasks = (*TASKS, Task(THEMES, Modality.MULTIMODAL))
    exporter().write(make_dataset(tmp_path / "media", tasks=tasks), out)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "labels of `themes` are in no file" in card and "export jsonl" in card


@pytest.mark.parametrize("exporter", [Mmsa, ChSimsCsv])
@pytest.mark.parametrize("dimension", [EMOTION, THEMES])
def test_a_project_without_a_scale_is_sent_to_jsonl(
    exporter: type, dimension: Dimension, tmp_path: Path, out: Path
) -> None:
    tasks = tuple(Task(dimension, m) for m in Modality)
    with pytest.raises(ExportError) as caught:
        exporter().write(make_dataset(tmp_path / "media", tasks=tasks), out)
    assert "jsonl" in caught.value.hint
    assert JsonLines().write(make_dataset(tmp_path / "media", tasks=tasks), out)


def test_mmsa_names_the_split_that_is_empty_and_the_way_out(tmp_path: Path, out: Path) -> None:
    with pytest.raises(ExportError, match="valid") as caught:
        Mmsa().write(make_dataset(tmp_path / "media", {Split.TRAIN: 2, Split.TEST: 1}), out)
    assert "next-batch" in caught.value.hint


def test_mmsa_refuses_features_that_hold_nan(dataset: Dataset, out: Path) -> None:
    bad = {**dataset.features, Modality.AUDIO: lambda _: np.full((2, 3), np.nan, np.float32)}
    with pytest.raises(ExportError, match="audio"):
        Mmsa().write(dataclasses.replace(dataset, features=bad), out)


def test_the_mmsa_pickle_holds_exactly_what_the_format_asks(dataset: Dataset, out: Path) -> None:
    path = Mmsa().write(dataset, out)[0]
    data = pickle.loads(path.read_bytes())
    assert list(data) == ["train", "valid", "test"]
    train = data["train"]
    rows = [row for row in dataset.rows if row.split is Split.TRAIN]
    assert train["id"] == [f"train_video$_${i:04d}" for i in range(1, 5)]
    assert train["raw_text"] == [row.text for row in rows]
    assert train["annotations"] == ["Negative", "Negative", "Neutral", "Positive"]
    assert train["classification_labels"].tolist() == [0, 0, 1, 2]
    np.testing.assert_array_equal(train["regression_labels"], np.float32([-1, -0.2, 0, 0.6]))
    for key in "TAV":
        assert isinstance(train[f"regression_labels_{key}"], np.ndarray)
        np.testing.assert_array_equal(train[f"regression_labels_{key}"], np.zeros(4, np.float32))


def test_mmsa_features_are_padded_with_zeros_to_one_length_for_all_splits(
    dataset: Dataset, out: Path
) -> None:
    data = pickle.loads(Mmsa().write(dataset, out)[0].read_bytes())
    for word, modality in (("text", Modality.TEXT), ("audio", Modality.AUDIO), ("vision", Modality.VISION)):
        original = {row.sample_id: make_features(modality)(row.sample_id) for row in dataset.rows}
        longest = max(map(len, original.values()))
        for split in Split:
            part = data[split.value]
            rows = [row for row in dataset.rows if row.split is split]
            assert part[word].dtype == np.float32
            assert part[word].shape[:2] == (len(rows), longest)
            assert part[f"{word}_lengths"] == [len(original[row.sample_id]) for row in rows]
            for i, row in enumerate(rows):
                frames = original[row.sample_id]
                np.testing.assert_array_equal(part[word][i, : len(frames)], frames)
                assert not part[word][i, len(frames) :].any()


def test_a_loaded_mmsa_array_can_be_written_to(dataset: Dataset, out: Path) -> None:
    data = pickle.loads(Mmsa().write(dataset, out)[0].read_bytes())
    data["train"]["audio"][0, 0, 0] = 9
    assert data["train"]["audio"][0, 0, 0] == 9


def test_unimodal_labels_that_are_not_complete_are_not_in_the_pickle(tmp_path: Path, out: Path) -> None:
    dataset = make_dataset(tmp_path / "media")
    only_m = dataclasses.replace(dataset, tasks=(Task(SENTIMENT, Modality.MULTIMODAL),))
    data = pickle.loads(Mmsa().write(only_m, out)[0].read_bytes())
    assert not [key for key in data["train"] if key.startswith("regression_labels_")]


def test_label_csv_has_the_columns_of_ch_sims_and_keeps_ids_as_text(dataset: Dataset, out: Path) -> None:
    ChSimsCsv().write(dataset, out)
    # The dtypes that MMSA-FET reads it with.
    table = pd.read_csv(out / "label.csv", dtype={"clip_id": str, "video_id": str, "text": str})
    expected = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode"
    assert ",".join(table.columns) == expected
    train = table[table["mode"] == "train"]
    assert train["clip_id"].tolist() == ["0001", "0002", "0003", "0004"]
    assert train["label"].tolist() == [-1.0, -0.2, 0.0, 0.6]
    assert train["annotation"].tolist() == ["Negative", "Negative", "Neutral", "Positive"]
    assert table["text"].tolist() == [row.text for row in dataset.rows]
    assert not table.isna().any().any()


@pytest.mark.parametrize("text", ["=1+1", "+49", "-x", "@a", 'a "b", c\nd', "None", "", "\ttab", "😀"])
def test_the_text_arrives_exactly(text: str, dataset: Dataset, out: Path) -> None:
    rows = [dataclasses.replace(dataset.rows[0], text=text)]
    ChSimsCsv().write(dataclasses.replace(dataset, rows=rows), out)
    with (out / "label.csv").open(encoding="utf-8", newline="") as file:
        assert next(iter(csv.DictReader(file)))["text"] == text
    JsonLines().write(dataclasses.replace(dataset, rows=rows), out)
    lines = b"".join((out / f"{split.value}.jsonl").read_bytes() for split in Split)
    assert json.loads(lines)["text"] == text


def test_clips_lie_where_the_field_looks_and_cost_no_room(dataset: Dataset, out: Path) -> None:
    ChSimsCsv().write(dataset, out)
    for row in dataset.rows:
        clip = out / "Raw" / row.video_id / f"{row.clip_id}.mp4"
        assert clip.samefile(row.media.clip)
        assert not clip.is_symlink()


def test_clips_are_copied_where_links_cannot_be_made(
    dataset: Dataset, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    ChSimsCsv().write(dataset, out)
    row = dataset.rows[0]
    clip = out / "Raw" / row.video_id / f"{row.clip_id}.mp4"
    assert clip.read_bytes() == row.media.clip.read_bytes()
    assert not clip.samefile(row.media.clip)


def test_a_clip_that_is_gone_is_an_error_with_a_way_out(dataset: Dataset, out: Path) -> None:
    dataset.rows[2].media.clip.unlink()
    with pytest.raises(ExportError, match=dataset.rows[2].sample_id) as caught:
        ChSimsCsv().write(dataset, out)
    assert "ingest" in caught.value.hint


def test_a_line_of_json_tells_everything_about_a_sample(dataset: Dataset, out: Path) -> None:
    JsonLines().write(dataset, out)
    lines = (out / "valid.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    first = json.loads(lines[0])
    sample = first["id"]
    assert first == {
        "id": sample,
        "video_id": "valid_video",
        "clip_id": "0001",
        "split": "valid",
        "speaker": "speaker of valid",
        "speaker_guessed": False,
        "text": '你好, "0"',
        "judged_text": {},
        "start_us": 0,
        "end_us": 1_500_000,
        "labels": {
            task.id: {
                "value": -1.0 if task.modality is Modality.MULTIMODAL else 0.0,
                "distribution": {"-1": 0.4, "1": 0.6},
                "raters": 5,
            }
            for task in TASKS
        },
        "media": {
            "clip": f"M/{sample[:2]}/{sample}.mp4",
            "audio": f"A/{sample[:2]}/{sample}.wav",
            "silent": f"V/{sample[:2]}/{sample}.mp4",
        },
    }
