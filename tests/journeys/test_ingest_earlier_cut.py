"""A video that an earlier version cut keeps its samples where raters were asked about them."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from annotate.ingest.cut_hash import earlier_cut_hashes
from annotate.project import Project
from annotate.steps.ingest import IngestReport, ingest
from db import models
from db.engine import reading, writing
from db.models import SampleStatus
from tests.journeys.test_groups import ask


@pytest.fixture
def footage(tmp_path: Path, example_videos: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("grid_bbaf2n", "grid_lbax4n"):
        shutil.copy2(example_videos / f"{name}.mpg", folder)
    return folder


def cut_by_an_earlier_version(project: Project, footage: Path) -> None:
    """Cut every video otherwise than the present version does, and say that version 2 did it."""
    run(project.overruled("ingest", segmenter="energy", pad_seconds=0.4), footage)
    (earlier,) = earlier_cut_hashes(project.settings.cut_plan())
    with writing(project.engine) as session:
        for video in session.scalars(select(models.Video)):
            video.settings_hash = f"{earlier}.{video.settings_hash.partition('.')[2]}"


def run(project: Project, footage: Path) -> IngestReport:
    return ingest(project, [footage], workers=1)


def retired(project: Project) -> set[str]:
    """Names of the videos that have samples which no cut has any more."""
    with reading(project.engine) as session:
        query = select(models.Video.name).join(
            models.Sample, models.Sample.video_sha256 == models.Video.sha256
        )
        return set(session.scalars(query.where(models.Sample.status == SampleStatus.RETIRED)))


def test_only_videos_that_nobody_was_asked_about_are_cut_again_after_an_update(
    project: Project, footage: Path
) -> None:
    cut_by_an_earlier_version(project, footage)
    with reading(project.engine) as session:
        asked = session.scalars(select(models.Video.sha256).where(models.Video.name == "grid_bbaf2n")).one()
    ask(project, asked)
    report = run(project, footage)
    assert retired(project) == {"grid_lbax4n"}
    assert any("1 video keeps the cut of an earlier version" in warning for warning in report.warnings)
    assert run(project, footage).samples == report.samples == 2


def test_another_setting_cuts_them_again_all_the_same(project: Project, footage: Path) -> None:
    cut_by_an_earlier_version(project, footage)
    with reading(project.engine) as session:
        for sha256 in session.scalars(select(models.Video.sha256)).all():
            ask(project, sha256)
    assert retired(project) == set()
    run(project.overruled("ingest", pad_seconds=0.05), footage)
    assert retired(project) == {"grid_bbaf2n", "grid_lbax4n"}
