"""Finds the videos that an ingest works on, by name and stat alone: no file is opened."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from annotate.corpus.paths import path_key, storable
from annotate.errors import UsageError
from annotate.storage.sources import list_files, stat_url
from annotate.storage.urls import is_url, local_path
from annotate.types import Transcript
from annotate.wording import counted
from db.videos import FileStat

MEDIA_SUFFIXES = (
    ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv",
)  # fmt: skip
SIDECAR_SUFFIXES = (".eaf", ".TextGrid", ".ass", ".ssa", ".vtt", ".srt", ".VTT", ".SRT")
"""Suffixes of transcripts behind a URL; local transcripts are found by `attach_transcripts`."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that may be a video."""

    path: str
    """A local path, or a URL."""
    relative: str
    """Path below the folder that was named on the command line; the file name when it was named itself."""
    stat: FileStat
    sidecar: str | None
    """The file that holds its transcript."""
    transcript: Transcript | None = None
    """Its transcript, when that comes from a table of many videos."""

    @property
    def has_transcript(self) -> bool:
        """Whether there is a transcript, in a file of its own or in a table."""
        return self.sidecar is not None or self.transcript is not None

    @property
    def transcript_path(self) -> str:
        """Path of the file with the transcript, as the database keeps it; empty without one."""
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
class SearchResult:
    """The files that a search found, in the order of their paths."""

    files: list[SourceFile] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Folders and files that cannot be read, with the reason of the operating system."""
    warnings: list[str] = field(default_factory=list)


def stat_of(path: str, sidecar: str | None) -> FileStat | None:
    """The stat of a file and its transcript, by which a change is noticed; None when it is not a plain file.

    Raises `OSError` when either cannot be read.
    """
    file_stat = Path(path).stat()
    if not stat.S_ISREG(file_stat.st_mode):
        return None
    sidecar_mtime = Path(sidecar).stat().st_mtime_ns if sidecar else 0
    return FileStat(file_stat.st_size, file_stat.st_mtime_ns, file_stat.st_ino, sidecar_mtime)


def find_files(
    paths: Iterable[Path | str], *, excluded: Iterable[Path], excluded_url: str = ""
) -> SearchResult:
    """The media files at or below `paths` (local paths and URLs), each once, sorted by path.

    Hidden files, links that lead out of their folder, and the `excluded` folders are skipped.

    Raises `UsageError` for a path that does not exist, is neither a file nor a folder, or lies in `excluded`
    or below `excluded_url`; `StorageError` for a URL that cannot be listed.
    """
    result = SearchResult()
    excluded_paths = {os.path.realpath(folder) for folder in excluded}
    for name in map(str, paths):
        if is_url(name):
            _list_url(name, excluded_url, result)
            continue
        # Links are kept: `resolve` would follow them.
        path = os.path.abspath(local_path(name))  # noqa: PTH100
        try:
            mode = Path(path).stat().st_mode
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            reason = "does not exist" if missing else f"cannot be used: {error.strerror}"
            raise UsageError(f"{storable(path)} {reason}", hint=_HINT) from error
        if any(Path(os.path.realpath(path)).is_relative_to(folder) for folder in excluded_paths):
            raise UsageError(f"{storable(path)} holds what this project made itself", hint=_HINT)
        if stat.S_ISDIR(mode):
            _search(path, excluded_paths, result)
        elif stat.S_ISREG(mode):
            _add(path, str(Path(path).parent), result)
        else:
            raise UsageError(f"{storable(path)} is neither a file nor a folder", hint=_HINT)
    unique = {file.path: file for file in sorted(result.files, key=lambda f: f.path, reverse=True)}
    result.files = list(reversed(unique.values()))
    return result


def _list_url(url: str, excluded_url: str, result: SearchResult) -> None:
    """Add the videos at or below a URL, with their transcripts, from one listing."""
    if excluded_url and f"{url.rstrip('/')}/".startswith(f"{excluded_url}/"):
        raise UsageError(f"{url} holds what this project made itself", hint=_HINT)
    listed = {file.url: file for file in list_files(url)}
    for file in listed.values():
        hidden = any(part.startswith(".") for part in file.relative.split("/"))
        own = bool(excluded_url) and file.url.startswith(f"{excluded_url}/")
        if file.named or (Path(file.url).suffix.lower() in MEDIA_SUFFIXES and not hidden and not own):
            base = file.url.removesuffix(Path(file.url).suffix)
            names = [base + suffix for suffix in SIDECAR_SUFFIXES]
            # A file that was named itself is listed alone, so the store is asked for its transcript.
            sidecars = (stat_url(name) if file.named else listed.get(name) for name in names)
            sidecar = next((sidecar for sidecar in sidecars if sidecar is not None), None)
            sidecar_mark = 0 if sidecar is None else sidecar.mark or sidecar.changed_ns
            file_stat = FileStat(file.size, file.changed_ns, file.mark, sidecar_mark)
            sidecar_url = sidecar.url if sidecar else None
            result.files.append(SourceFile(file.url, file.relative, file_stat, sidecar_url))


_HINT = "name videos, or folders that hold some"


def _search(root: str, excluded: set[str], result: SearchResult) -> None:
    """Add the media files below `root`; without recursion, so that a deep tree needs no stack."""
    waiting = [root]
    links_out = 0
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            result.unreadable.append((storable(folder), error.strerror or str(error)))
            continue
        for entry in listed:
            if entry.name.startswith("."):
                continue
            is_media = Path(entry.name).suffix.lower() in MEDIA_SUFFIXES
            if entry.is_dir(follow_symlinks=False):
                if os.path.realpath(entry.path) not in excluded:
                    waiting.append(entry.path)
            elif entry.is_symlink():
                target = Path(entry.path).resolve()
                if not target.is_relative_to(Path(root).resolve()):
                    links_out += 1
                elif is_media and target.is_file():
                    _add(entry.path, root, result)
            elif is_media:
                _add(entry.path, root, result)
    if links_out:
        result.warnings.append(
            f"{counted(links_out, 'link')} out of {storable(root)} not followed; name the folder itself"
        )


def _add(path: str, root: str, result: SearchResult) -> None:
    try:
        facts = stat_of(path, None)
    except OSError as error:
        result.unreadable.append((storable(path), error.strerror or str(error)))
        return
    if facts is not None:
        result.files.append(SourceFile(path, os.path.relpath(path, root), facts, None))
