"""Rows for tests that start in the middle of the loop, without videos."""

import hashlib

from sqlalchemy.orm import Session

from annotate.types import Label, Segment, Split, sample_id
from db import models


def add_video(
    session: Session, name: str, speaker: str = "", split: Split | None = Split.TRAIN
) -> models.Video:
    """A video that was cut without trouble."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    video = models.Video(
        sha256=sha256, name=name, status="ok", reason="", detail="", facts={"duration_us": 60_000_000},
        settings_hash="", speaker=speaker or sha256, split=split,
    )  # fmt: skip
    session.add(video)
    session.flush()
    return video


def add_sample(
    session: Session, video: models.Video, start: float = 0.0, text: str = "hello"
) -> models.Sample:
    """An utterance of two seconds."""
    segment = Segment(int(start * 1e6), int((start + 2) * 1e6), text)
    sample = models.Sample(
        id=sample_id(video.sha256, segment), video_sha256=video.sha256, start_us=segment.start_us,
        end_us=segment.end_us, transcript=text, transcript_origin="subtitles" if text else "",
        status="ok", split=video.split, media_sha256={},
    )  # fmt: skip
    session.add(sample)
    session.flush()
    return sample


def add_label(
    session: Session, sample: models.Sample, task_id: str, value: float | str, raters: int = 5
) -> Label:
    """A label on which all raters agree."""
    alias = value if isinstance(value, str) else f"{value:g}"
    session.add(models.Label(
        sample_id=sample.id, task_id=task_id, origin="human",
        number=None if isinstance(value, str) else value, category=value if isinstance(value, str) else None,
        distribution={alias: 1.0}, confidence=1.0, raters=raters,
    ))  # fmt: skip
    session.flush()
    return Label(sample.id, task_id, value, {alias: 1.0}, raters)
