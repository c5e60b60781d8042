"""Makes a source video available on the machine that cuts it: a video behind a URL is downloaded."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from annotate.errors import MediaError
from annotate.ingest.files import SourceFile
from annotate.media.files import NO_ROOM, disk_full
from annotate.permissions import make_folder
from annotate.storage.sources import download
from annotate.storage.urls import is_url
from annotate.temporary import temporary_name
from annotate.types import VideoJob, VideoOutcome

_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A source video on this machine, with its transcript."""

    path: Path
    sidecar: Path | None
    sha256: str
    url: str = ""
    """Where a copy was downloaded from; empty for a file of this machine."""
    sidecar_url: str = ""

    def discard(self) -> None:
        """Delete the files if they are downloaded copies."""
        if self.url:
            shutil.rmtree(self.path.parent, ignore_errors=True)


def is_remote(file: SourceFile) -> bool:
    """Whether the file lies behind a URL."""
    return is_url(file.path)


def fetch(
    file: SourceFile, media: Path, on_progress: Callable[[int], None] = lambda done: None
) -> LocalSource:
    """Download a remote video and its transcript into the media folder, hashing it on the way.

    `on_progress` is called with the bytes done so far. Raises `OSError` when the video is gone or access is
    refused, `StorageError` when the store does not answer, `MediaError` with code ``disk-full``.
    """
    folder = media / temporary_name()
    try:
        make_folder(folder, 0o700)
        # Stores allow names that no disk does.
        name = re.sub(r"[^\w.-]", "_", Path(file.path).name)[-_LONGEST_NAME:]
        path = folder / name
        sha256 = download(file.path, path, on_progress)
        sidecar = None
        if file.sidecar:
            sidecar = path.with_suffix(Path(file.sidecar).suffix)
            download(file.sidecar, sidecar)
        return LocalSource(path, sidecar, sha256, file.path, file.sidecar or "")
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise disk_full(folder) from error
        raise


@contextmanager
def localized(job: VideoJob, on_progress: Callable[[], None]) -> Iterator[VideoJob]:
    """The job with paths that exist on the machine of this worker.

    A worker on another machine than the driver sees neither the downloaded copy nor the media folder: it
    downloads the video itself and writes into a scratch folder, and both are deleted at the end.

    Raises as `fetch` does, and `MediaError` with code ``changed``.
    """
    no_media, no_video = job.store and not job.media.is_dir(), job.source and not job.path.exists()
    if not no_media and not no_video:
        yield job
        return
    with tempfile.TemporaryDirectory(prefix="annotate-") as scratch:
        if no_media:
            job = replace(job, media=Path(scratch) / "media")
        if no_video:
            path = Path(scratch) / job.path.name
            if download(job.source, path, lambda done: on_progress()) != job.sha256:
                raise MediaError(
                    f"{job.source} changed since it was hashed", code="changed", hint="run this again"
                )
            sidecar = Path(scratch) / job.sidecar.name if job.sidecar else None
            if sidecar:
                download(job.sidecar_source, sidecar, lambda done: on_progress())
            job = replace(job, path=path, sidecar=sidecar)
        yield job


def with_urls(job: VideoJob, outcome: VideoOutcome) -> VideoOutcome:
    """The outcome with the URL in its message in place of the downloaded copy, which users do not know."""
    if not job.source:
        return outcome
    detail = outcome.detail.replace(str(job.path), job.source)
    if job.sidecar is not None:
        detail = detail.replace(str(job.sidecar), job.sidecar_source)
    return replace(outcome, detail=detail)
