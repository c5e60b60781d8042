"""What runs in a worker process: cut one video, and tell a full disk from a bad file."""

import errno
from dataclasses import dataclass

from annotate.errors import MediaError
from annotate.types import VideoJob, VideoOutcome

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class DiskFull:
    """The answer instead of an outcome when there is no room: no fault of the video."""

    message: str


def cut(job: VideoJob) -> VideoOutcome | DiskFull:
    """Cut the video of `job`; its finished files lie in the media folder."""
    from annotate.steps._prepare import prepare

    try:
        return prepare(job)
    except MediaError as error:
        if error.code != "disk-full":
            raise
        return DiskFull(str(error))
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        return DiskFull(f"{job.media} has no room left: {error.strerror}")
