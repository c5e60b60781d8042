"""Temporary files of ingest in the media folder, and how they are removed after a run was killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotate import temporary
from annotate.errors import AnnotateError
from annotate.permissions import make_folder

UNFINISHED = ".annotate-unfinished"


def sweep(media: Path) -> None:
    """Delete what a killed run left half written.

    The whole folder, which may hold millions of files, is only searched after a killed run. The caller holds
    the writer lock. Files of workers on other machines are kept until they are a day old, and the next run
    looks for them again.
    """
    temporary.sweep(media.glob(temporary.PATTERN), ours_too=True)
    mark = media / UNFINISHED
    if mark.exists():
        half = [path for path in media.rglob(temporary.PATTERN) if temporary.is_temporary(path)]
        if temporary.sweep(half, ours_too=True) == len(half):
            mark.unlink()


@contextmanager
def marked(media: Path) -> Iterator[None]:
    """Leave a mark in the media folder when the block is killed, so that the next run calls `sweep`.

    An `AnnotateError` inside the block sweeps at once.
    """
    make_folder(media)
    (media / UNFINISHED).touch(mode=0o600)
    try:
        yield
    except AnnotateError:
        sweep(media)
        raise
    temporary.sweep(media.glob(temporary.PATTERN), ours_too=True)
    (media / UNFINISHED).unlink()
