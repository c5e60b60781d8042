"""The clips of a project: files in a folder, or objects behind a URL with that folder as their cache."""

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
from annotate.storage.urls import connect, is_url, local_path, telling
from annotate.types import Modality, SampleMedia

_T = TypeVar("_T")

AT_ONCE = 32
"""Files that are sent or fetched together: enough to hide the way, few enough to hold in memory."""

PASSES = (Modality.AUDIO, Modality.VISION, Modality.MULTIMODAL)
"""Those that have a file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file of a sample, as it has to be."""

    sample_id: str
    modality: Modality
    sha256: str


def clip_store(address: str, root: Path) -> "ClipStore":
    """The store that `storage.media` names for the project in `root`; empty: its own folder `media`.

    Raises `StorageError` for a URL that cannot be used.
    """
    if not is_url(address):
        return ClipStore(root / (local_path(address) if address else "media"))
    connect(address)
    return ClipStore(root / "media", address.rstrip("/"))


@dataclass(frozen=True)
class ClipStore:
    """Where the files of samples are kept. With a `url`, that is the truth and `folder` may be deleted."""

    folder: Path
    url: str = ""

    @cached_property
    def _remote(self) -> tuple[Any, str]:
        return connect(self.url)

    def check(self) -> None:
        """Write, read and delete a small object. Raises `StorageError`; a folder is not looked at."""
        if not self.url:
            return
        fs, root = self._remote
        key, content = f"{root}/.annotate-{uuid.uuid4().hex}", b"annotate was here"
        with telling(self.url):
            fs.pipe_file(key, content)
            found = fs.cat_file(key)
            fs.rm_file(key)
        if found != content:
            raise StorageError(f"{self.url} gives back other bytes than it got", hint="use another store")

    def stored(self) -> Callable[[str], bool]:
        """A test whether all three files of a sample id are there. Costs one listing of a remote store."""
        if not self.url:
            return lambda sample_id: SampleMedia.under(self.folder, sample_id).complete()
        whole: set[str] | None = None
        fs, root = self._remote
        with telling(self.url):
            fs.invalidate_cache()
            for modality in PASSES:
                found = fs.find(f"{root}/{modality.value}")
                names = {path.rsplit("/", 1)[-1].split(".")[0] for path in found}
                whole = names if whole is None else whole & names
        return (whole or set()).__contains__

    def put(self, sample_ids: Iterable[str], tell: Callable[[], None] = lambda: None) -> None:
        """Send the files of those samples from the folder to a remote store; `tell` is called on the way.

        Each arrives whole or not at all, and may be sent again. Raises `StorageError`.
        """
        if not self.url:
            return
        fs, root = self._remote
        keys = ((self._file(s, m), _key(root, s, m)) for s in sample_ids for m in PASSES)
        for some in _portions(keys):
            with telling(self.url):
                fs.put([str(file) for file, _ in some], [key for _, key in some])
            tell()

    def mend(self, wanted: Sequence[Wanted]) -> set[str]:
        """Send those samples of which the folder still holds every file unchanged; returns their ids."""
        if not self.url:
            return set()
        whole = {w.sample_id for w in wanted} - {w.sample_id for w in wanted if not self._cached(w)}
        self.put(sorted(whole))
        return whole

    def fetch(self, wanted: Sequence[Wanted], progress: Progress = SILENT) -> dict[str, str]:
        """Have those files in the folder. By sample id: why one of its files cannot be had.

        Nothing is done, and nothing checked, when the folder itself is the store; else every file has the
        hash it should have. Raises `StorageError` when the store does not answer.
        """
        if not self.url:
            return {}
        lacking = [w for w in wanted if not self._cached(w)]
        lost: dict[str, str] = {}
        if lacking:
            with progress.bar("fetching clips", len(lacking)) as bar:
                for some in _portions(lacking):
                    lost |= self._fetch(some)
                    bar.advance(len(some))
        return lost

    def verify(self, wanted: Sequence[Wanted], tell: Callable[[], None] = lambda: None) -> list[str]:
        """Read those files where they are kept, and store nothing. Which are missing or have another hash.

        `tell` is called for each file. Raises `StorageError` when the store does not answer.
        """
        if self.url:
            return [complaint for some in _portions(wanted) for complaint in self._verify_remote(some, tell)]
        found = []
        for w in wanted:
            file = self._file(w.sample_id, w.modality)
            try:
                if not self._cached(w):
                    found.append(f"{file} {'has changed' if file.exists() else 'is missing'}")
            except OSError as error:
                found.append(f"{file} cannot be read: {error.strerror}")
            tell()
        return found

    def _verify_remote(self, wanted: Sequence[Wanted], tell: Callable[[], None]) -> list[str]:
        fs, root = self._remote
        keys = {w: _key(root, w.sample_id, w.modality) for w in wanted}
        with telling(self.url):
            contents = fs.cat(list(keys.values()), on_error="return")
        found = []
        for w, key in keys.items():
            address = f"{self.url}{key.removeprefix(root)}"
            if isinstance(contents[key], Exception):
                found.append(f"{address} cannot be read: {contents[key] or type(contents[key]).__name__}")
            elif hashlib.sha256(contents[key]).hexdigest() != w.sha256:
                found.append(f"{address} has changed")
            tell()
        return found

    def _fetch(self, wanted: Sequence[Wanted]) -> dict[str, str]:
        fs, root = self._remote
        keys = {w: _key(root, w.sample_id, w.modality) for w in wanted}
        with telling(self.url):
            found = fs.cat(list(keys.values()), on_error="return")
        lost = {}
        for w, key in keys.items():
            content = found[key]
            address = f"{self.url}{key.removeprefix(root)}"
            if isinstance(content, FileNotFoundError):
                lost[w.sample_id] = f"{address} of sample {w.sample_id} is gone"
            elif isinstance(content, Exception):
                with telling(self.url):
                    raise content
            elif hashlib.sha256(content).hexdigest() != w.sha256:
                lost[w.sample_id] = f"{address} of sample {w.sample_id} is damaged: its sha256 differs"
            else:
                write_whole(self._file(w.sample_id, w.modality), content)
        return lost

    def _cached(self, wanted: Wanted) -> bool:
        """A copy from before another cut has the same name and other bytes, so its hash is looked at."""
        try:
            with self._file(wanted.sample_id, wanted.modality).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == wanted.sha256
        except FileNotFoundError:
            return False

    def _file(self, sample_id: str, modality: Modality) -> Path:
        return SampleMedia.under(self.folder, sample_id).of(modality)


def _key(root: str, sample_id: str, modality: Modality) -> str:
    return f"{root}/{SampleMedia.under(Path(), sample_id).of(modality).as_posix()}"


def _portions(items: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while some := list(islice(rest, AT_ONCE)):
        yield some
