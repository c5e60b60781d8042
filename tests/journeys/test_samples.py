"""Corrections by hand: what `annotate samples` promises about text, speakers, ends, verdicts and the log."""

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from annotate.errors import AnnotateError, NothingToDo, UnknownName, UsageError
from annotate.media.probe import probe
from annotate.project import Project
from annotate.steps.extract import extract
from annotate.steps.ingest import ingest
from annotate.steps.init import init
from annotate.steps.recheck import recheck
from annotate.steps.samples import decide, edit, list_samples, merge, split
from annotate.steps.samples_show import show_sample
from annotate.steps.samples_table import apply_table, export_table
from annotate.steps.status import status
from annotate.types import Split
from db import models
from db.engine import reading, writing
from db.models import QuestionState, SampleStatus
from tests.conftest import RunAnnotate
from tests.support.factories import add_label, add_sample, add_video
from tests.support.media_factory import make_video
from tests.support.raters import add_samples, ask, items

CUES = ((0.4, 2.0, "first words here"), (2.2, 4.0, "second words here"), (4.4, 6.0, "third words here"))


def write_subtitles(path: Path, cues: Any = CUES) -> None:
    blocks = [
        f"{n}\n00:00:{a:06.3f} --> 00:00:{b:06.3f}\n{said}\n".replace(".", ",")
        for n, (a, b, said) in enumerate(cues, start=1)
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project without rules, with one video of three utterances; copied for each test."""
    folder = tmp_path_factory.mktemp("samples")
    (folder / "videos").mkdir()
    make_video(folder / "videos" / "talk.mp4", seconds=6.4)
    write_subtitles(folder / "videos" / "talk.srt")
    init(folder / "corpus", preset="mosi")
    settings = folder / "corpus" / "annotate.toml"
    rules, _, rest = settings.read_text().partition("[repeats]")
    settings.write_text(
        f"{rules.partition('[checks]')[0]}[checks]\nduration = {{ min = 0.7 }}\n\n[repeats]{rest}"
    )
    project = Project.open(folder / "corpus")
    ingest(project, [folder / "videos"], workers=1)
    project.engine.dispose()
    # The copies of each test are the only ones.
    (folder / "videos").rename(folder / "source")
    return folder


@pytest.fixture
def talk(ingested: Path, tmp_path: Path) -> Iterator[Project]:
    """The ingested project, with a copy of its video that keeps its times."""
    shutil.copytree(ingested, tmp_path / "copy")
    (tmp_path / "copy" / "source").rename(tmp_path / "copy" / "videos")
    project = Project.open(tmp_path / "copy" / "corpus")
    ingest(project, [tmp_path / "copy" / "videos"], workers=1)
    yield project
    project.engine.dispose()


def rows(project: Project) -> list[models.Sample]:
    with reading(project.engine) as session:
        found = list(session.scalars(select(models.Sample)))
        session.expunge_all()
    return sorted(found, key=lambda row: (row.start_us, row.end_us))


def active(project: Project) -> list[models.Sample]:
    return [row for row in rows(project) if row.status in ("ok", "rejected")]


def get(project: Project, sample_id: str) -> models.Sample:
    return next(row for row in rows(project) if row.id == sample_id)


def videos_of(project: Project) -> Path:
    return project.root.parent / "videos"


def again(project: Project, change: Callable[[str], str] = str) -> Project:
    """Ingest once more, perhaps with other settings."""
    path = project.root / "annotate.toml"
    path.write_text(change(path.read_text()))
    other = Project.open(project.root)
    ingest(other, [videos_of(project)], workers=1)
    other.engine.dispose()
    return other


def other_padding(settings: str) -> str:
    return settings.replace("pad_seconds = 0.1 ", "pad_seconds = 0.3 ")


# ---- what cannot be --------------------------------------------------------------------------------


def test_corrections_that_cannot_be_are_refused_and_change_nothing(talk: Project) -> None:
    one, two, three = (row.id for row in active(talk))
    for wrong, words in (
        ({"start": 3.0}, "overlaps sample|0.1 s or more"),
        ({"end": 3.0}, f"overlaps sample {two}"),
        ({"start": -1.0}, "starts at 0"),
        ({"end": 99.0}, "video ends at"),
        ({"speaker": " "}, "nothing changes|cannot be empty"),
        ({"transcript": " first  words here "}, "nothing changes"),
        ({}, "no change is named"),
    ):
        with pytest.raises((UsageError, NothingToDo), match=words):
            edit(talk, one, **wrong)
    with pytest.raises(UsageError, match="split it between"):
        split(talk, one, [5.0])
    with pytest.raises(UsageError, match="2 samples, and --transcript gives 1 transcript"):
        split(talk, one, [1.0], transcripts=["first"])
    with pytest.raises(UsageError, match="give --transcript 2 times"):
        split(talk, one, [1.0])
    with pytest.raises(UsageError, match="two samples or more"):
        merge(talk, [one, one])
    with pytest.raises(UsageError, match=f"overlaps sample {two}"):
        merge(talk, [one, three])
    with pytest.raises(UsageError, match="needs a reason"):
        decide(talk, [one], accept=False)
    with pytest.raises(UnknownName, match="no sample is called 'ffffffff'"):
        edit(talk, "ffffffff", transcript="x")
    assert [row.id for row in rows(talk)] == [one, two, three]
    assert not any(row.by_hand for row in rows(talk))


def test_the_beginning_of_several_ids_lists_them(project: Project) -> None:
    with writing(project.engine) as session:
        video = add_video(session, "talk")
        for name in ("abcd000000000001", "abcd000000000002"):
            session.add(models.Sample(
                id=name, video_sha256=video.sha256, start_us=0, end_us=1, status="ok", split=None,
                media_sha256={},
            ))  # fmt: skip
    with pytest.raises(UsageError, match="2 samples begin with 'abcd': abcd000000000001, abcd000000000002"):
        edit(project, "abcd", transcript="x")


def test_a_cut_needs_its_video_and_says_where_it_was(talk: Project) -> None:
    (videos_of(talk) / "talk.mp4").unlink()
    first = active(talk)[0].id
    with pytest.raises(AnnotateError, match=r"no longer at .*talk\.mp4"):
        edit(talk, first, end=1.5)
    assert edit(talk, first, transcript="other words").changed == 1


# ---- text, speaker, verdicts ---------------------------------------------------------------------


def test_a_text_is_stored_measured_and_logged(each_project: Project) -> None:
    (sample_id,) = add_samples(each_project, 1)
    with writing(each_project.engine) as session:
        for name, value in (("speech", 0.5), ("transcript", 6.0), ("loudness", -20.0)):
            session.add(models.SampleCheck(sample_id=sample_id, name=name, value=value, passed=True))
    report = edit(each_project, sample_id[:6], transcript=" so\nwhat ", by="anna", reason="heard it")
    assert [(c.field, c.old, c.new) for c in report.changes] == [("transcript", "words 0", "so what")]
    row = get(each_project, sample_id)
    assert (row.transcript, row.transcript_origin, row.by_hand) == ("so what", "hand", True)
    shown = show_sample(each_project, sample_id)
    assert (shown.checks["transcript"], shown.checks["loudness"]) == (6.0, -20.0)
    assert shown.checks["speaking-rate"] == 2.0
    (entry,) = shown.corrections
    assert (entry["author"], entry["reason"], "words 0" in entry["old"]) == ("anna", "heard it", True)


def test_the_author_is_the_option_else_the_setting_else_the_login(
    project: Project, annotate: RunAnnotate
) -> None:
    (sample_id,) = add_samples(project, 1)
    for number, (options, environment, author) in enumerate((
        (["--by", "anna"], {"ANNOTATE_CORRECTIONS__BY": "bert"}, "anna"),
        ([], {"ANNOTATE_CORRECTIONS__BY": "bert"}, "bert"),
        ([], {"LOGNAME": "carl"}, "carl"),
    )):  # fmt: skip
        done = annotate(
            "samples", "edit", sample_id, "--transcript", f"text {number}", *options, "--json",
            cwd=project.root, **environment,
        )  # fmt: skip
        assert json.loads(done.stdout)["author"] == author, done.stderr


def test_the_log_cannot_be_changed(each_project: Project) -> None:
    (sample_id,) = add_samples(each_project, 1)
    edit(each_project, sample_id, transcript="so what")
    for statement in ("UPDATE correction SET author = 'x'", "DELETE FROM correction"):
        with pytest.raises(DatabaseError, match="never"), writing(each_project.engine) as session:
            session.execute(text(statement))


def test_a_decision_by_hand_outlives_other_rules(each_project: Project) -> None:
    bad, good = add_samples(each_project, 2)
    with writing(each_project.engine) as session:
        session.add(models.SampleCheck(sample_id=bad, name="face", value=0.0, passed=False, reason="no face"))
        session.get_one(models.Sample, bad).status = SampleStatus.REJECTED
        for video in session.scalars(select(models.Video)):
            video.rules_hash = "others"
    decide(each_project, [bad], accept=True, reason="profile", by="anna")
    decide(each_project, [good], accept=False, reason="laughs", by="anna")
    for _ in range(2):
        with reading(each_project.engine) as session:
            assert session.get_one(models.Sample, bad).status == "ok"
            assert session.get_one(models.Sample, good).status == "rejected"
        recheck(each_project)
    assert status(each_project).rejected == {"by-hand": 1}
    assert show_sample(each_project, good).reasons == "by-hand: laughs (anna)"
    decide(each_project, [bad, good], accept=True, undo=True)
    assert get(each_project, good).status == "ok"
    with pytest.raises(NothingToDo):
        decide(each_project, [good], accept=True, undo=True)


def test_unanswered_questions_about_a_rejected_sample_are_withdrawn(each_project: Project) -> None:
    (sample_id,) = add_samples(each_project, 1)
    ask(each_project, [sample_id])
    assert decide(each_project, [sample_id], accept=False, reason="laughs").withdrawn == 4
    assert {item.state for item in items(each_project).values()} == {QuestionState.WITHDRAWN}


def test_a_speaker_of_another_split_is_held_back_with_the_reason(each_project: Project) -> None:
    (mine,) = add_samples(each_project, 1)
    with writing(each_project.engine) as session:
        other = add_sample(session, add_video(session, "other", "anna", Split.TEST))
        for name in (mine, other.id):
            add_label(session, session.get_one(models.Sample, name), "sentiment.T", 1.0)
    report = edit(each_project, mine, speaker="anna")
    assert "anna" in " ".join(report.warnings)
    assert get(each_project, mine).split is None
    assert status(each_project).samples == {"train": 0, "valid": 0, "test": 1, "no split yet": 1}
    edit(each_project, mine, speaker="bert")
    assert get(each_project, mine).split == Split.TRAIN


def test_a_table_of_turns_does_not_undo_a_speaker(talk: Project, tmp_path: Path) -> None:
    first = active(talk)[0].id
    edit(talk, first, speaker="anna")
    turns = tmp_path / "who.csv"
    turns.write_text("file,speaker,start,end\ntalk.mp4,bert,0,6\n")
    ingest(talk, [videos_of(talk)], speakers=turns, workers=1)
    assert [row.speaker for row in active(talk)] == ["anna", "bert", "bert"]


# ---- other ends ----------------------------------------------------------------------------------


def test_other_ends_make_a_new_sample_with_clip_checks_and_features(talk: Project) -> None:
    old = active(talk)[0]
    report = edit(talk, old.id, end=1.5)
    (new_id,) = report.new_samples
    new = get(talk, new_id)
    assert (new.predecessors, new.transcript, new.split) == ([old.id], old.transcript, old.split)
    assert get(talk, old.id).status == SampleStatus.RETIRED
    media = talk.sample_media(new_id)
    assert media.complete()
    length = (new.end_us - new.start_us) / 1e6
    assert abs(probe(media.clip).duration_us / 1e6 - length) < 0.06
    shown = show_sample(talk, new_id)
    assert shown.checks["duration"] == round(length, 4)
    assert shown.predecessors == [old.id]
    assert show_sample(talk, old.id).successors == [new_id]
    assert extract(talk).modalities["audio"].done == 3


def test_what_was_asked_is_asked_about_the_new_sample_and_answers_stay(talk: Project) -> None:
    first, second, _ = (row.id for row in active(talk))
    ask(talk, [first, second])
    with writing(talk.engine) as session:
        item = session.scalars(select(models.Question).where(models.Question.sample_id == first)).one()
        item.state, item.role, item.inclusion_probability = QuestionState.CLOSED, "audit", 0.25
        add_label(session, session.get_one(models.Sample, first), "sentiment.M", 1.0)
    report = edit(talk, first, end=1.5)
    (new,) = report.new_samples
    found = items(talk)
    assert found[first, "M"].state == QuestionState.CLOSED
    asked = found[new, "M"]
    assert (asked.state, asked.role, asked.inclusion_probability) == (QuestionState.QUEUED, "audit", 0.25)
    assert (report.withdrawn, report.asked_again) == (0, 1)
    report = split(talk, second, [3.0], transcripts=["second", "words here"])
    assert (report.withdrawn, report.asked_again, len(report.new_samples)) == (1, 2, 2)
    assert items(talk)[second, "M"].state == QuestionState.WITHDRAWN
    with reading(talk.engine) as session:
        assert session.get(models.Label, (first, "sentiment.M", "human")) is not None


def test_two_samples_become_one_and_ends_can_be_set_back(talk: Project) -> None:
    one, two, _ = active(talk)
    (merged,) = merge(talk, [two.id, one.id]).new_samples
    row = get(talk, merged)
    assert (row.start_us, row.end_us) == (one.start_us, two.end_us)
    assert (row.transcript, sorted(row.predecessors)) == (
        "first words here second words here", sorted([one.id, two.id]),
    )  # fmt: skip
    back = edit(talk, merged, end=one.end_us / 1e6, transcript="first words here")
    assert back.new_samples == [one.id]
    assert next(row.id for row in active(talk)) == one.id


def test_a_longer_cut_takes_over_a_short_sample_that_rules_reject(talk: Project) -> None:
    one, two, _ = active(talk)
    (short, rest) = split(talk, two.id, [2.6], transcripts=["second", "words here"]).new_samples
    assert get(talk, short).status == "rejected"
    with pytest.raises(UsageError, match="overlaps"):
        edit(talk, one.id, end=2.5)  # somebody cut the short one by hand
    with writing(talk.engine) as session:
        session.get_one(models.Sample, short).by_hand = False
    (longer,) = edit(talk, one.id, end=2.5).new_samples
    assert set(get(talk, longer).predecessors) == {one.id, short}
    assert [row.id for row in active(talk)[:2]] == [longer, rest]


# ---- a later ingest ------------------------------------------------------------------------------


def test_no_later_ingest_undoes_a_correction(talk: Project) -> None:
    one, two, three = (row.id for row in active(talk))
    edit(talk, one, transcript="corrected")
    (trimmed,) = edit(talk, two, end=3.2).new_samples
    decide(talk, [three], accept=False, reason="laughs")
    corrected = {row.id: (row.transcript, row.start_us, row.end_us, row.status) for row in active(talk)}
    write_subtitles(videos_of(talk) / "talk.srt", [(a, b, said.upper()) for a, b, said in CUES])
    for change in (str, other_padding):
        other = again(talk, change)
        assert {r.id: (r.transcript, r.start_us, r.end_us, r.status) for r in active(other)} == {
            **corrected, three: ("THIRD WORDS HERE", *corrected[three][1:]),
        }  # fmt: skip
    for name in corrected:
        talk.sample_media(name).clip.unlink()
    other = again(talk)
    assert all(other.sample_media(name).complete() for name in corrected)
    assert {row.id for row in active(other)} == {one, trimmed, three}


def test_the_rest_of_the_video_follows_other_settings(talk: Project) -> None:
    one, two, three = active(talk)
    edit(talk, one.id, speaker="anna")
    other = again(talk, other_padding)
    now = active(other)
    assert now[0].id == one.id
    assert now[0].speaker == "anna"
    assert {row.id for row in now[1:]}.isdisjoint({two.id, three.id})
    assert [row.transcript for row in now] == [said for _, _, said in CUES]
    assert all(a.end_us <= b.start_us for a, b in pairwise(now))


def test_a_broken_transcript_retires_no_corrected_sample(talk: Project) -> None:
    one = active(talk)[0].id
    edit(talk, one, transcript="corrected")
    (videos_of(talk) / "talk.srt").write_text("nothing to read here")
    other = Project.open(talk.root)
    ingest(other, [videos_of(talk)], workers=1)
    other.engine.dispose()
    assert [(row.id, row.transcript) for row in active(other)] == [(one, "corrected")]


# ---- lists and the command line --------------------------------------------------------------------


def test_lists_are_filtered_and_counted(talk: Project) -> None:
    one, two, three = (row.id for row in active(talk))
    decide(talk, [two], accept=False, reason="laughs")
    assert list_samples(talk, limit=1).total == 3
    assert [row["sample"] for row in list_samples(talk, status="rejected").samples] == [two]
    assert [row["sample"] for row in list_samples(talk, check="by-hand").samples] == [two]
    assert [row["sample"] for row in list_samples(talk, corrected=True).samples] == [two]
    assert [row["sample"] for row in list_samples(talk, video="talk").samples] == [one, two, three]
    with pytest.raises(UsageError, match="no sample has the status 'okay'"):
        list_samples(talk, status="okay")


def test_a_limited_list_begins_where_the_whole_one_does(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        for name in ("é", "b 1", "B", "b1"):
            add_sample(session, add_video(session, name))
    names = [row["video"] for row in list_samples(each_project).samples]
    assert names == ["B", "b 1", "b1", "é"]
    some = list_samples(each_project, limit=2)
    assert ([row["video"] for row in some.samples], some.total, some.notes) == (
        names[:2], 4, ["2 more samples: -n 0 lists all"],
    )  # fmt: skip


def test_a_dry_run_shows_all_and_changes_nothing(talk: Project) -> None:
    one, two, _ = (row.id for row in active(talk))
    before = [(row.id, row.status, row.by_hand) for row in rows(talk)]
    for report in (
        edit(talk, one, end=1.5, dry_run=True),
        split(talk, one, [1.0], transcripts=["a", "b"], dry_run=True),
        merge(talk, [one, two], dry_run=True),
        decide(talk, [one], accept=False, reason="x", dry_run=True),
    ):
        assert report.dry_run
        assert report.changes
    assert [(row.id, row.status, row.by_hand) for row in rows(talk)] == before


def test_the_command_line_corrects_in_text_and_json(talk: Project, annotate: RunAnnotate) -> None:
    one, two, three = (row.id for row in active(talk))
    done = annotate("samples", "show", one[:8], cwd=talk.root)
    assert (done.returncode, "first words here" in done.stdout) == (0, True), done.stderr
    done = annotate("samples", "merge", one, two, "--json", cwd=talk.root)
    (merged,) = json.loads(done.stdout)["new_samples"]
    done = annotate("samples", "reject", three, "--reason", "two people talk", cwd=talk.root)
    assert (done.returncode, "rejected by hand" in done.stdout) == (0, True)
    done = annotate("samples", "list", "--json", cwd=talk.root)
    assert [row["sample"] for row in json.loads(done.stdout)["samples"]] == [merged, three]


def test_a_table_that_cuts_anew_can_be_applied_again_until_somebody_changes_more(talk: Project) -> None:
    table = talk.root / "table.csv"
    export_table(talk, table)
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    first = lines[1].split(",")
    assert first[5] == "first words here"
    first[2], first[4], first[5] = f"{float(first[2]) + 0.213:.3f}", "anna", "other words"
    lines[1] = ",".join(first)
    table.write_text("\n".join(lines), encoding="utf-8")
    made = apply_table(talk, table, by="bert")
    assert (made.changed, len(made.new_samples), len(made.retired)) == (1, 1, 1)
    again = apply_table(talk, table, by="bert")
    assert (again.changed, again.new_samples, again.unchanged) == (0, [], 3)
    edit(talk, made.new_samples[0], transcript="changed since", by="carla")
    with pytest.raises(AnnotateError, match=r"line 2: sample .* was changed"):
        apply_table(talk, table, by="bert")


def test_a_question_about_some_dimensions_is_shown_with_them(each_project: Project) -> None:
    (sample_id,) = add_samples(each_project, 1)
    ask(each_project, [sample_id])
    with writing(each_project.engine) as session:
        for item in session.scalars(select(models.Question)):
            item.dimensions = "emotion"
    assert {one["dimensions"] for one in show_sample(each_project, sample_id).questions} == {"emotion"}
