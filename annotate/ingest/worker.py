"""Runs in a worker process: cuts one video, and distinguishes a full or read-only folder from a bad video."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from annotate.errors import MediaError, StorageError
from annotate.media.files import NO_ROOM
from annotate.storage.clips import ClipStore
from annotate.types import VideoJob, VideoOutcome, VideoStatus

NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, slots=True)
class CannotWrite:
    """Returned instead of an outcome when clips cannot be stored, which is no fault of the video."""

    message: str
    remedy: str
    """What the user has to do first."""


Prepare = Callable[[VideoJob], VideoOutcome]


def cut(job: VideoJob, prepare: Prepare | None = None) -> VideoOutcome | CannotWrite:
    """Cut the video of `job` with `prepare`, and send the finished files to the store if there is one."""
    from annotate.executors.heartbeat import send_heartbeat
    from annotate.ingest import prepare as default
    from annotate.ingest.sources import localized, with_urls

    try:
        with localized(job, send_heartbeat) as local:
            outcome = with_urls(local, (prepare or default.prepare)(local))
            ClipStore(local.media, local.store).put([s.id for s in outcome.samples], send_heartbeat)
        return outcome
    except StorageError as error:
        return CannotWrite(str(error), error.hint)
    except MediaError as error:
        if error.code != "disk-full":
            return VideoOutcome(job.sha256, VideoStatus.FAILED, error.code, str(error), {}, ())
        return CannotWrite(str(error), "make room")
    except OSError as error:
        if error.errno in NO_ROOM:
            return CannotWrite(f"{job.media} has no room left: {error.strerror}", "make room")
        if error.errno in NO_PERMISSION and error.filename and Path(error.filename).is_relative_to(job.media):
            return CannotWrite(f"{error.filename} cannot be written: {error.strerror}", "check who owns it")
        raise
