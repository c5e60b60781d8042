"""What a run of ingest leaves in the media folder while it works, and how it is swept after a kill."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotate.errors import AnnotateError
from annotate.media.rescue import FOLDER as RESCUE
from annotate.steps._ingest_sources import FOLDER as FETCHED

UNFINISHED = ".unfinished"


def sweep(media: Path) -> None:
    """Delete what a killed run left half written. Only after one, for the folder may hold millions of files.

    Workers die with their driver and the writer lock is ours, so nobody writes these files any more.
    """
    _delete_copies(media)
    mark = media / UNFINISHED
    if mark.exists():
        for orphan in media.rglob("*.part"):
            orphan.unlink(missing_ok=True)
        mark.unlink()


@contextmanager
def marked(media: Path) -> Iterator[None]:
    """Leave a mark in the media folder unless the block ends well, or its half files are swept at once."""
    media.mkdir(parents=True, exist_ok=True)
    (media / UNFINISHED).touch()
    try:
        yield
    except AnnotateError:
        sweep(media)
        raise
    _delete_copies(media)
    (media / UNFINISHED).unlink()


def _delete_copies(media: Path) -> None:
    for folder in (RESCUE, FETCHED):
        shutil.rmtree(media / folder, ignore_errors=True)
