"""What ingest stores about speakers, episodes and splits, on either database."""

from pathlib import Path
from typing import Any

from sqlalchemy import select

from annotate.config.settings import Settings
from annotate.ingest.settle import settle as settle_samples
from annotate.project import Project
from annotate.types import PreparedSample, Segment, Turn, VideoMetadata, VideoOutcome, VideoStatus, sample_id
from db import models, videos
from db.engine import reading, writing
from db.models import QuestionState, SampleStatus


def with_splits(project: Project, **settings: Any) -> Project:
    content = project.settings.model_dump()
    content["splits"] |= settings
    other = Project(project.root, Settings(**content))
    other.__dict__["engine"] = project.engine
    return other


def cut(project: Project, name: str, *speakers: str, origin: str = "transcript", whole: str = "") -> None:
    """Store a video of one second per speaker, as a worker would hand it back."""
    made = []
    for second, speaker in enumerate(speakers):
        segment = Segment(second * 1_000_000, (second + 1) * 1_000_000, "a word", speaker=speaker)
        made.append(
            PreparedSample(
                sample_id(name, segment), segment, "transcript", {}, {}, speaker, origin if speaker else ""
            )
        )
    outcome = VideoOutcome(name, VideoStatus.OK, "", "", {}, tuple(made))
    with writing(project.engine) as session:
        videos.put_video(session, outcome, name=name, settings_hash="", speaker=whole or name)


def settle(project: Project, **metadata: VideoMetadata) -> list[str]:
    """End an ingest; its warnings."""
    with writing(project.engine) as session:
        return settle_samples(project, session, metadata).warnings


def splits(project: Project) -> dict[str, str | None]:
    with reading(project.engine) as session:
        return {v.sha256: v.split for v in session.scalars(select(models.Video))}


def sample_rows(project: Project, video: str) -> list[models.Sample]:
    with reading(project.engine) as session:
        query = select(models.Sample).where(models.Sample.video_sha256 == video)
        return sorted(session.scalars(query), key=lambda row: row.start_us)


def fill(project: Project, count: int = 4) -> None:
    """Strangers, so that every split has somebody."""
    for n in range(count):
        cut(project, f"stranger{n}", "")


def ask(project: Project, *names: str) -> None:
    """Draw a question about the first sample of each of these videos."""
    with writing(project.engine) as session:
        batch = models.Batch(strategy="uniform", seed=0, settings={})
        session.add(batch)
        session.flush()
        for name in names:
            query = select(models.Sample.id).where(models.Sample.video_sha256 == name)
            first = min(session.scalars(query))
            session.add(models.Question(
                batch_id=batch.id, sample_id=first, modality="T", role="active", rank=0, score=0.0,
                inclusion_probability=None, state=QuestionState.OPEN, key=f"{batch.id} {name}",
            ))  # fmt: skip


def apart(project: Project) -> tuple[str, str]:
    """Two videos in two splits that raters were asked about: the splits, that of ann's in front."""
    cut(project, "a", "ann", "ann")
    cut(project, "b", "ben", "ben")
    fill(project, 1)
    settle(project)
    home = splits(project)
    assert len(set(home.values())) == 3
    ask(project, *home)
    return str(home["a"]), str(home["b"])


def test_a_speaker_of_single_samples_keeps_videos_together(each_project: Project) -> None:
    for n in range(6):
        cut(each_project, f"v{n}", f"p{n}", f"p{n // 2 * 2}")
    settle(each_project)
    found = splits(each_project)
    assert all(found[f"v{n}"] == found[f"v{n + 1}"] for n in (0, 2, 4))
    assert set(found.values()) == {"train", "valid", "test"}


def test_a_guessed_speaker_ties_nothing(each_project: Project) -> None:
    for n in range(3):
        cut(each_project, f"v{n}", "voice 1", "voice 2", origin="voice")
    assert settle(each_project) == []
    assert set(splits(each_project).values()) == {"train", "valid", "test"}


def test_a_new_video_gets_the_split_of_whoever_talks_in_it(each_project: Project) -> None:
    train, other = apart(each_project)
    cut(each_project, "c", "ann")
    cut(each_project, "d", "ben")
    assert settle(each_project) == []
    assert (splits(each_project)["c"], splits(each_project)["d"]) == (train, other)


def test_a_video_that_ties_two_splits_is_used_without_the_samples_that_would_leak(
    each_project: Project,
) -> None:
    home, _ = apart(each_project)
    before = splits(each_project)
    cut(each_project, "c", "ann", "ann", "ben", "")
    for _ in range(2):
        warning = settle(each_project)[0]
        assert warning.startswith("1 sample gets no split") and "ben" in warning
        assert [row.split for row in sample_rows(each_project, "c")] == [home, home, None, home]
    assert {name: splits(each_project)[name] for name in before} == before


def test_new_names_in_an_old_video_cannot_leak_either(each_project: Project) -> None:
    home, _ = apart(each_project)
    cut(each_project, "a", "ann", "ann", "ben")
    assert settle(each_project)[0].startswith("1 sample gets no split")
    assert [row.split for row in sample_rows(each_project, "a")] == [home, home, None]


def test_rejected_samples_do_not_count_but_get_their_split_when_they_come_back(each_project: Project) -> None:
    cut(each_project, "a", "ann")
    cut(each_project, "gone", "zoe")
    fill(each_project)
    with writing(each_project.engine) as session:
        for row in session.scalars(select(models.Sample).where(models.Sample.video_sha256 == "gone")):
            row.status = SampleStatus.REJECTED
    settle(each_project)
    assert splits(each_project)["gone"] is None
    before = splits(each_project)
    ask(each_project, *(before.keys() - {"gone"}))
    with writing(each_project.engine) as session:
        for row in session.scalars(select(models.Sample).where(models.Sample.video_sha256 == "gone")):
            row.status = SampleStatus.OK
    settle(each_project)
    assert splits(each_project)["gone"] is not None
    assert [row.split for row in sample_rows(each_project, "gone")] == [splits(each_project)["gone"]]
    assert {**splits(each_project), "gone": None} == before


def test_episodes_stay_together_and_a_cast_can_be_left_free(each_project: Project) -> None:
    told = {f"v{n}": VideoMetadata(episode=f"e{n // 2}") for n in range(12)}
    for n in range(12):
        cut(each_project, f"v{n}", "monica", "ross")
    project = with_splits(each_project, together=["episode"])
    assert settle(project, **told) == []
    found = splits(project)
    assert all(found[f"v{n}"] == found[f"v{n + 1}"] for n in range(0, 12, 2))
    assert set(found.values()) == {"train", "valid", "test"}


def test_a_cast_that_joins_everything_is_never_silent(each_project: Project) -> None:
    for n in range(4):
        cut(each_project, f"v{n}", "monica", "ross")
    (warning,) = settle(each_project)
    assert warning.startswith("4 videos share speakers") and "100 %" in warning


def test_an_episode_named_later_never_moves_a_split_that_was_asked(each_project: Project) -> None:
    apart(each_project)
    before = splits(each_project)
    warnings = settle(each_project, a=VideoMetadata(episode="e1"), b=VideoMetadata(episode="e1"))
    assert warnings[0].startswith("1 video keeps its old episode") and "b" in warnings[0]
    assert splits(each_project) == before


def test_turns_of_a_table_name_whoever_talks_most_and_stay_when_the_video_is_cut_again(
    each_project: Project,
) -> None:
    cut(each_project, "v", "voice 1", "voice 2", "", origin="voice")
    turns = (Turn("ann", 0, 600_000), Turn("ben", 500_000, 1_900_000), Turn("cleo", 900_000, 950_000))
    assert settle(each_project, v=VideoMetadata(turns=turns)) == []
    named = [("ann", "table"), ("ben", "table"), ("", "")]
    assert [(row.speaker, row.speaker_origin) for row in sample_rows(each_project, "v")] == named
    cut(each_project, "v", "voice 1", "voice 2", "", origin="voice")
    settle(each_project)
    assert [(row.speaker, row.speaker_origin) for row in sample_rows(each_project, "v")] == named


def test_a_turn_that_would_bring_two_splits_together_is_refused_and_told(each_project: Project) -> None:
    apart(each_project)
    (warning,) = settle(each_project, a=VideoMetadata(turns=(Turn("ben", 0, 1_000_000),)))
    assert warning.startswith("1 sample keeps its old speaker")
    assert [row.speaker for row in sample_rows(each_project, "a")] == ["ann", "ann"]


def test_a_new_version_of_a_video_keeps_its_episode(each_project: Project, tmp_path: Path) -> None:
    stat = videos.FileStat(1, 1, 1, 0)
    cut(each_project, "old", "")
    with writing(each_project.engine) as session:
        videos.put_file(session, "v.mp4", stat, "old")
    settle(each_project, old=VideoMetadata(episode="e1"))
    cut(each_project, "new", "")
    with writing(each_project.engine) as session:
        assert videos.put_file(session, "v.mp4", stat, "new")
        found = videos.video(session, "new")
        assert found is not None and (found.speaker, found.episode) == ("old", "e1")
