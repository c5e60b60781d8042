"""What runs in a worker process: cut one video, and tell a folder that cannot be written from a bad file."""

import errno
from dataclasses import dataclass
from pathlib import Path

from annotate.errors import MediaError
from annotate.types import VideoJob, VideoOutcome

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, slots=True)
class CannotWrite:
    """The answer instead of an outcome when clips cannot be stored: no fault of the video."""

    message: str
    do: str
    """What has to be done first."""


def cut(job: VideoJob) -> VideoOutcome | CannotWrite:
    """Cut the video of `job`; its finished files lie in the media folder."""
    from annotate.steps._prepare import prepare

    try:
        return prepare(job)
    except MediaError as error:
        if error.code != "disk-full":
            raise
        return CannotWrite(str(error), "make room")
    except OSError as error:
        if error.errno in NO_ROOM:
            return CannotWrite(f"{job.media} has no room left: {error.strerror}", "make room")
        if error.errno in NOT_OURS and error.filename and Path(error.filename).is_relative_to(job.media):
            return CannotWrite(f"{error.filename} cannot be written: {error.strerror}", "see who owns it")
        raise
