"""Where the clips of samples come from: video, time and speaker, as columns."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.chunks import rows_of
from db.models import Sample, Video


@dataclass(frozen=True, slots=True)
class Clips:
    """Video, time and speaker of n clips, as columns."""

    row: Mapping[str, int]
    """Row of each sample, by id."""
    seconds: Sequence[float]
    """(n,) length."""
    start_us: Sequence[int]
    """(n,) start in the video, in microseconds."""
    videos: Sequence[str]
    """(n,) sha256 of the video."""
    speakers: Sequence[str]
    """(n,) speaker of the sample, or else of its video."""


def read_clips(session: Session, sample_ids: Sequence[str]) -> Clips:
    """The clips of these samples. Raises `KeyError` for a sample that does not exist."""
    query = select(
        Sample.id,
        Sample.start_us,
        Sample.end_us - Sample.start_us,
        Video.sha256,
        Sample.speaker,
        Video.speaker,
    ).join(Video, Video.sha256 == Sample.video_sha256)
    wanted = list(dict.fromkeys(sample_ids))
    shared: dict[str, str] = {}  # a large pool has few videos and speakers, so each name is stored once
    row: dict[str, int] = {}
    seconds, start_us = array("d"), array("q")
    videos, speakers = list[str](), list[str]()
    for sample_id, start, length, video, own, of_video in rows_of(session, query, Sample.id, wanted):
        row[sample_id] = len(row)
        start_us.append(start)
        seconds.append(length / 1e6)
        videos.append(shared.setdefault(video, video))
        speakers.append(shared.setdefault(own or of_video, own or of_video))
    if missing := next((sample_id for sample_id in wanted if sample_id not in row), None):
        raise KeyError(missing)
    return Clips(row, seconds, start_us, videos, speakers)
