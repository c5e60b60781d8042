"""The whole way on an object store: clips are kept there, source videos come from there."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from annotate.config.settings import Settings
from annotate.corpus.clips import fetch_questions, require_clips
from annotate.errors import AnnotateError, StorageError, UsageError
from annotate.ingest import run as run_step
from annotate.ingest.worker import CannotWrite, cut
from annotate.project import Project
from annotate.steps.doctor import doctor
from annotate.steps.export import export
from annotate.steps.extract import extract
from annotate.steps.ingest import IngestReport, ingest
from annotate.temporary import PATTERN
from annotate.types import (
    CutPlan,
    Modality,
    PreparedSample,
    SampleMedia,
    Segment,
    VideoJob,
    VideoOutcome,
    VideoStatus,
    sample_id,
)
from db import models
from db.engine import reading, writing
from db.models import QuestionState
from tests.support.factories import add_label
from tests.support.leftovers import name_of_an_ended_process
from tests.support.media_factory import make_video
from tests.support.object_store import Bucket


def prepare_stand_in(job: VideoJob) -> VideoOutcome:
    """Makes small files instead of clips: "speech 3" has three samples, "broken" is broken."""
    order, *rest = job.path.read_text().split()
    if order == "broken":
        return VideoOutcome(job.sha256, VideoStatus.FAILED, "broken", f"{job.path} is no media file", {}, ())
    count = int(job.sidecar.read_text()) if job.sidecar else int(rest[0])
    samples = tuple(_sample(job, number) for number in range(count))
    return VideoOutcome(job.sha256, VideoStatus.OK, "", "", {"duration_us": 9_000_000}, samples)


def _sample(job: VideoJob, number: int) -> PreparedSample:
    segment = Segment(number * 1_000_000, (number + 1) * 1_000_000, f"word {number}")
    name = sample_id(job.sha256, segment)
    media, hashes = SampleMedia.under(job.media, name), {}
    for key, path in (("A", media.audio), ("V", media.silent), ("M", media.clip)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{key} {name}")
        hashes[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return PreparedSample(name, segment, "subtitles", hashes, {"speech": 1.0})


def stand_in(job: VideoJob) -> VideoOutcome | CannotWrite:
    return cut(job, prepare_stand_in)


@pytest.fixture
def kept(each_project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project on either database that keeps its clips in the bucket; videos are stand-ins."""
    monkeypatch.setattr(run_step, "cut", stand_in)
    return with_media(each_project, f"{bucket.url}/clips")


def with_media(project: Project, url: str) -> Project:
    content = project.settings.model_dump()
    content["storage"] = {"media": url}
    other = Project(project.root, Settings(**content))
    other.__dict__["engine"] = project.engine
    return other


def again(project: Project) -> Project:
    """As the next command sees it."""
    return with_media(project, project.settings.storage.media)


def run(project: Project, *paths: Path | str) -> IngestReport:
    return ingest(again(project), paths, workers=1)


def rows(project: Project, model: Any) -> list[Any]:
    with reading(project.engine) as session:
        return list(session.scalars(select(model)))


def clips(bucket: Bucket) -> list[str]:
    return [name for name in bucket.names() if name.startswith("clips/")]


def uploads(requests: list[str]) -> list[str]:
    return [r for r in requests if r.startswith("PUT") and "/.annotate-" not in r]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"v{number}.mp4").write_text(f"speech {number}")
    return folder


def test_clips_are_sent_to_the_store_and_a_second_run_sends_and_reads_nothing(
    kept: Project, bucket: Bucket, videos: Path
) -> None:
    assert run(kept, videos).samples == 6
    stored = clips(bucket)
    assert len(stored) == 18
    assert all(name.split("/")[1] in "AVM" for name in stored)
    bucket.store.tell(requests=True)
    second = run(kept, videos)
    requests = bucket.store.tell(requests=True)
    assert (second.new, second.unchanged, second.warnings) == (0, 3, [])
    assert len(requests) <= 6
    assert all(r.startswith("GET") and "list-type=2" in r for r in requests)


def test_a_deleted_cache_is_filled_on_demand_and_not_cut_again(
    kept: Project, bucket: Bucket, videos: Path
) -> None:
    run(kept, videos)
    shutil.rmtree(kept.media)
    assert run(kept, videos).new == 0
    ids = [sample.id for sample in rows(kept, models.Sample)]
    require_clips(again(kept), ids)
    assert all(kept.sample_media(i).clip.read_text() == f"M {i}" for i in ids)
    assert not any(kept.sample_media(i).silent.exists() for i in ids)


def test_a_deleted_object_is_sent_again_from_the_cache(kept: Project, bucket: Bucket, videos: Path) -> None:
    run(kept, videos)
    before = clips(bucket)
    bucket.delete(before[0])
    assert run(kept, videos).new == 0
    assert clips(bucket) == before


def test_a_deleted_object_without_a_cache_makes_its_video_cut_again(
    kept: Project, bucket: Bucket, videos: Path
) -> None:
    run(kept, videos)
    before = clips(bucket)
    bucket.delete(before[0])
    shutil.rmtree(kept.media)
    report = run(kept, videos)
    assert report.new == 1
    assert "cut again" in report.warnings[0]
    assert clips(bucket) == before


def test_a_project_moves_to_a_store_without_cutting_anything(
    each_project: Project, bucket: Bucket, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_step, "cut", stand_in)
    ingest(each_project, [videos], workers=1)
    moved = with_media(each_project, f"{bucket.url}/clips")
    assert run(moved, videos).new == 0
    assert len(clips(bucket)) == 18


def test_a_lost_or_damaged_clip_is_named_with_the_way_out(
    kept: Project, bucket: Bucket, videos: Path
) -> None:
    run(kept, videos)
    shutil.rmtree(kept.media)
    first = sorted(sample.id for sample in rows(kept, models.Sample))[0]
    bucket.put(f"clips/M/{first[:2]}/{first}.mp4", b"damaged")
    ids = [sample.id for sample in rows(kept, models.Sample)]
    with pytest.raises(StorageError, match=f"{first}.mp4 of sample {first} is damaged") as raised:
        require_clips(again(kept), ids)
    assert "delete what is damaged, then `annotate ingest`" in raised.value.hint
    bucket.delete(f"clips/M/{first[:2]}/{first}.mp4")
    assert run(kept, videos).new == 1
    require_clips(again(kept), ids)


def test_what_raters_are_shown_is_fetched_again(kept: Project, bucket: Bucket, videos: Path) -> None:
    run(kept, videos)
    shutil.rmtree(kept.media)
    states = (QuestionState.QUEUED, QuestionState.OPEN, QuestionState.CLOSED)
    ids = sorted(sample.id for sample in rows(kept, models.Sample))
    with writing(kept.engine) as session:
        batch = models.Batch(strategy="uniform", seed=0, settings={})
        session.add(batch)
        session.flush()
        for sample, state, modality in zip(ids, states, "AVM", strict=False):
            session.add(
                models.Question(
                    batch_id=batch.id, sample_id=sample, modality=modality, role="active", rank=0,
                    score=0.0, state=state, key=sample,
                )
            )  # fmt: skip
    fetch_questions(again(kept))
    there = [path for path in kept.media.rglob("*") if path.is_file()]
    assert sorted(there) == sorted([kept.sample_media(ids[0]).audio, kept.sample_media(ids[1]).silent])


def test_a_store_that_goes_down_in_the_middle_ends_the_run_and_the_next_goes_on(
    kept: Project, bucket: Bucket, videos: Path
) -> None:
    # The probe, then the three clips of the first video and one of the second.
    bucket.store.tell(refuse_after=5)
    with pytest.raises(AnnotateError, match="does not answer") as raised:
        run(kept, videos)
    assert "it goes on where it stopped" in raised.value.hint
    assert [video.name for video in rows(kept, models.Video)] == ["v1"]
    bucket.store.tell(refuse_after=None)
    bucket.store.tell(requests=True)
    report = run(kept, videos)
    assert (report.new, report.unchanged, report.samples) == (2, 1, 6)
    assert len(uploads(bucket.store.tell(requests=True))) == 15
    assert len(clips(bucket)) == 18


def test_a_wrong_bucket_is_told_before_any_video_is_read(
    each_project: Project, bucket: Bucket, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_step, "fetch", None)
    monkeypatch.setattr(run_step, "hash_file", None)
    wrong = with_media(each_project, "s3://no-such-bucket-here/clips")
    with pytest.raises(StorageError, match="does not exist") as raised:
        run(wrong, videos)
    assert "make the bucket" in raised.value.hint
    assert rows(wrong, models.Video) == []


def test_doctor_writes_and_reads_the_media_root(kept: Project, bucket: Bucket) -> None:
    (found,) = [c for c in doctor(again(kept)).checks if c["check"] == "media root"]
    assert (found["state"], found["detail"]) == ("ok", f"{bucket.url}/clips can be used")
    assert bucket.names() == []
    wrong = with_media(kept, "s3://no-such-bucket-here")
    (found,) = [c for c in doctor(wrong).checks if c["check"] == "media root"]
    assert (found["state"], found["do"]) == ("fail", "make the bucket, or correct the URL")


# ---- export ---------------------------------------------------------------------------------------


def finished(project: Project) -> None:
    """Every sample has all four labels of sentiment."""
    with writing(project.engine) as session:
        for sample in session.scalars(select(models.Sample)).all():
            for modality in Modality:
                add_label(session, sample, f"sentiment.{modality}", 0.0)


def written(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_export_fetches_the_clips_it_lacks_and_is_the_same_from_a_folder_and_from_a_store(
    each_project: Project, bucket: Bucket, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_step, "cut", stand_in)
    ingest(each_project, [videos], workers=1)
    finished(each_project)
    export(each_project, format="chsims-csv", dest=tmp_path / "from-folder")
    kept = with_media(each_project, f"{bucket.url}/clips")
    run(kept, videos)
    ids = sorted(sample.id for sample in rows(kept, models.Sample))
    shutil.rmtree(kept.media)
    bucket.store.tell(requests=True)
    export(again(kept), format="chsims-csv", dest=tmp_path / "nothing-cached")
    read = [r for r in bucket.store.tell(requests=True) if r.startswith("GET") and ".mp4" in r]
    assert (len(read), all("/clips/M/" in r for r in read)) == (6, True)
    # One copy is there, one is damaged, the rest is missing.
    clips_here = [kept.sample_media(name).clip for name in ids]
    clips_here[1].unlink()
    clips_here[1].write_bytes(b"damaged")
    for path in clips_here[2:]:
        path.unlink()
    export(again(kept), format="chsims-csv", dest=tmp_path / "some-cached")
    wanted = written(tmp_path / "from-folder")
    assert sum(name.endswith(".mp4") for name in wanted) == 6
    assert written(tmp_path / "nothing-cached") == wanted
    assert written(tmp_path / "some-cached") == wanted


@pytest.mark.parametrize("trouble", ["damaged", "gone"])
def test_an_export_whose_clips_cannot_be_had_says_so_and_keeps_the_earlier_one(
    trouble: str, kept: Project, bucket: Bucket, videos: Path, tmp_path: Path
) -> None:
    run(kept, videos)
    finished(kept)
    export(again(kept), format="chsims-csv", dest=tmp_path / "out")
    before = written(tmp_path / "out")
    shutil.rmtree(kept.media)
    name = next(name for name in clips(bucket) if name.startswith("clips/M/"))
    if trouble == "damaged":
        bucket.put(name, b"damaged")
    else:
        bucket.delete(name)
    with pytest.raises(StorageError, match=f"{name} of sample .* is {trouble}") as raised:
        export(again(kept), format="chsims-csv", dest=tmp_path / "out")
    assert raised.value.exit_code == 1
    assert "then `annotate ingest` the videos again" in raised.value.hint
    assert written(tmp_path / "out") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus", "out", "videos"]


# ---- sources ---------------------------------------------------------------------------------------


def test_videos_in_a_bucket_are_read_once_and_known_by_their_etag(kept: Project, bucket: Bucket) -> None:
    for number in (1, 2):
        bucket.put(f"videos/deep/v{number}.mp4", f"speech {number}".encode())
    bucket.put("videos/.hidden.mp4", b"speech 1")
    bucket.put("videos/readme.txt", b"no video")
    url = f"{bucket.url}/videos"
    bucket.store.tell(requests=True)
    report = run(kept, url)
    read = [r for r in bucket.store.tell(requests=True) if r.startswith("GET") and ".mp4" in r]
    assert (report.files, report.new, report.samples) == (2, 2, 3)
    assert len(read) == 2
    assert sorted(f.path for f in rows(kept, models.VideoFile)) == [f"{url}/deep/v{n}.mp4" for n in (1, 2)]
    assert not list(kept.media.glob(PATTERN))
    second = run(kept, url)
    assert (second.new, second.unchanged) == (0, 2)
    assert not [r for r in bucket.store.tell(requests=True) if ".mp4" in r]
    bucket.put("videos/deep/v1.mp4", b"speech 4")
    assert run(kept, url).new == 1


def test_a_video_is_the_same_wherever_it_lies(kept: Project, bucket: Bucket, videos: Path) -> None:
    run(kept, videos)
    url = bucket.put("other/name.mp4", (videos / "v1.mp4").read_bytes())
    assert run(kept, url).new == 0
    assert len(rows(kept, models.Video)) == 3


def test_a_transcript_beside_a_remote_video_is_used_and_watched(kept: Project, bucket: Bucket) -> None:
    url = bucket.put("videos/v.mp4", b"speech 1")
    bucket.put("videos/v.srt", b"2")
    assert run(kept, f"{bucket.url}/videos").samples == 2
    assert run(kept, url).new == 0
    bucket.put("videos/v.srt", b"3")
    assert run(kept, url).samples == 3


def test_a_broken_remote_video_is_named_by_its_url(kept: Project, bucket: Bucket) -> None:
    bucket.put("videos/good.mp4", b"speech 1")
    url = bucket.put("videos/bad.mp4", b"broken")
    (problem,) = run(kept, f"{bucket.url}/videos").problems
    assert (problem["file"], problem["detail"]) == (url, f"{url} is no media file")


def test_the_projects_own_clips_are_no_sources(kept: Project, bucket: Bucket, videos: Path) -> None:
    run(kept, videos)
    bucket.put("v.mp4", b"speech 1")
    assert run(kept, bucket.url).files == 1
    with pytest.raises(UsageError, match="this project made itself"):
        run(kept, f"{bucket.url}/clips/M")


def test_a_url_below_which_nothing_lies_is_told(kept: Project, bucket: Bucket) -> None:
    with pytest.raises(StorageError, match="/nothing/here does not exist"):
        run(kept, f"{bucket.url}/nothing/here")


def test_copies_that_a_killed_run_left_are_swept(kept: Project, bucket: Bucket, videos: Path) -> None:
    left = kept.media / name_of_an_ended_process() / "v.mp4"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    run(kept, videos)
    assert not left.exists()


def test_a_worker_elsewhere_fetches_the_video_and_keeps_nothing(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    url = bucket.put("v.mp4", b"speech 2")
    there = tmp_path / "not-on-this-machine"
    job = VideoJob(
        there / "v.mp4", hashlib.sha256(b"speech 2").hexdigest(), there, None, CutPlan(),
        store=f"{bucket.url}/clips", source=url,
    )  # fmt: skip
    outcome = stand_in(job)
    assert isinstance(outcome, VideoOutcome)
    assert len(outcome.samples) == 2
    assert len(clips(bucket)) == 6
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not there.exists()
    bucket.put("v.mp4", b"speech 3")
    changed = stand_in(job)
    assert isinstance(changed, VideoOutcome)
    assert (changed.status, changed.reason) == (VideoStatus.FAILED, "changed")


# ---- the real thing --------------------------------------------------------------------------------


def test_from_s3_to_s3_and_on_to_features_with_real_footage(
    project: Project, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("videos/talk.mp4", make_video(tmp_path / "talk.mp4", seconds=3.0).read_bytes())
    kept = with_media(project, f"{bucket.url}/clips")
    content = kept.settings.model_dump()
    content["checks"] = {}
    kept.__dict__["settings"] = Settings(**content)
    report = run(kept, f"{bucket.url}/videos/")
    assert report.samples >= 1
    shutil.rmtree(kept.media)
    began = os.times()
    second = run(kept, f"{bucket.url}/videos/")
    spent = os.times()
    assert (second.new, second.unchanged) == (0, 1)
    assert spent.children_user == began.children_user
    found = extract(again(kept))
    assert found.failures == []
    assert found.modalities["vision"].done == report.samples
    ids = [sample.id for sample in rows(kept, models.Sample)]
    assert all(kept.sample_media(i).audio.exists() and not kept.sample_media(i).clip.exists() for i in ids)
    shutil.rmtree(kept.media)
    shutil.rmtree(kept.features)
    for name in clips(bucket):
        bucket.put(name, b"damaged")
    broken = extract(again(kept))
    assert all("is damaged" in f["reason"] for f in broken.failures)
    assert len(broken.failures) == 2 * report.samples
