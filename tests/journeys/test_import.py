"""A corpus of others, from its table or its pickle to a trained model and an export, and back."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from annotate.corpus.features import read_features
from annotate.errors import AnnotateError, ConfigError, CorpusError, NothingToDo, UsageError
from annotate.project import Project
from annotate.steps import import_ as step
from annotate.steps.explain import explain
from annotate.steps.export import export
from annotate.steps.extract import extract
from annotate.steps.import_ import import_mmsa, import_table
from annotate.steps.next_batch import next_batch
from annotate.steps.status import status
from annotate.steps.train import train
from annotate.types import Modality, Split
from db import models
from db.engine import reading
from db.labels import read_labels
from tests.conftest import ROOT

SPEAKERS, EACH = 10, 6
LABELS = ["sentiment.M=y", "sentiment.T=t"]
NAMES = {"id": "id", "video": "video", "speaker": "who", "text": "words", "label": LABELS}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, value in {"HIDDEN": "8", "MEMBERS": "2", "EPOCHS": "40", "LEARNING_RATE": "0.01"}.items():
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)


def say(project, **features):
    """Name the extractors in annotate.toml, as a user would."""
    path = project.root / "annotate.toml"
    text = path.read_text(encoding="utf-8")
    for word, name in features.items():
        text = re.sub(rf'(?m)^{word} = "[\w-]+"', f'{word} = "{name}"', text, count=1)
    path.write_text(text, encoding="utf-8")
    return again(project)


def again(project):
    """The same project with its settings read again."""
    copy = Project.open(project.root)
    copy.__dict__["engine"] = project.engine
    return copy


@pytest.fixture
def ready(each_project):
    """A project whose audio and vision come with a corpus."""
    return say(each_project, audio="imported", vision="imported")


@pytest.fixture
def bare(project):
    """The same on SQLite only."""
    return say(project, audio="imported", vision="imported")


def corpus(folder, *, split="", change=lambda rows: rows):
    """A table and arrays whose numbers carry the labels; `split` says by speaker (k -> word)."""
    rng = np.random.default_rng(0)
    rows, audio = [], []
    for k in range(SPEAKERS):
        for i in range(EACH):
            y = float(rng.choice([-1.0, -0.4, 0.0, 0.6, 1.0]))
            where = {SPEAKERS - 1: "test", SPEAKERS - 2: "dev"}.get(k, "train") if split else ""
            rows.append(
                [f"{k:02d}{i}", f"v{k}", f"s{k}", f"words {k} {i}", where, f"{y:g}", "" if i == 0 else "1"]
            )
            audio.append(y * np.ones((3, 4)) + rng.normal(0, 0.1, (3, 4)))
    folder.mkdir(exist_ok=True)
    lines = [",".join(row) for row in change(rows)]
    (folder / "c.csv").write_text(
        "id,video,who,words,split,y,t\n" + "\n".join(lines) + "\n", encoding="utf-8"
    )
    np.savez(folder / "c.npz", audio=np.array(audio, np.float32), vision=np.ones((len(audio), 2)))
    return folder / "c.csv", [folder / "c.npz"]


def bring(project, table, features, **options):
    flags = {**NAMES, **options.pop("flags", {})}
    return import_table(project, table, features=features, flags=flags, **options)


def dump(project):
    """Everything an import writes, times and row ids aside."""
    with reading(project.engine) as session:
        samples = [
            (s.id, s.video_sha256, s.start_us, s.transcript, s.speaker, s.status, s.split)
            for s in session.query(models.Sample)
        ]
        said = [(a.origin, a.task_id, a.revision, a.state, a.value) for a in session.query(models.Annotation)]
        features = [(f.sample_id, f.extractor, f.input_hash) for f in session.query(models.Feature)]
        videos = [(v.sha256, v.name, v.speaker, v.split) for v in session.query(models.Video)]
        labels = [(x.sample_id, x.task_id, x.value, dict(x.distribution)) for x in read_labels(session)]
        events = session.query(models.Event).filter(models.Event.kind == "import").count()
    return sorted(samples), sorted(said), sorted(features), sorted(videos), labels, events


# -- the whole way --------------------------------------------------------------------------------


def test_a_table_becomes_a_project_that_learns_exports_and_explains(ready, tmp_path):
    table, features = corpus(tmp_path / "in")
    report = bring(ready, table, features)
    assert (report.samples, report.new, report.retired) == (60, 60, 0)
    assert report.answers == {"new": 110, "changed": 0, "taken_back": 0, "unchanged": 0}
    assert report.labels["sentiment.M"] == 60 and report.labels["sentiment.T"] == 50
    assert sum(report.splits.values()) == 60 and all(report.splits.values())
    assert report.features == {"audio": "60 samples, 4 wide", "vision": "60 samples, 2 wide"}
    assert report.warnings == [] and report.next == "annotate extract"
    found = extract(ready)
    assert found.failures == [] and found.modalities["text"].done == 60
    assert found.modalities["audio"].unchanged == 60
    trained = train(ready)
    scores = {(row["split"], row["task"]): row for row in trained.scores}
    assert scores["test", "sentiment.M"]["Corr"] > 0.8
    assert status(ready).videos == [{"status": "ok", "reason": "", "videos": 10}]
    told = explain(ready, "v3")
    assert (told.speaker, len(told.samples), told.samples[0]["text"]) == ("s3", EACH, "words 3 0")


def test_the_card_of_imported_labels_claims_no_blind_raters(ready, tmp_path, monkeypatch):
    table, features = corpus(tmp_path / "in")
    bring(ready, table, features)
    monkeypatch.setenv("ANNOTATE_EXPORT__REQUIRE", '["M"]')
    project = Project.open(ready.root)
    export(project, format="jsonl", dest=tmp_path / "out")
    project.engine.dispose()
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "All labels were imported from a corpus of others" in card
    assert "each rater was blind" not in card


def test_the_same_file_twice_adds_nothing_and_a_changed_one_supersedes(ready, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(ready, table, features)
    before = dump(ready)
    twice = bring(ready, table, features)
    assert (twice.new, twice.answers["unchanged"], sum(twice.answers.values())) == (0, 110, 110)
    assert dump(ready) == before

    def mended(rows):
        rows[0][5], rows[1][6], rows[2][3] = "0.25", "", "other words"
        return rows[:-1]

    corpus(tmp_path / "in", change=mended)
    np.savez(tmp_path / "in" / "c.npz", audio=np.ones((59, 3, 4)), vision=np.ones((59, 2)))
    changed = bring(ready, table, features)
    assert changed.answers == {"new": 0, "changed": 1, "taken_back": 3, "unchanged": 106}
    assert (changed.samples, changed.new, changed.retired) == (59, 0, 1)
    with reading(ready.engine) as session:
        texts = [s.transcript for s in session.query(models.Sample).filter_by(transcript="other words")]
        one = next(x for x in read_labels(session) if x.value == 0.25)
        row = session.query(models.Annotation).filter_by(value="0.25").one()
        assert row.supersedes_id is not None and texts == ["other words"]
    assert one.distribution == {"0": 0.75, "1": 0.25}
    assert np.array_equal(read_features(ready, Modality.AUDIO, [one.sample_id])[0], np.ones((3, 4)))
    corpus(tmp_path / "in")
    back = bring(ready, table, features)
    assert back.answers == {"new": 0, "changed": 4, "taken_back": 0, "unchanged": 106}
    assert dump(ready)[4] == before[4]


def test_a_table_that_is_brought_again_without_its_features_loses_none(ready, tmp_path):
    table, features = corpus(tmp_path / "in", change=lambda rows: rows[:50])
    np.savez(tmp_path / "in" / "c.npz", audio=np.ones((50, 3, 4)), vision=np.ones((50, 2)))
    bring(ready, table, features)
    before = dump(ready)
    report = bring(ready, table, [])
    assert report.features["audio"] == "none here; 50 samples keep earlier features"
    assert dump(ready) == before
    corpus(tmp_path / "in")
    more = bring(ready, table, [])
    assert more.new == 10
    with reading(ready.engine) as session:
        ids = sorted(s.id for s in session.query(models.Sample))
    read = read_features(ready, Modality.AUDIO, ids)
    assert sorted(float(frames.mean()) for frames in read) == [0.0] * 10 + [1.0] * 50
    assert {frames.shape[1] for frames in read} == {4}


def test_the_labels_and_features_of_an_mmsa_export_come_back(ready, make_project, tmp_path, monkeypatch):
    monkeypatch.setenv("ANNOTATE_EXPORT__REQUIRE", '["M", "T"]')
    source = again(ready)
    table, features = corpus(tmp_path / "in", change=lambda rows: [[*row[:6], "-1"] for row in rows])
    bring(source, table, features)
    extract(source)
    export(source, format="mmsa", dest=tmp_path / "out")
    other = make_project(name="other")
    other = say(other, text="imported", audio="imported", vision="imported")
    report = import_mmsa(other, tmp_path / "out" / "unaligned.pkl")
    assert report.samples == 60 and report.labels["sentiment.T"] == 60 and report.next == "annotate train"

    def told(project):
        with reading(project.engine) as session:
            samples = {s.id: (s.transcript, s.split) for s in session.query(models.Sample)}
            labels = {(samples[x.sample_id], x.task_id): x.value for x in read_labels(session)}
        arrays = {
            (words, m): read_features(project, m, [i])[0].tolist()
            for i, (words, _) in samples.items()
            for m in (Modality.TEXT, Modality.AUDIO, Modality.VISION)
        }
        return labels, arrays

    assert told(other) == told(source)
    export(other, format="jsonl", dest=tmp_path / "lines")
    lines = (tmp_path / "lines" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["labels"]["sentiment.M"]["raters"] == 1
    twice = import_mmsa(other, tmp_path / "out" / "unaligned.pkl")
    assert (twice.new, twice.answers["unchanged"]) == (0, 120)


def test_votes_of_raters_become_annotators_and_one_agreed_label(ready, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(ready, table, features, flags={"label": []}, name="base")
    votes = tmp_path / "votes.csv"
    votes.write_text("clip,rater,y\n000,ann,1\n000,bob,0\n001,ann,-1\n999,bob,1\n", encoding="utf-8")
    flags = {"id": "clip", "rater": "rater", "label": ["sentiment.A=y"]}
    report = import_table(ready, votes, flags=flags, into="base")
    assert report.answers["new"] == 3 and report.labels["sentiment.A"] == 2
    assert any("1 sample that 'base' does not have" in warning for warning in report.warnings)
    names = {row["annotator"].split(":", 2)[2] for row in status(ready).annotators}
    assert names == {"ann", "bob"}
    with reading(ready.engine) as session:
        label = next(x for x in read_labels(session) if x.raters == 2)
    assert (label.value, dict(label.distribution)) == (0.5, {"0": 0.5, "1": 0.5})


def answers(project):
    """By task: how many answers hold now."""
    with reading(project.engine) as session:
        rows = session.query(models.Annotation).order_by(models.Annotation.id)
        latest = {(row.origin, row.task_id): row for row in rows}
    return Counter(task_id for (_, task_id), row in latest.items() if row.state == "answered")


def test_votes_in_a_file_that_is_called_as_the_corpus_leave_its_own_answers(ready, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(ready, table, features, flags={"label": ["sentiment.M=y"]})
    flags = {"id": "id", "rater": "who", "label": ["sentiment.M=y", "sentiment.A=y"]}
    votes = tmp_path / "c.csv"
    votes.write_text("id,who,y\n000,ann,1\n001,ann,-1\n", encoding="utf-8")
    assert import_table(ready, votes, flags=flags, into="c").answers["taken_back"] == 0
    assert answers(ready) == {"sentiment.M": 62, "sentiment.A": 2}
    votes.write_text("id,who,y\n000,ann,0\n", encoding="utf-8")
    changed = import_table(ready, votes, flags=flags, into="c")
    assert changed.answers == {"new": 0, "changed": 2, "taken_back": 2, "unchanged": 0}
    twice = bring(ready, table, features, flags={"label": ["sentiment.M=y"]})
    assert twice.answers["unchanged"] == sum(twice.answers.values()) == 60
    assert answers(ready) == {"sentiment.M": 61, "sentiment.A": 1}


def test_files_of_one_name_about_two_corpora_take_nothing_from_each_other(bare, tmp_path):
    table, features = corpus(tmp_path / "in")
    for name in ("one", "two"):
        bring(bare, table, features, name=name, flags={"label": [], "video": "", "speaker": ""})
    flags = {"id": "id", "rater": "who", "label": ["sentiment.A=y"]}
    brought = [import_table(bare, table, flags=flags, into=name, name="two") for name in ("one", "two")]
    assert [report.answers["new"] for report in brought] == [60, 60]
    own = bring(bare, table, features, name="two", flags={"video": "", "speaker": ""})
    assert (own.answers["new"], own.answers["taken_back"]) == (110, 0)
    assert answers(bare) == {"sentiment.A": 120, "sentiment.M": 60, "sentiment.T": 50}


def test_answers_to_a_task_that_an_import_does_not_speak_of_stay_and_are_told(bare, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(bare, table, features)
    less = bring(bare, table, features, flags={"label": ["sentiment.M=y"]})
    assert less.answers["taken_back"] == 0 and answers(bare)["sentiment.T"] == 50
    assert [w for w in less.warnings if w.startswith("50 answers to sentiment.T")]
    corpus(tmp_path / "in", change=lambda rows: [[*row[:6], ""] for row in rows])
    assert bring(bare, table, features).answers["taken_back"] == 50
    again = bring(bare, table, features, flags={"label": ["sentiment.M=y"]})
    assert again.warnings == [] and answers(bare) == {"sentiment.M": 60}


def test_a_modality_that_a_column_does_not_name_any_more_is_spoken_of(bare, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(bare, table, features, flags={"label": []})
    flags = {"id": "id", "modality": "on", "votes": True, "label": ["sentiment=y"]}
    votes = tmp_path / "votes.csv"
    votes.write_text("id,on,y\n000,A,1\n000,V,-1\n", encoding="utf-8")
    import_table(bare, votes, flags=flags, into="c")
    votes.write_text("id,on,y\n000,A,1\n", encoding="utf-8")
    assert import_table(bare, votes, flags=flags, into="c").answers["taken_back"] == 1


def test_a_table_about_a_corpus_that_names_no_answer_is_refused(bare, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(bare, table, features)
    for flags in ({"id": "id"}, {"id": "id", "rater": "who"}):
        with pytest.raises(UsageError, match="--into adds answers, but no column") as error:
            import_table(bare, table, flags=flags, into="c", name="votes")
        assert "--label" in error.value.hint and "--count" in error.value.hint
    assert answers(bare) == {"sentiment.M": 60, "sentiment.T": 50}


def test_a_table_with_words_only_learns_from_words_and_asks_for_words_only(ready, tmp_path):
    table, _ = corpus(tmp_path / "in")
    report = bring(ready, table, [], flags={"label": ["sentiment.T=y"]})
    assert report.features == {"audio": "absent", "vision": "absent"}
    extract(ready)
    assert train(ready).labels["sentiment.T"]["train"] > 20
    with pytest.raises(NothingToDo, match="imported without clips"):
        next_batch(ready, n=5, dry_run=True)


def test_only_the_words_of_imported_samples_are_asked(ready, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(ready, table, features, flags={"label": ["sentiment.M=y"]})
    extract(ready)
    report = next_batch(ready, n=5, dry_run=True)
    assert report.questions == {"T": 5}


# -- splits ---------------------------------------------------------------------------------------


def test_splits_are_those_of_the_table(ready, tmp_path):
    table, features = corpus(tmp_path / "in", split="given")
    report = bring(ready, table, features, flags={"split": "split"})
    assert report.splits == {Split.TRAIN: 48, Split.VALID: 6, Split.TEST: 6}
    with pytest.raises(CorpusError, match="12 samples are in another split") as error:
        moved = {"v0": "dev", "v8": "train"}
        table, _ = corpus(
            tmp_path / "in", split="given",
            change=lambda rows: [[*r[:4], moved.get(r[1], r[4]), *r[5:]] for r in rows],
        )  # fmt: skip
        bring(ready, table, features, flags={"split": "split"})
    assert "--regroup" in error.value.hint
    assert bring(ready, table, features, flags={"split": "split"}, regroup=True).splits == report.splits


def test_a_speaker_in_two_splits_is_refused_unless_splits_are_given_anew(bare, tmp_path):
    def torn(rows):
        rows[0][4] = "test"
        rows[0][1] = "elsewhere"
        return rows

    table, features = corpus(tmp_path / "in", split="given", change=torn)
    with pytest.raises(CorpusError, match="the speaker 's0' is in two splits: '000' in test"):
        bring(bare, table, features, flags={"split": "split"})
    assert dump(bare)[0] == []
    report = bring(bare, table, features, flags={"split": "split"}, regroup=True)
    with reading(bare.engine) as session:
        places = {(s.speaker or v.speaker, s.split) for s in session.query(models.Sample)
                  for v in [session.get(models.Video, s.video_sha256)]}  # fmt: skip
    assert len(places) == SPEAKERS and all(report.splits.values())


def test_where_the_table_says_no_split_the_group_decides(bare, tmp_path):
    def partly(rows):
        """Of s0 one sample is told, of s1 to s4 none."""
        return [[*r[:4], r[4] if k == 0 or int(r[2][1:]) > 4 else "", *r[5:]] for k, r in enumerate(rows)]

    table, features = corpus(tmp_path / "in", split="given", change=partly)
    bring(bare, table, features, flags={"split": "split"})
    with reading(bare.engine) as session:
        by_video = {(v.name, s.split) for s in session.query(models.Sample)
                    for v in [session.get(models.Video, s.video_sha256)]}  # fmt: skip
    assert len(by_video) == SPEAKERS and None not in dict(by_video).values()
    assert {("v0", "train"), ("v5", "train"), ("v8", "valid"), ("v9", "test")} <= by_video


def test_a_video_in_two_splits_is_refused(bare, tmp_path):
    table, features = corpus(
        tmp_path / "in", split="given", change=lambda r: [[*r[0][:4], "test", *r[0][5:]], *r[1:]]
    )
    with pytest.raises(CorpusError, match="the video 'v0' is in two splits"):
        bring(bare, table, features, flags={"split": "split"})


def test_a_speaker_who_is_at_home_in_another_split_of_the_project_is_refused(bare, tmp_path):
    table, features = corpus(tmp_path / "in", split="given")
    bring(bare, table, features, flags={"split": "split"}, name="one")
    corpus(tmp_path / "in", split="given", change=lambda rows: [[*r[:4], "test", *r[5:]] for r in rows])
    with pytest.raises(CorpusError, match=r"'s0' is in test here, in train in this project"):
        bring(bare, table, features, flags={"split": "split"}, name="two")


# -- bad input ------------------------------------------------------------------------------------


def test_without_a_project_it_says_so(annotate, tmp_path):
    done = annotate("import", "table", "x.csv", cwd=tmp_path)
    assert done.returncode == 1 and "annotate init" in done.stderr


def test_settings_that_read_clips_say_what_to_write(project, tmp_path):
    table, features = corpus(tmp_path / "in")
    with pytest.raises(ConfigError, match=r"features\.audio is 'voice-stats'") as error:
        bring(project, table, features)
    assert 'audio = "imported"\nvision = "imported"' in error.value.hint
    assert not list(project.features.rglob("*.safetensors"))


def test_another_corpus_under_the_same_name_is_refused(bare, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(bare, table, features)
    corpus(tmp_path / "in", change=lambda rows: [["x" + r[0], *r[1:]] for r in rows])
    with pytest.raises(UsageError, match="60 of 60 samples") as error:
        bring(bare, table, features)
    assert "--name" in error.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [({"into": "nothing"}, "nothing else about them"), ({"name": "a:b"}, "cannot be called")],
)
def test_options_that_cannot_be_are_a_matter_of_usage(bare, tmp_path, options, message):
    table, features = corpus(tmp_path / "in")
    with pytest.raises(UsageError, match=message):
        bring(bare, table, features, **options)


def test_answers_for_a_corpus_that_is_not_there_are_refused(bare, tmp_path):
    (tmp_path / "v.csv").write_text("id,y\n1,1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no corpus called 'gone'"):
        import_table(bare, tmp_path / "v.csv", flags={"id": "id", "label": ["sentiment.A=y"]}, into="gone")


def test_features_of_another_width_are_refused(bare, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(bare, table, features, name="one")
    np.savez(features[0], audio=np.ones((60, 5)), vision=np.ones((60, 2)))
    with pytest.raises(CorpusError, match="audio has 5 numbers per frame here, and 4"):
        bring(bare, table, features, name="two", flags={"video": "", "speaker": ""})


def test_a_corpus_without_sound_does_not_say_how_wide_the_sound_of_the_next_is(bare, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(bare, table, [], name="silent", flags={"video": "", "speaker": ""})
    bring(bare, table, features, name="heard", flags={"video": "", "speaker": ""})
    bring(bare, table, [], name="silent too", flags={"video": "", "speaker": ""})
    with reading(bare.engine) as session:
        ids = sorted(sample.id for sample in session.query(models.Sample))
    widths = [row.shape for row in read_features(bare, Modality.AUDIO, ids)]
    assert sorted(set(widths)) == [(1, 4), (3, 4)] and widths.count((3, 4)) == 60
    np.savez(features[0], audio=np.ones((60, 5)), vision=np.ones((60, 2)))
    with pytest.raises(CorpusError, match="audio has 5 numbers per frame here, and 4"):
        bring(bare, table, features, name="other", flags={"video": "", "speaker": ""})


def test_a_number_that_is_none_leaves_nothing_behind(bare, tmp_path):
    table, features = corpus(tmp_path / "in")
    audio = np.ones((60, 4))
    audio[59, 3] = np.nan
    np.savez(features[0], audio=audio, vision=np.ones((60, 2)))
    with pytest.raises(CorpusError, match="row 59"):
        bring(bare, table, features)
    assert dump(bare)[:5] == ([], [], [], [], [])


def test_lost_features_are_told_and_come_back_with_another_import(bare, tmp_path):
    table, features = corpus(tmp_path / "in")
    bring(bare, table, features)
    for shard in (bare.features / "A").rglob("*.safetensors"):
        shard.write_bytes(b"damaged")
    report = extract(bare)
    assert report.modalities["audio"].failed == 60
    assert "no audio features were imported" in report.failures[0]["reason"]
    assert bring(bare, table, features).new == 0
    assert extract(bare).failures == []


def test_a_malicious_pickle_ends_with_exit_1_and_does_nothing(bare, annotate, tmp_path):
    marker = tmp_path / "harmed"
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % str(marker).encode())
    done = annotate("import", "mmsa", tmp_path / "evil.pkl", cwd=bare.root)
    assert done.returncode == 1 and "os.system" in done.stderr and "Traceback" not in done.stderr
    assert not marker.exists()


# -- kills and size -------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["put_samples", "put_answers", "put_shards"])
def test_a_run_that_breaks_in_the_middle_leaves_nothing_and_goes_through_next_time(
    ready, make_project, tmp_path, monkeypatch, where
):
    table, features = corpus(tmp_path / "in")
    whole = getattr(step.imports, where)

    def breaks(*args, **kwargs):
        whole(*args, **kwargs)
        raise AnnotateError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr(step.imports, where, breaks)
        with pytest.raises(AnnotateError, match="power"):
            bring(ready, table, features)
    assert dump(ready)[:5] == ([], [], [], [], [])
    bring(ready, table, features)
    never_broken = say(make_project(name="whole"), audio="imported", vision="imported")
    bring(never_broken, table, features)
    assert dump(ready) == dump(never_broken)


@pytest.mark.slow
def test_a_killed_import_gives_the_same_when_it_is_run_again(bare, make_project, tmp_path):
    table, features = corpus(tmp_path / "in")
    arguments = [
        "-C", bare.root, "import", "table", table, "--features", features[0], "--id", "id",
        "--video", "video", "--speaker", "who", "--text", "words", "--label", LABELS[0], "--label", LABELS[1],
    ]  # fmt: skip
    for delay in (1.0, 1.5, 2.0, 2.5):
        running = subprocess.Popen(
            [sys.executable, ROOT / "cli.py", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    subprocess.run([sys.executable, ROOT / "cli.py", *arguments], check=True, stdout=subprocess.DEVNULL)
    never_killed = say(make_project(name="whole"), audio="imported", vision="imported")
    bring(never_killed, table, features)
    assert dump(bare) == dump(never_killed)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [20_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_a_hundred_thousand_rows_take_tens_of_seconds(bare, tmp_path, rows):
    with (tmp_path / "big.csv").open("w", encoding="utf-8") as file:
        file.write("id,video,who,words,y\n")
        file.writelines(
            f"{i:07d},v{i // 10},s{i // 100},what {i} says,{(i % 21 - 10) / 10}\n" for i in range(rows)
        )
    np.savez(tmp_path / "big.npz", audio=np.ones((rows, 16), np.float32))
    before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = bring(bare, tmp_path / "big.csv", [tmp_path / "big.npz"], flags={"label": ["sentiment.M=y"]})
    assert report.new == rows and report.labels["sentiment.M"] == rows
    assert time.process_time() - before < 10 + 80 * rows / 100_000
    # Kilobytes: the rows as text and objects, the features once.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 200_000 + 8 * rows
