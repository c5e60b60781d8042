"""What a run of ingest leaves in the media folder while it works, and how it is swept after a kill."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotate import temporary
from annotate.errors import AnnotateError
from annotate.permissions import make_folder

UNFINISHED = ".annotate-unfinished"


def sweep(media: Path) -> None:
    """Delete what a killed run left half written. Only after one, for the folder may hold millions of files.

    The caller holds the writer lock. Files of workers on other machines are kept until they are a day old,
    and the next run looks for them again.
    """
    temporary.sweep(media.glob(temporary.PATTERN), ours_too=True)
    mark = media / UNFINISHED
    if mark.exists():
        half = [path for path in media.rglob(temporary.PATTERN) if temporary.is_temporary(path)]
        if temporary.sweep(half, ours_too=True) == len(half):
            mark.unlink()


@contextmanager
def marked(media: Path) -> Iterator[None]:
    """Leave a mark in the media folder unless the block ends well, or its half files are swept at once."""
    make_folder(media)
    (media / UNFINISHED).touch(mode=0o600)
    try:
        yield
    except AnnotateError:
        sweep(media)
        raise
    temporary.sweep(media.glob(temporary.PATTERN), ours_too=True)
    (media / UNFINISHED).unlink()
