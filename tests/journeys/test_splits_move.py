"""Splits follow what the project holds until somebody is asked; then only what nobody depends on may move."""

import json

import pytest
from sqlalchemy import select

from annotate.project import Project
from annotate.steps.recheck import recheck
from annotate.steps.status import status
from annotate.types import VideoMetadata
from db import models
from db.engine import reading, writing
from db.groups import fixed_videos
from db.models import SampleStatus, VideoOrigin
from tests.conftest import MakeProject, RunAnnotate
from tests.journeys.test_groups import ask, cut, sample_rows, settle, splits, with_splits
from tests.support.factories import add_label


def counts(project: Project) -> dict[str, int]:
    with reading(project.engine) as session:
        query = select(models.Sample.split).where(models.Sample.status == SampleStatus.OK)
        found = list(session.scalars(query))
    return {name: found.count(name) for name in ("train", "valid", "test")}


def reject(project: Project, *names: str, back: bool = False) -> None:
    with writing(project.engine) as session:
        for row in session.scalars(select(models.Sample).where(models.Sample.video_sha256.in_(names))):
            row.status = SampleStatus.OK if back else SampleStatus.REJECTED


def test_until_somebody_is_asked_splits_do_not_depend_on_the_order_in_which_videos_came(
    each_project: Project, make_project: MakeProject
) -> None:
    at_once = make_project(name="at-once")
    names = [f"v{n}" for n in range(12)]
    for name in names:
        cut(at_once, name, "", "")
    settle(at_once)
    for name in reversed(names):
        cut(each_project, name, "", "")
        settle(each_project)
    assert splits(each_project) == splits(at_once)
    for row in sample_rows(each_project, "v3"):
        assert row.split == splits(each_project)["v3"]


def test_samples_that_a_recheck_brings_back_are_shared_out_by_the_targets(each_project: Project) -> None:
    names = [f"v{n:02d}" for n in range(44)]
    for name in names:
        cut(each_project, name, "")
    reject(each_project, *names[3:])
    settle(each_project)
    assert counts(each_project) == {"train": 1, "valid": 1, "test": 1}
    reject(each_project, *names[3:], back=True)
    report = recheck(each_project)
    assert counts(each_project) == {"train": 31, "valid": 7, "test": 6}
    assert sum(report.splits.values()) == 44
    once = splits(each_project)
    recheck(each_project)
    assert splits(each_project) == once


def test_other_shares_and_names_count_as_long_as_nobody_was_asked(each_project: Project) -> None:
    for n in range(10):
        cut(each_project, f"v{n}", "")
    settle(each_project)
    settle(with_splits(each_project, train=0.2, valid=0.4, test=0.4))
    assert counts(each_project) == {"train": 2, "valid": 4, "test": 4}
    told = {f"v{n}": VideoMetadata(episode="e") for n in range(9)}
    warnings = settle(each_project, **told)
    assert not any("keep" in warning for warning in warnings)
    assert len({splits(each_project)[f"v{n}"] for n in range(9)}) == 1


@pytest.mark.parametrize("evidence", ["question", "label", "answer", "imported"])
def test_what_was_asked_labelled_or_imported_stays_and_the_rest_moves_when_a_share_is_far_off(
    each_project: Project, evidence: str
) -> None:
    names = [f"v{n:02d}" for n in range(20)]
    for name in names:
        cut(each_project, name, "", "")
    settle(each_project)
    before = splits(each_project)
    fixed = next(name for name in names if before[name] == "valid")
    _mark(each_project, fixed, evidence)
    with reading(each_project.engine) as session:
        assert fixed_videos(session) == {fixed}
    assert settle(each_project) == [] and splits(each_project) == before
    gone = [name for name in names if before[name] == "train"][2:]
    reject(each_project, *gone)
    (warning,) = settle(each_project)
    after = splits(each_project)
    assert "nobody was asked about" in warning and "more than a third" in warning
    assert after[fixed] == "valid" and after != before
    for name in names:
        assert {row.split for row in sample_rows(each_project, name)} == {after[name]}
    assert settle(each_project) == [] and splits(each_project) == after


def _mark(project: Project, name: str, evidence: str) -> None:
    if evidence == "question":
        return ask(project, name)
    sample = sample_rows(project, name)[0]
    with writing(project.engine) as session:
        if evidence == "label":
            add_label(session, sample, "sentiment.M", 1.0)
        elif evidence == "imported":
            session.get_one(models.Video, name).origin = VideoOrigin.IMPORTED
        else:
            rater = models.Annotator(name="import:x")
            session.add(rater)
            session.flush()
            session.add(models.Annotation(
                sample_id=sample.id, task_id="sentiment.M", annotator_id=rater.id, state="answered",
                value="1", seconds=None, origin="x#1", revision="1", created_at=models.now(), raw={},
            ))  # fmt: skip
    return None


def test_whoever_shares_a_speaker_with_somebody_asked_stays_too(each_project: Project) -> None:
    cut(each_project, "asked", "ann")
    cut(each_project, "same speaker", "ann", "ann")
    for n in range(9):
        cut(each_project, f"v{n}", "")
    settle(each_project)
    home = splits(each_project)["asked"]
    ask(each_project, "asked")
    settle(with_splits(each_project, train=0.1, valid=0.45, test=0.45))
    assert {splits(each_project)[name] for name in ("asked", "same speaker")} == {home}


def test_nothing_moves_once_every_group_was_asked(each_project: Project) -> None:
    for n in range(6):
        cut(each_project, f"v{n}", "")
    settle(each_project)
    before = splits(each_project)
    ask(each_project, *before)
    settle(with_splits(each_project, train=0.1, valid=0.1, test=0.8))
    assert splits(each_project) == before


def test_a_repeat_that_is_rejected_for_its_split_does_not_change_the_next_draw(each_project: Project) -> None:
    for n in range(9):
        cut(each_project, f"v{n}", "", "")
    settle(each_project)
    once = splits(each_project)
    with writing(each_project.engine) as session:
        for row in session.scalars(select(models.Sample).where(models.Sample.video_sha256 == "v0")):
            row.status = SampleStatus.REJECTED
            session.add(models.SampleCheck(
                sample_id=row.id, name="repeated-text", value=1.0, passed=False, reason="repeats x in test"
            ))  # fmt: skip
    settle(each_project)
    assert splits(each_project) == once


def test_status_warns_when_a_share_is_off(project: Project, annotate: RunAnnotate) -> None:
    for n in range(20):
        cut(project, f"v{n:02d}", "")
    settle(project)
    assert status(project).warnings == []
    test = [name for name, split in splits(project).items() if split == "test"]
    reject(project, *test[1:])
    (warning,) = json.loads(annotate("status", "--json", cwd=project.root).stdout)["warnings"]
    assert "test holds 1 of 18 samples (6 %, target 15 %)" in warning
    assert "annotate recheck" in warning
