"""Stores the clips of a project: in a folder, or behind a URL with that folder as a cache."""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from annotate.durable import write_whole
from annotate.errors import StorageError
from annotate.progress import SILENT, Progress
from annotate.storage.urls import connect, is_url, local_path, storage_errors
from annotate.types import Modality, SampleMedia

_T = TypeVar("_T")

AT_ONCE = 32
"""Files that are sent or fetched together: enough to hide the latency, few enough to hold in memory."""

PASSES = (Modality.AUDIO, Modality.VISION, Modality.MULTIMODAL)
"""The passes whose samples have a file."""


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """One file of a sample, and the hash that it should have."""

    sample_id: str
    modality: Modality
    sha256: str


def clip_store(address: str, root: Path) -> "ClipStore":
    """The store at `address` (`storage.media`) for the project in `root`; empty means its folder `media`.

    Raises `StorageError` for a URL that cannot be used.
    """
    if not is_url(address):
        return ClipStore(root / (local_path(address) if address else "media"))
    connect(address)
    return ClipStore(root / "media", address.rstrip("/"))


@dataclass(frozen=True)
class ClipStore:
    """Where the files of samples are stored. With a `url`, `folder` is a cache that may be deleted."""

    folder: Path
    url: str = ""

    @cached_property
    def _remote(self) -> tuple[Any, str]:
        return connect(self.url)

    def check(self) -> None:
        """Write, read and delete a small object behind the URL. Raises `StorageError`."""
        if not self.url:
            return
        fs, root = self._remote
        key, content = f"{root}/.annotate-{uuid.uuid4().hex}", b"annotate was here"
        with storage_errors(self.url):
            fs.pipe_file(key, content)
            returned = fs.cat_file(key)
            fs.rm_file(key)
        if returned != content:
            raise StorageError(f"{self.url} returns other bytes than were written", hint="use another store")

    def stored(self) -> Callable[[str], bool]:
        """A function that says whether all three files of a sample exist. Lists a remote store once."""
        if not self.url:
            return lambda sample_id: SampleMedia.under(self.folder, sample_id).complete()
        complete: set[str] | None = None
        fs, root = self._remote
        with storage_errors(self.url):
            fs.invalidate_cache()
            for modality in PASSES:
                paths = fs.find(f"{root}/{modality.value}")
                names = {path.rsplit("/", 1)[-1].split(".")[0] for path in paths}
                complete = names if complete is None else complete & names
        return (complete or set()).__contains__

    def put(self, sample_ids: Iterable[str], on_progress: Callable[[], None] = lambda: None) -> None:
        """Send the files of samples from the folder to a remote store.

        Each file arrives whole or not at all, and may be sent again. `on_progress` is called now and then.
        Raises `StorageError`.
        """
        if not self.url:
            return
        fs, root = self._remote
        keys = ((self._file(s, m), _key(root, s, m)) for s in sample_ids for m in PASSES)
        for batch in _batches(keys):
            with storage_errors(self.url):
                fs.put([str(file) for file, _ in batch], [key for _, key in batch])
            on_progress()

    def restore(self, files: Sequence[ExpectedFile]) -> set[str]:
        """Upload again the samples whose files are all in the folder, unchanged; return their ids."""
        if not self.url:
            return set()
        intact = {f.sample_id for f in files} - {f.sample_id for f in files if not self._cached(f)}
        self.put(sorted(intact))
        return intact

    def fetch(self, files: Sequence[ExpectedFile], progress: Progress = SILENT) -> dict[str, str]:
        """Copy files of a remote store into the folder, and check their hashes.

        Returns by sample id why a file is not available. Without a URL nothing is done, and nothing checked.
        Raises `StorageError` when the store does not answer.
        """
        if not self.url:
            return {}
        missing = [f for f in files if not self._cached(f)]
        lost: dict[str, str] = {}
        if missing:
            with progress.bar("fetching clips", len(missing)) as bar:
                for batch in _batches(missing):
                    lost |= self._fetch_batch(batch)
                    bar.advance(len(batch))
        return lost

    def verify(
        self, files: Sequence[ExpectedFile], on_progress: Callable[[], None] = lambda: None
    ) -> list[str]:
        """Read files where they are stored; returns a line for each that is missing or has another hash.

        `on_progress` is called for each file. Raises `StorageError` when the store does not answer.
        """
        if self.url:
            return [line for batch in _batches(files) for line in self._verify_batch(batch, on_progress)]
        faults = []
        for expected in files:
            file = self._file(expected.sample_id, expected.modality)
            try:
                if not self._cached(expected):
                    faults.append(f"{file} {'has changed' if file.exists() else 'is missing'}")
            except OSError as error:
                faults.append(f"{file} cannot be read: {error.strerror}")
            on_progress()
        return faults

    def _verify_batch(self, files: Sequence[ExpectedFile], on_progress: Callable[[], None]) -> list[str]:
        faults = []
        for expected, address, content in self._read_batch(files):
            if isinstance(content, Exception):
                faults.append(f"{address} cannot be read: {content or type(content).__name__}")
            elif hashlib.sha256(content).hexdigest() != expected.sha256:
                faults.append(f"{address} has changed")
            on_progress()
        return faults

    def _fetch_batch(self, files: Sequence[ExpectedFile]) -> dict[str, str]:
        lost = {}
        for expected, address, content in self._read_batch(files):
            sample_id = expected.sample_id
            if isinstance(content, FileNotFoundError):
                lost[sample_id] = f"{address} of sample {sample_id} is gone"
            elif isinstance(content, Exception):
                with storage_errors(self.url):
                    raise content
            elif hashlib.sha256(content).hexdigest() != expected.sha256:
                lost[sample_id] = f"{address} of sample {sample_id} is damaged: its sha256 differs"
            else:
                write_whole(self._file(sample_id, expected.modality), content)
        return lost

    def _read_batch(self, files: Sequence[ExpectedFile]) -> list[tuple[ExpectedFile, str, bytes | Exception]]:
        """Each file with its URL, and its content or the exception of the driver."""
        fs, root = self._remote
        keys = {file: _key(root, file.sample_id, file.modality) for file in files}
        with storage_errors(self.url):
            contents = fs.cat(list(keys.values()), on_error="return")
        return [(file, f"{self.url}{key.removeprefix(root)}", contents[key]) for file, key in keys.items()]

    def _cached(self, expected: ExpectedFile) -> bool:
        """Whether the folder holds the file; an earlier cut has the same name, so the hash is compared."""
        try:
            with self._file(expected.sample_id, expected.modality).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == expected.sha256
        except FileNotFoundError:
            return False

    def _file(self, sample_id: str, modality: Modality) -> Path:
        return SampleMedia.under(self.folder, sample_id).of(modality)


def _key(root: str, sample_id: str, modality: Modality) -> str:
    return f"{root}/{SampleMedia.under(Path(), sample_id).of(modality).as_posix()}"


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(islice(rest, AT_ONCE)):
        yield batch
