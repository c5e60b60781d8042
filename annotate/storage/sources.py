"""Lists and downloads source videos behind a URL, and reads none of them twice."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from annotate.storage.urls import connect, explain_error, storage_errors

BLOCK_BYTES = 1 << 23

_CHANGED = ("LastModified", "last_modified", "updated", "mtime", "created")
_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "VersionId")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One object of a store, as a listing describes it."""

    url: str
    relative: str
    """Its name below the URL that was listed; its own name when it was named itself."""
    size: int
    changed_ns: int
    """When it was written, in nanoseconds; 0 where the store does not say."""
    mark: int
    """60 bits that change with the content, from its etag or checksum; 0 where the store has none."""
    named: bool = False
    """Whether the listed URL names this very object, and not a folder above it."""


def list_files(url: str) -> list[RemoteFile]:
    """Every object at or below `url`, sorted by URL; no content is read.

    Raises `StorageError` when nothing is there, or the store does not answer.
    """
    fs, path = connect(url)
    with storage_errors(url):
        fs.invalidate_cache()
        listed = fs.find(path, detail=True)
        if not listed:
            raise FileNotFoundError("no object has a name that begins like this")
        files = [_remote_file(fs.unstrip_protocol(name), name, path, facts) for name, facts in listed.items()]
    return sorted(files, key=lambda file: file.url)


def stat_url(url: str) -> RemoteFile | None:
    """The object at `url`; None when there is none. Raises `StorageError`."""
    fs, path = connect(url)
    with storage_errors(url):
        fs.invalidate_cache()
        try:
            facts = fs.info(path)
        except FileNotFoundError:
            return None
    return _remote_file(url, path, path, facts) if facts["type"] == "file" else None


def _remote_file(url: str, name: str, listed: str, facts: Mapping[str, Any]) -> RemoteFile:
    changed = next((facts[key] for key in _CHANGED if facts.get(key)), 0)
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed)
    if isinstance(changed, datetime):
        changed = changed.timestamp()
    marks = [str(facts[key]) for key in _MARKS if facts.get(key)]
    mark = int(hashlib.sha256(json.dumps(marks).encode()).hexdigest()[:15], 16) if marks else 0
    named = name == listed
    relative = name.rsplit("/", 1)[-1] if named else name.removeprefix(f"{listed}/")
    return RemoteFile(url, relative, int(facts["size"] or 0), round(changed * 1e6) * 1000, mark, named)


def download(url: str, target: Path, on_progress: Callable[[int], None] = lambda done: None) -> str:
    """Copy the object at `url` to `target`, and return its sha256, computed on the way.

    `on_progress` is called with the bytes done so far. Raises `OSError` when `target` cannot be written,
    `FileNotFoundError` or `PermissionError` when the object is gone or access is denied, else `StorageError`.
    """
    fs, path = connect(url)
    digest, done = hashlib.sha256(), 0
    with target.open("wb") as file:
        for block in _blocks(fs, path, url):
            digest.update(block)
            file.write(block)
            done += len(block)
            on_progress(done)
    return digest.hexdigest()


def _blocks(fs: Any, path: str, url: str) -> Iterator[bytes]:
    try:
        with fs.open(path, "rb", block_size=BLOCK_BYTES) as source:
            while block := source.read(BLOCK_BYTES):
                yield block
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        raise explain_error(url, error) from error
