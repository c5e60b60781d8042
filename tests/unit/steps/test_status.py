"""`annotate status` counts what is there and says what to type next."""

import pytest

from annotate.console import plain
from annotate.errors import NothingToDo
from annotate.labelstudio.server import StudioFolder
from annotate.project import Project
from annotate.steps._next import next_command
from annotate.steps.extract import extract
from annotate.steps.next_batch import next_batch
from annotate.steps.status import status
from annotate.types import UNIMODAL, Modality, Split, Verdict
from db import checks, models
from db.batches import candidates, something_left
from db.dataset import record_export
from db.engine import writing
from db.groups import rename_speakers
from db.models import AnnotationState, QuestionState, SampleStatus
from tests.support.factories import add_label, add_sample, add_video


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "annotate.corpus.features.feature_names", lambda _: {m: f"fake-{m.word}@01" for m in UNIMODAL}
    )


def studio(runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StudioFolder, "running", lambda folder: object() if runs else None)


def add_features(session: object, sample: models.Sample) -> None:
    for modality in UNIMODAL:
        name = f"fake-{modality.word}@01"
        shard = models.FeatureShard(
            sha256=f"{modality}{sample.id}", path=f"{modality}{sample.id}", modality=modality,
            extractor=name, samples=1,
        )  # fmt: skip
        session.add(shard)  # type: ignore[attr-defined]
        session.flush()  # type: ignore[attr-defined]
        session.add(models.Feature(  # type: ignore[attr-defined]
            sample_id=sample.id, extractor=name, shard_sha256=shard.sha256, position=0, input_hash="",
        ))  # fmt: skip


def add_item(session: object, sample: models.Sample, modality: Modality, state: QuestionState) -> None:
    batch = models.Batch(strategy="random", seed=0, settings={})
    session.add(batch)  # type: ignore[attr-defined]
    session.flush()  # type: ignore[attr-defined]
    session.add(models.Question(  # type: ignore[attr-defined]
        batch_id=batch.id, sample_id=sample.id, modality=modality, role="active", rank=0, score=0.0,
        state=state, key=f"{sample.id}{modality}",
    ))  # fmt: skip


def test_an_empty_project_has_nothing_and_says_to_ingest(each_project: Project) -> None:
    report = status(each_project)
    assert report.videos == []
    assert report.samples == {"train": 0, "valid": 0, "test": 0}
    assert report.next == "annotate ingest FOLDER-WITH-VIDEOS"


def test_everything_is_counted_once(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        for split, name in ((Split.TRAIN, "a"), (Split.TEST, "b")):
            sample = add_sample(session, add_video(session, name, split=split))
            add_label(session, sample, "sentiment.T", 0.0)
        retired = add_sample(session, add_video(session, "c"))
        retired.status = "retired"
        add_label(session, retired, "sentiment.T", 0.0)
        session.add(models.Video(
            sha256="x", name="x", status="failed", reason="broken", facts={}, settings_hash="", speaker="x",
        ))  # fmt: skip
        session.add(models.VideoFile(
            path="/v.mp4", size=0, mtime_ns=0, inode=0, sidecar_mtime_ns=0, reason="unreadable",
        ))  # fmt: skip
        add_item(session, sample, Modality.TEXT, QuestionState.CLOSED)
        add_item(session, sample, Modality.AUDIO, QuestionState.OPEN)
    report = status(each_project)
    assert {(row["status"], row["reason"]): row["videos"] for row in report.videos} == {
        ("ok", ""): 3, ("failed", "broken"): 1, ("unreadable", ""): 1,
    }  # fmt: skip
    assert report.samples == {"train": 1, "valid": 0, "test": 1}
    assert report.labels[0] == {
        "task": "sentiment.T", "origin": "human", "train": 1, "valid": 0, "test": 1,
    }  # fmt: skip
    assert len(report.labels) == 4
    assert {row["pass"]: (row["open"], row["closed"]) for row in report.questions} == {
        "text": (0, 1), "audio": (1, 0), "vision": (0, 0), "multimodal": (0, 0),
    }  # fmt: skip
    assert report.batches == 2


def test_an_answer_that_was_corrected_counts_once(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        sample = add_sample(session, add_video(session, "a"))
        rater = models.Annotator(name="ann@example.org")
        session.add(rater)
        session.flush()
        previous = None
        for revision, state in enumerate((AnnotationState.ANSWERED, AnnotationState.ANSWERED)):
            row = models.Annotation(
                sample_id=sample.id, task_id="sentiment.T", annotator_id=rater.id, state=state, value="0",
                seconds=30.0, origin="s#1", revision=str(revision), supersedes_id=previous, raw={},
                created_at=models.now(),
            )  # fmt: skip
            session.add(row)
            session.flush()
            previous = row.id
    assert status(each_project).annotators == [
        {"annotator": "ann@example.org", "answered": 1, "skipped": 0, "minutes": 0.5}
    ]


def test_scores_come_from_the_test_split_of_the_latest_rounds(project: Project) -> None:
    with writing(project.engine) as session:
        for _ in range(5):
            session.add(models.Round(
                seed=0, labels_hash="", settings={}, model="", seconds=1.0,
                metrics={
                    "valid": {"sentiment.M": {"MAE": 9.0}},
                    "test": {"sentiment.M": {"n": 4, "MAE": 0.5, "x": 1}},
                },
            ))  # fmt: skip
    report = status(project)
    assert report.rounds == 5
    assert [row["round"] for row in report.scores] == [5, 4, 3]
    assert report.scores[0] == {"round": 5, "task": "sentiment.M", "n": 4, "MAE": 0.5}
    assert plain(report)["folder"] == str(project.root)


def test_the_next_command_follows_the_loop(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing(project.engine) as session:
        wanted = add_sample(session, add_video(session, "a")).id
    assert next_command(project) == "annotate extract"
    with writing(project.engine) as session:
        add_features(session, session.get_one(models.Sample, wanted))
    assert next_command(project) == "annotate studio up"
    studio(True, monkeypatch)
    assert next_command(project) == "annotate next-batch"
    with writing(project.engine) as session:
        add_item(session, session.get_one(models.Sample, wanted), Modality.TEXT, QuestionState.OPEN)
    assert next_command(project) == "annotate pull"
    # The first thing to happen is that raters answer.
    assert status(project).next.startswith("raters have 1 open question in Label Studio")
    assert status(project).next.endswith("when they have answered: annotate pull")
    studio(False, monkeypatch)
    assert next_command(project) == "annotate studio up"


def test_where_rules_keep_every_sample_out_the_next_command_shows_why(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        sample = add_sample(session, add_video(session, "a"))
        sample.status = SampleStatus.REJECTED
        checks.put_verdicts(session, {sample.id: [Verdict("snr", 1.0, False, "too noisy")]})
    assert next_command(each_project) == "annotate explain VIDEO"
    for step in (lambda: extract(each_project), lambda: next_batch(each_project, n=1, dry_run=True)):
        with pytest.raises(NothingToDo, match=r"every sample is rejected \(snr 1\)") as caught:
            step()
        assert "annotate explain" in caught.value.hint and "annotate recheck" in caught.value.hint


def test_where_no_sample_has_a_split_next_batch_says_so(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        sample = add_sample(session, add_video(session, "a"))
        sample.split = None
    with pytest.raises(NothingToDo, match="1 sample has no split"):
        next_batch(each_project, n=1, dry_run=True)


def test_when_every_label_is_there_the_dataset_can_be_written(project: Project) -> None:
    with writing(project.engine) as session:
        sample = add_sample(session, add_video(session, "a"))
        silent = add_sample(session, add_video(session, "b"), text="")
        for modality in Modality:
            add_label(session, sample, f"sentiment.{modality}", 0.0)
            if modality is not Modality.TEXT:
                add_label(session, silent, f"sentiment.{modality}", 0.0)
        add_features(session, sample)
        add_features(session, silent)
    assert next_command(project) == "annotate export mmsa dataset"


def test_after_an_export_all_is_done_until_an_answer_or_another_change_comes(
    each_project: Project,
) -> None:
    project = each_project
    with writing(project.engine) as session:
        sample = add_sample(session, add_video(session, "a"))
        for modality in Modality:
            add_label(session, sample, f"sentiment.{modality}", 0.0)
        add_features(session, sample)
        rater = models.Annotator(name="ann@example.org")
        session.add(rater)
        session.flush()
        sample_id, video, rater_id = sample.id, sample.video_sha256, rater.id
    dest = project.root / "dataset"

    def export() -> None:
        with writing(project.engine) as session:
            record_export(
                session, format="mmsa", path=str(dest), manifest_sha256="", samples=1, detail={}
            )  # fmt: skip

    again = "annotate export mmsa dataset"
    assert status(project).next == again
    export()
    assert status(project).next == again, "the folder is gone"
    dest.mkdir()
    assert status(project).next.startswith(f"done: {dest} holds every finished sample")
    with writing(project.engine) as session:
        session.add(models.Annotation(
            sample_id=sample_id, task_id="sentiment.T", annotator_id=rater_id, state="answered", value="1",
            origin="s#1", revision="1", raw={}, created_at=models.now(),
        ))  # fmt: skip
    assert status(project).next == again
    export()
    assert status(project).next.startswith("done: ")
    with writing(project.engine) as session:
        assert rename_speakers(session, {video: "anna"}) == []
    assert status(project).next == again


def test_a_question_that_everybody_skipped_does_not_send_the_user_round_in_circles(
    each_project: Project,
) -> None:
    with writing(each_project.engine) as session:
        sample = add_sample(session, add_video(session, "a"))
        add_features(session, sample)
        for modality in Modality:
            add_item(session, sample, modality, QuestionState.CLOSED)
    assert next_command(each_project) == "annotate export mmsa dataset"


@pytest.mark.parametrize("state", [None, *QuestionState])
@pytest.mark.parametrize("labelled", [False, True])
def test_something_is_left_exactly_when_there_are_candidates(
    each_project: Project, state: QuestionState | None, labelled: bool
) -> None:
    passes = each_project.settings.passes
    with writing(each_project.engine) as session:
        sample = add_sample(session, add_video(session, "a"), text=" ")
        for modality in passes:
            if state is not None:
                add_item(session, sample, modality, state)
            if labelled:
                add_label(session, sample, f"sentiment.{modality}", 0.0)
        assert something_left(session, passes) == bool(candidates(session, passes))
