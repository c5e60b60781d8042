"""What runs in a worker process: cut one video, and tell a folder that cannot be written from a bad file."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from annotate.errors import MediaError, StorageError
from annotate.media.files import NO_ROOM
from annotate.storage.clips import ClipStore
from annotate.types import VideoJob, VideoOutcome, VideoStatus

NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, slots=True)
class CannotWrite:
    """The answer instead of an outcome when clips cannot be stored: no fault of the video."""

    message: str
    do: str
    """What has to be done first."""


Prepare = Callable[[VideoJob], VideoOutcome]


def cut(job: VideoJob, prepare: Prepare | None = None) -> VideoOutcome | CannotWrite:
    """Cut the video of `job` by `prepare`; its finished files lie in the media folder, and in the store."""
    try:
        return _cut_and_send(job, prepare or _real())
    except StorageError as error:
        return CannotWrite(str(error), error.hint)
    except MediaError as error:
        if error.code != "disk-full":
            return VideoOutcome(job.sha256, VideoStatus.FAILED, error.code, str(error), {}, ())
        return CannotWrite(str(error), "make room")
    except OSError as error:
        if error.errno in NO_ROOM:
            return CannotWrite(f"{job.media} has no room left: {error.strerror}", "make room")
        if error.errno in NOT_OURS and error.filename and Path(error.filename).is_relative_to(job.media):
            return CannotWrite(f"{error.filename} cannot be written: {error.strerror}", "see who owns it")
        raise


def _real() -> Prepare:
    from annotate.ingest.prepare import prepare

    return prepare


def _cut_and_send(job: VideoJob, prepare: Prepare) -> VideoOutcome:
    from annotate.executors._alive import alive
    from annotate.ingest.sources import here, told_of_source

    with here(job, alive) as ours:
        outcome = told_of_source(ours, prepare(ours))
        ClipStore(ours.media, ours.store).put([sample.id for sample in outcome.samples], alive)
    return outcome
