"""What `annotate remove` promises: out of everything, nothing lost, and back with all of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from annotate.corpus.rules import Rules
from annotate.errors import NothingToDo, UnknownName, UsageError
from annotate.project import Project
from annotate.steps.ingest import ingest
from annotate.steps.pull import pull
from annotate.steps.recheck import recheck
from annotate.steps.remove import remove
from annotate.steps.status import status
from annotate.types import Modality, Split
from db import models
from db.batches import candidates
from db.checks import REPEATED_TEXT
from db.dataset import dataset_samples
from db.engine import reading, writing
from db.groups import homes
from db.models import QuestionState, SampleStatus
from db.outbox import withdraw_unwanted
from db.rounds import labels_by_split
from tests.journeys.test_ingest import let_stand_in, make
from tests.support.factories import add_label, add_sample, add_video
from tests.support.raters import Rater, add_samples, ask, items, with_raters
from tests.support.studio import LabelStudio


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    let_stand_in(monkeypatch)
    path = tmp_path / "videos"
    path.mkdir()
    return path


def scalar(project: Project, query: Any) -> Any:
    with reading(project.engine) as session:
        return session.scalar(query)


def states(project: Project) -> set[str]:
    with reading(project.engine) as session:
        return set(session.scalars(select(models.Sample.status)))


def test_a_removed_video_is_in_no_pool_split_export_or_training(each_project: Project) -> None:
    kept, gone = (add_samples(each_project, 2, name) for name in ("kept", "gone"))
    with writing(each_project.engine) as session:
        for sample_id in (*kept, *gone):
            add_label(session, session.get_one(models.Sample, sample_id), "sentiment.T", 1.0)
    report = remove(each_project, ["gone"])
    assert (report.samples, report.labels) == (2, 2)
    assert report.splits == {Split.TRAIN: 2, Split.VALID: 0, Split.TEST: 0}
    with reading(each_project.engine) as session:
        assert {c.sample_id for c in candidates(session, each_project.settings.passes)} == set(kept)
        assert {label.sample_id for _, label in labels_by_split(session)} == set(kept)
        assert {sample.sample_id for sample in dataset_samples(session)} == set(kept)
    told = status(each_project)
    assert sum(told.samples.values()) == 2
    assert sum(row["train"] + row["valid"] + row["test"] for row in told.labels) == 2
    assert {row["status"]: row["videos"] for row in told.videos} == {"ok": 1, "removed": 1}


def test_restoring_brings_back_samples_labels_and_verdicts(each_project: Project) -> None:
    ids = add_samples(each_project, 3)
    with writing(each_project.engine) as session:
        add_label(session, session.get_one(models.Sample, ids[0]), "sentiment.T", 0.0)
        session.add(models.SampleCheck(sample_id=ids[1], name="face", value=0.1, passed=False, reason="no"))
        rejected = session.get_one(models.Sample, ids[1])
        rejected.status = SampleStatus.REJECTED
        session.get_one(models.Video, rejected.video_sha256).rules_hash = Rules(each_project.settings).hash
        session.get_one(models.Sample, ids[2]).status = SampleStatus.RETIRED
    before = status(each_project)
    remove(each_project, ["talk"])
    assert states(each_project) == {"removed", "retired"}
    assert status(each_project).rejected == {}
    report = remove(each_project, ["talk"], undo=True)
    assert (len(report.restored), report.samples, report.labels) == (1, 2, 1)
    with reading(each_project.engine) as session:
        assert [session.get_one(models.Sample, i).status for i in ids] == ["ok", "rejected", "retired"]
    after = status(each_project)
    assert (after.samples, after.labels, after.rejected, after.videos) == (
        before.samples, before.labels, before.rejected, before.videos,
    )  # fmt: skip


def test_unanswered_questions_are_withdrawn_and_closed_ones_stay(each_project: Project) -> None:
    (sample_id,) = add_samples(each_project, 1)
    (other,) = add_samples(each_project, 1, "other")
    ask(each_project, [sample_id, other])
    with writing(each_project.engine) as session:
        for item in session.query(models.Question).filter_by(sample_id=sample_id, modality="T"):
            item.state = QuestionState.CLOSED
    report = remove(each_project, ["talk"])
    assert report.withdrawn == 3
    found = {key: item.state for key, item in items(each_project).items()}
    assert found.pop((sample_id, "T")) == QuestionState.CLOSED
    assert {state for (sample, _), state in found.items() if sample == sample_id} == {QuestionState.WITHDRAWN}
    assert QuestionState.WITHDRAWN not in {s for (sample, _), s in found.items() if sample == other}
    remove(each_project, ["talk"], undo=True)
    with reading(each_project.engine) as session:
        (left,) = candidates(session, each_project.settings.passes)
        assert (left.sample_id, "".join(left.passes)) == (sample_id, "AVM")


def test_a_dry_run_tells_all_and_changes_nothing(project: Project) -> None:
    ids = add_samples(project, 2)
    ask(project, ids)
    report = remove(project, ["talk"], dry_run=True)
    assert (report.removed, report.samples, report.withdrawn, report.dry_run) == (["talk"], 2, 8, True)
    assert states(project) == {"ok"}
    assert {item.state for item in items(project).values()} == {QuestionState.QUEUED, QuestionState.HELD}


def test_a_name_of_several_videos_lists_them_and_removes_none(project: Project) -> None:
    with writing(project.engine) as session:
        for folder in ("a", "b"):
            video = add_video(session, f"{folder}/talk")
            video.name = "talk"
            session.add(models.VideoFile(
                path=f"/{folder}/talk.mp4", size=1, mtime_ns=1, inode=1, sidecar_mtime_ns=0,
                video_sha256=video.sha256,
            ))  # fmt: skip
            add_sample(session, video)
    with pytest.raises(UsageError, match=r"2 videos are called 'talk': /a/talk.mp4 .*, /b/talk.mp4"):
        remove(project, ["/a/talk.mp4", "talk"])
    assert states(project) == {"ok"}
    with pytest.raises(UnknownName):
        remove(project, ["/a/talk.mp4", "walk"])
    assert states(project) == {"ok"}
    assert remove(project, ["/a/talk.mp4", "/b/talk.mp4", "/a/talk.mp4"]).samples == 2


def test_a_second_removal_has_nothing_to_do(project: Project) -> None:
    add_samples(project, 1)
    with pytest.raises(NothingToDo, match="not removed"):
        remove(project, ["talk"], undo=True)
    remove(project, ["talk"])
    with pytest.raises(NothingToDo, match="removed already"):
        remove(project, ["talk"])


def test_a_removed_video_stays_removed_whatever_is_ingested(each_project: Project, folder: Path) -> None:
    make(folder, a="speech 2", b="speech 3")
    ingest(each_project, [folder], workers=1)
    remove(each_project, ["a.mp4"])
    (folder / "copy.mp4").write_text("speech 2")
    (folder / "a.mp4").touch()
    for path in each_project.media.rglob("*.mp4"):
        path.unlink()
    report = ingest(each_project, [folder], workers=1)
    assert (report.samples, report.removed) == (3, 1)
    assert any("removed by hand" in warning and "a.mp4" in warning for warning in report.warnings)
    assert recheck(each_project).samples == 3
    with pytest.raises(NothingToDo, match="removed by hand"):
        ingest(each_project, [folder / "a.mp4"], workers=1)
    remove(each_project, [str(folder / "copy.mp4")], undo=True)
    report = ingest(each_project, [folder], workers=1)
    assert (report.samples, report.removed) == (5, 0)


def test_groups_and_repeats_do_not_see_a_removed_video(each_project: Project) -> None:
    words, samples = "one two three four five six seven", list[str]()
    with writing(each_project.engine) as session:
        for name, speaker, split in (("a", "anna", Split.TEST), ("b", "bert", Split.TRAIN)):
            sample = add_sample(session, add_video(session, name, speaker, split), text=words)
            session.add(models.DuplicateKey(kind="text", key=7, sample_id=sample.id))
            samples.append(sample.id)
    ask(each_project, samples)
    recheck(each_project)
    assert status(each_project).rejected == {REPEATED_TEXT: 1}
    remove(each_project, ["a"])
    assert status(each_project).rejected == {}
    with reading(each_project.engine) as session:
        assert homes(session) == {"bert": Split.TRAIN}
    remove(each_project, ["a"], undo=True)
    assert status(each_project).rejected == {REPEATED_TEXT: 1}


@pytest.mark.parametrize("asked", [True, False])
def test_a_speaker_who_moved_meanwhile_is_not_in_two_splits_after_restoring(
    project: Project, asked: bool
) -> None:
    (old,) = add_samples(project, 1, "old")
    with writing(project.engine) as session:
        session.get_one(models.Video, session.get_one(models.Sample, old).video_sha256).speaker = "anna"
    if asked:
        ask(project, [old])
    remove(project, ["old"])
    with writing(project.engine) as session:
        new = add_sample(session, add_video(session, "new", "anna", Split.TEST)).id
    if not asked:
        ask(project, [new])
    report = remove(project, ["old"], undo=True)
    assert "another split" in report.warnings[0]
    split = scalar(project, select(models.Sample.split).where(models.Sample.id == old))
    assert split == (None if asked else Split.TEST)
    recheck(project)
    assert scalar(project, select(models.Sample.split).where(models.Sample.id == old)) == split


def test_the_command_line_says_it_in_text_and_json(project: Project, annotate: Any) -> None:
    add_samples(project, 1)
    done = annotate("remove", "talk", "--json", cwd=project.root)
    assert (done.returncode, json.loads(done.stdout)["removed"]) == (0, ["talk"])
    done = annotate("remove", "talk", cwd=project.root)
    assert (done.returncode, "removed already" in done.stderr) == (3, True)
    done = annotate("remove", "--undo", "talk", cwd=project.root)
    assert (done.returncode, "restored" in done.stdout) == (0, True)
    done = annotate("explain", "talk", cwd=project.root)
    assert "removed" not in done.stdout


# ---- with a real Label Studio --------------------------------------------------------------------


def served(rater: Rater, project: Project) -> set[str]:
    """Samples that Label Studio gives to a rater who has answered nothing, without answering."""
    with reading(project.engine) as session:
        number = session.scalar(
            select(models.LsProject.ls_project_id).order_by(models.LsProject.server.desc())
        )
    task = rater._call("GET", f"/api/projects/{number}/next")
    return {task["data"]["sample"]} if task else set()


def test_label_studio_asks_nobody_about_a_removed_video_and_keeps_late_answers(
    project: Project, label_studio: LabelStudio
) -> None:
    project = with_raters(label_studio.use(project), 2, [Modality.TEXT])
    (gone,), (kept,) = add_samples(project, 1, "gone"), add_samples(project, 1, "kept")
    ask(project, [gone, kept])
    pull(project)
    first, late = (Rater(label_studio.url, *label_studio.add_rater()) for _ in range(2))
    question = items(project)[gone, "T"]
    first.answer(question, sentiment="1")
    report = remove(project, ["gone"])
    assert (report.withdrawn, report.warnings) == (1, [])
    assert served(late, project) == {kept}
    late.answer(question, sentiment="-1")
    late.answer(items(project)[kept, "T"], sentiment="0")
    home = pull(project)
    assert home.passes["T"].answers == 3
    assert scalar(project, select(func.count(models.Annotation.id))) == 3
    assert items(project)[gone, "T"].state == QuestionState.WITHDRAWN
    assert home.labels["sentiment.T"] == 1
    again = with_raters(project, 3, [Modality.TEXT])
    pull(again)
    third = Rater(label_studio.url, *label_studio.add_rater())
    assert served(third, project) == {kept}


def test_without_label_studio_the_questions_are_withdrawn_at_the_next_pull(
    project: Project, label_studio: LabelStudio
) -> None:
    online = with_raters(label_studio.use(project), 1, [Modality.TEXT])
    (gone,) = add_samples(online, 1, "gone")
    ask(online, [gone])
    pull(online)
    offline = with_raters(project, 1, [Modality.TEXT])
    report = remove(offline, ["gone"])
    assert "still shows 1 withdrawn question" in report.warnings[0]
    rater = Rater(label_studio.url, *label_studio.add_rater())
    assert served(rater, online) == {gone}
    pull(online)
    assert served(rater, online) == set()
    with writing(online.engine) as session:
        assert withdraw_unwanted(session, online.settings.passes) == 0
