"""Which files an ingest looks at: found by name and stat alone, nothing is opened."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from annotate.corpus.paths import path_key, storable
from annotate.errors import UsageError
from annotate.storage.sources import RemoteFile, list_files, look_at
from annotate.storage.urls import is_url, local_path
from annotate.types import Transcript
from annotate.wording import counted
from db.videos import FileStat

MEDIA_SUFFIXES = (
    ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv",
)  # fmt: skip
SIDECAR_SUFFIXES = (".eaf", ".TextGrid", ".ass", ".ssa", ".vtt", ".srt", ".VTT", ".SRT")
"""What is looked for behind a URL; on this machine a transcript is found by `attach`."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that may be a video."""

    path: str
    """On this machine, or a URL."""
    relative: str
    """Path below what was named on the command line; its name when it was named itself."""
    stat: FileStat
    sidecar: str | None
    """The file that holds its transcript."""
    transcript: Transcript | None = None
    """What a table that serves many videos says of it."""

    @property
    def has_transcript(self) -> bool:
        """Whether somebody wrote down what is said in it."""
        return self.sidecar is not None or self.transcript is not None

    @property
    def transcript_path(self) -> str:
        """Where that stands, as the database keeps it; empty where nobody did."""
        if self.transcript is not None:
            return storable(self.transcript.file)
        return storable(self.sidecar or "")

    @property
    def key(self) -> str:
        """The path as the database keeps it."""
        return path_key(self.path)

    @property
    def name(self) -> str:
        """File name without folder or suffix, as the database keeps it."""
        return storable(Path(self.path).stem)


@dataclass(slots=True)
class Found:
    """What a search came upon, in the order of the paths."""

    files: list[SourceFile] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Folders and files that cannot be looked at, with the reason of the operating system."""
    warnings: list[str] = field(default_factory=list)


def stat_of(path: str, sidecar: str | None) -> FileStat | None:
    """What is remembered of a file, so that it need not be opened again; None when it is not a plain file."""
    found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode):
        return None
    sidecar_mtime = Path(sidecar).stat().st_mtime_ns if sidecar else 0
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ino, sidecar_mtime)


def find(paths: Iterable[Path | str], *, excluded: Iterable[Path], kept: str = "") -> Found:
    """The media files of `paths` (URLs among them), folders searched through, each once, sorted by path.

    Hidden files, links that lead out of their folder, and the folders `excluded` are passed over.

    Raises `UsageError` for a path that does not exist, is neither a file nor a folder, or lies in `excluded`
    or below the URL `kept`; `StorageError` for a URL that cannot be listed.
    """
    found = Found()
    shut = {os.path.realpath(folder) for folder in excluded}
    for named in map(str, paths):
        if is_url(named):
            _list(named, kept, found)
            continue
        # Links are kept: `resolve` would follow them.
        path = os.path.abspath(local_path(named))  # noqa: PTH100
        mode = _mode(path)
        if any(Path(os.path.realpath(path)).is_relative_to(folder) for folder in shut):
            raise UsageError(f"{storable(path)} holds what this project made itself", hint=_HINT)
        if stat.S_ISDIR(mode):
            _search(path, path, shut, found)
        elif stat.S_ISREG(mode):
            _add(path, str(Path(path).parent), found)
        else:
            raise UsageError(f"{storable(path)} is neither a file nor a folder", hint=_HINT)
    unique = {file.path: file for file in sorted(found.files, key=lambda f: f.path, reverse=True)}
    found.files = list(reversed(unique.values()))
    return found


def _list(url: str, kept: str, found: Found) -> None:
    """Take what lies at or below a URL, told from one listing."""
    if kept and f"{url.rstrip('/')}/".startswith(f"{kept}/"):
        raise UsageError(f"{url} holds what this project made itself", hint=_HINT)
    listed = list_files(url)
    beside = {file.url: file for file in listed}
    for file in listed:
        hidden = any(part.startswith(".") for part in file.relative.split("/"))
        own = bool(kept) and file.url.startswith(f"{kept}/")
        if file.named or (Path(file.url).suffix.lower() in MEDIA_SUFFIXES and not hidden and not own):
            found.files.append(_remote(file, beside))


def _remote(file: RemoteFile, beside: Mapping[str, RemoteFile]) -> SourceFile:
    """The file with its transcript: one of the listing, or looked for when the file was named itself."""
    base = file.url.removesuffix(Path(file.url).suffix)
    names = [base + suffix for suffix in SIDECAR_SUFFIXES]
    sidecars = (look_at(name) if file.named else beside.get(name) for name in names)
    sidecar = next((found for found in sidecars if found is not None), None)
    told = 0 if sidecar is None else sidecar.mark or sidecar.changed_ns
    stat = FileStat(file.size, file.changed_ns, file.mark, told)
    return SourceFile(file.url, file.relative, stat, sidecar.url if sidecar else None)


_HINT = "name videos, or folders that hold some"


def _mode(path: str) -> int:
    try:
        return Path(path).stat().st_mode
    except OSError as error:
        reason = (
            "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be used: {error.strerror}"
        )
        raise UsageError(f"{storable(path)} {reason}", hint=_HINT) from error


def _search(folder: str, root: str, shut: set[str], found: Found) -> None:
    """Walk without recursion, so that a deep tree costs no stack."""
    waiting = [folder]
    outside = 0
    while waiting:
        folder = waiting.pop()
        for entry in _entries(folder, found):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if os.path.realpath(entry.path) not in shut:
                    waiting.append(entry.path)
            elif Path(entry.name).suffix.lower() in MEDIA_SUFFIXES or entry.is_symlink():
                outside += _consider(entry, root, found)
    if outside:
        found.warnings.append(
            f"{counted(outside, 'link')} out of {storable(root)} not followed; name the folder itself"
        )


def _entries(folder: str, found: Found) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        found.unreadable.append((storable(folder), error.strerror or str(error)))


def _consider(entry: os.DirEntry[str], root: str, found: Found) -> int:
    """Take the file, unless it is a link out of `root`: then 1 is returned."""
    if entry.is_symlink():
        target = Path(entry.path).resolve()
        if not target.is_relative_to(Path(root).resolve()):
            return 1
        if Path(entry.name).suffix.lower() not in MEDIA_SUFFIXES or not target.is_file():
            return 0
    _add(entry.path, root, found)
    return 0


def _add(path: str, root: str, found: Found) -> None:
    try:
        facts = stat_of(path, None)
    except OSError as error:
        found.unreadable.append((storable(path), error.strerror or str(error)))
        return
    if facts is not None:
        found.files.append(SourceFile(path, os.path.relpath(path, root), facts, None))
