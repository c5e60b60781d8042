"""Brings a source video to the machine that cuts it: a local one is there, one behind a URL is fetched."""

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
class AtHand:
    """A source video that can be opened, with its transcript."""

    path: Path
    sidecar: Path | None
    sha256: str
    url: str = ""
    """Where the copy was fetched from; empty for a file of this machine."""
    sidecar_url: str = ""

    def discard(self) -> None:
        """Delete the copies, if they are any."""
        if self.url:
            shutil.rmtree(self.path.parent, ignore_errors=True)


def is_remote(file: SourceFile) -> bool:
    """Whether the file lies behind a URL."""
    return is_url(file.path)


def fetch(file: SourceFile, media: Path, tell: Callable[[int], None]) -> AtHand:
    """Copy a remote video and its transcript into the media folder, hashing on the way: it is read once.

    `tell` is called with the bytes done so far. Raises `OSError` when it is gone or refused, `StorageError`
    when the store does not answer, `MediaError` with code ``disk-full``.
    """
    folder = media / temporary_name()
    try:
        return _fetch(file, folder, tell)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise disk_full(folder) from error
        raise


def _fetch(file: SourceFile, folder: Path, tell: Callable[[int], None]) -> AtHand:
    make_folder(folder, 0o700)
    # Stores allow names that no disk does.
    name = re.sub(r"[^\w.-]", "_", Path(file.path).name)[-_LONGEST_NAME:]
    path = folder / name
    sha256 = download(file.path, path, tell)
    sidecar = None
    if file.sidecar:
        sidecar = path.with_suffix(Path(file.sidecar).suffix)
        download(file.sidecar, sidecar, lambda done: None)
    return AtHand(path, sidecar, sha256, file.path, file.sidecar or "")


@contextmanager
def here(job: VideoJob, tell: Callable[[], None]) -> Iterator[VideoJob]:
    """The job as this machine can do it.

    A worker on another machine than the driver sees neither the copy nor the media folder: it fetches one of
    its own and writes into a scratch folder, both deleted at the end. Raises as `fetch` does, and
    `MediaError` with code ``changed``.
    """
    elsewhere, unseen = job.store and not job.media.is_dir(), job.source and not job.path.exists()
    if not elsewhere and not unseen:
        yield job
        return
    with tempfile.TemporaryDirectory(prefix="annotate-") as scratch:
        if elsewhere:
            job = replace(job, media=Path(scratch) / "media")
        yield _fetched_again(job, Path(scratch), tell) if unseen else job


def _fetched_again(job: VideoJob, scratch: Path, tell: Callable[[], None]) -> VideoJob:
    path = scratch / job.path.name
    if download(job.source, path, lambda done: tell()) != job.sha256:
        raise MediaError(f"{job.source} changed since it was hashed", code="changed", hint="run this again")
    if job.sidecar is None:
        return replace(job, path=path)
    sidecar = scratch / job.sidecar.name
    download(job.sidecar_source, sidecar, lambda done: tell())
    return replace(job, path=path, sidecar=sidecar)


def told_of_source(job: VideoJob, outcome: VideoOutcome) -> VideoOutcome:
    """The outcome as the user can read it: a message names the URL, not its copy."""
    if not job.source:
        return outcome
    detail = outcome.detail.replace(str(job.path), job.source)
    if job.sidecar is not None:
        detail = detail.replace(str(job.sidecar), job.sidecar_source)
    return replace(outcome, detail=detail)
