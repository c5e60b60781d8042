"""Hashes the content of source files, and notices when a file changes while it is read."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from annotate.ingest.files import SourceFile, stat_of
from annotate.ingest.sources import is_remote
from annotate.ingest.transcripts import fingerprint

BLOCK_BYTES = 1 << 22
"""How much of a file is read at once."""


def hash_file(path: Path | str, on_progress: Callable[[int], None] = lambda done: None) -> str:
    """sha256 of a file's content; `on_progress` is called with the bytes read so far.

    Raises `OSError` when the file cannot be read.
    """
    digest = hashlib.sha256()
    done = 0
    with Path(path).open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            on_progress(done)
    return digest.hexdigest()


def hash_transcript(file: SourceFile, sidecar: Path | None) -> str:
    """Hash of the transcript of `file`, ``none`` without one; `sidecar` is a local copy of its own file."""
    if file.transcript is not None:
        return fingerprint(file.transcript)
    if sidecar is None:
        return "none"
    return hashlib.sha256(sidecar.read_bytes()).hexdigest()[:16]


def changed_on_disk(file: SourceFile) -> bool:
    """Whether a local file, or its transcript, was changed or deleted after `file` was listed."""
    if is_remote(file):
        # The local copy that was hashed is the one that was cut. The next run notices a new object there.
        return False
    try:
        now = stat_of(file.path, file.sidecar)
    except OSError:
        return True
    if now is not None and file.transcript is not None:
        now = replace(now, sidecar_mtime_ns=file.stat.sidecar_mtime_ns)
    return now != file.stat
