"""Finds the transcript of each video: beside it by its name, or in what `--transcripts` names."""

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from annotate.corpus.paths import storable
from annotate.corpus.splits import some
from annotate.errors import MediaError, UsageError
from annotate.ingest.files import SearchResult, SourceFile, stat_of
from annotate.storage.urls import is_url
from annotate.transcripts.encoding import known_encoding
from annotate.transcripts.read import (
    AMBIGUOUS,
    DEFAULT,
    SUFFIXES,
    named_language,
    promises,
    read_shared,
    read_transcript,
)
from annotate.transcripts.tables import Table
from annotate.transcripts.usable import lost_rows
from annotate.types import Transcript, TranscriptOptions
from annotate.wording import counted, either

_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]+:/")
"""Beginning of a URL that was made a `Path`, and so lost one of its two slashes."""

_HINT = "name a folder of transcripts, or one table for all videos; see docs/ingest.md"


@dataclass(frozen=True, slots=True)
class _TranscriptFile:
    """A transcript file, and the parts of its name."""

    path: str
    stem: str
    """Name without suffix, including what may be a language."""
    base: str
    """Name without suffix and language."""
    language: str

    def rank(self, stem: str, language: str) -> tuple[bool, bool, int, str]:
        """Lower is preferred: no language in the name, then `language`, then the richer format."""
        kind = SUFFIXES.index(Path(self.path).suffix.lower())
        return self.stem != stem, self.language != language, kind, self.path


@dataclass
class GivenTranscripts:
    """The transcripts that `--transcripts` names."""

    files: dict[str, list[_TranscriptFile]] = field(default_factory=dict)
    """By path below the folder, without suffix and language."""
    tables: dict[str, Table] = field(default_factory=dict)
    """By path."""
    used: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By path: the keys of a table that were used; for a file of one video, an empty key."""

    def unused(self) -> list[str]:
        """Names of files, and of rows of tables, that match no video; sorted."""
        files = {f.path for same_name in self.files.values() for f in same_name} - self.used.keys()
        rows = [
            _row_name(path, key)
            for path, table in self.tables.items()
            for key in table.rows.keys() - self.used[path]
        ]
        return sorted([*(storable(Path(path).name) for path in files), *rows])


def attach_transcripts(
    result: SearchResult, given: GivenTranscripts, language: str, options: TranscriptOptions = DEFAULT
) -> None:
    """Give every file of `result` its transcript, and warn of those that match no video or several.

    Transcripts that `--transcripts` names win over those beside a video. Of several in one place, the one
    without a language in its name is preferred, then the one in `language`, then the richest format.
    """
    folders = _FolderIndex(result.files)
    exact = set(map(_without_suffix, result.files))
    by_stem: dict[str, list[_TranscriptFile]] = defaultdict(list)
    for base in given.files.keys() - exact:
        by_stem[PurePath(base).name] += given.files[base]
    choices = [_choose(file, given, folders, language, by_stem) for file in result.files]
    videos_of: dict[str, list[str]] = defaultdict(list)
    for file, choice in zip(result.files, choices, strict=True):
        if choice.by_stem:
            videos_of[choice.options[0]].append(file.name)
    several: list[str] = []
    ambiguous = [Path(path).name for path, videos in videos_of.items() if len(videos) > 1]
    files = []
    for file, choice in zip(result.files, choices, strict=True):
        if choice.by_stem and len(videos_of[choice.options[0]]) > 1:
            choice = _Choice(tuple(folders.beside(file, language)))  # noqa: PLW2901
        if len(choice.options) > 1:
            first, *others = (Path(path).name for path in choice.options)
            plain_text = Path(choice.options[0]).with_name(f"{Path(file.path).stem}.txt")
            # Whisper writes one beside the others; it has no times.
            others += [plain_text.name] if plain_text.is_file() else []
            listed = " or ".join(filter(None, (", ".join(others[:-1]), others[-1])))
            several.append(f"{file.name} ({storable(first)} is taken, not {storable(listed)})")
        files.append(_with_transcript(file, choice, given, options))
        ambiguous += choice.unclear
    result.files = [file for file in files if file is not None]
    result.warnings += _warnings(given, several, ambiguous)


def _warnings(given: GivenTranscripts, several: list[str], ambiguous: list[str]) -> list[str]:
    warnings = []
    if several:
        warnings.append(
            f"{counted(len(several), 'video')} {either(len(several), 'has', 'have')} more than one "
            f"transcript: {some(several)}"
        )
    if ambiguous:
        names = sorted(set(ambiguous))
        warnings.append(
            f"{counted(len(names), 'transcript')} not used: one fits several videos, or several fit one; "
            f"lay transcripts out like the videos: {some(names)}"
        )
    warnings += [note for table in given.tables.values() for note in lost_rows(table)]
    if unused := [name for name in given.unused() if name not in ambiguous]:
        warnings.append(
            f"{counted(len(unused), 'transcript')} {either(len(unused), 'fits', 'fit')} no video: "
            f"{some(unused)}"
        )
    return warnings


@dataclass(frozen=True, slots=True)
class _Choice:
    """The transcripts of one video, the best first."""

    options: tuple[str, ...] = ()
    table: tuple[str, str, Transcript] | None = None
    """Path, key and rows; used only without `options`."""
    by_stem: bool = False
    """Only the name matches, not the folder."""
    unclear: tuple[str, ...] = ()
    """Names of several transcripts that match equally well; none of them is used."""


def _choose(
    file: SourceFile,
    given: GivenTranscripts,
    folders: "_FolderIndex",
    language: str,
    by_stem: Mapping[str, list[_TranscriptFile]],
) -> _Choice:
    """The transcripts of a video: those with its path, or else its name, its rows in a table, or its folder.

    `by_stem` holds, by name, the given transcripts whose whole path matches no video.
    """
    stem = _normal(PurePath(file.path).stem)
    exact = given.files.get(_without_suffix(file), [])
    if exact:
        return _Choice(tuple(t.path for t in sorted(exact, key=lambda t: t.rank(stem, language))))
    same_name = by_stem.get(stem, [])
    if same_name and len({PurePath(t.path).parent for t in same_name}) == 1:
        ranked = sorted(same_name, key=lambda t: t.rank(stem, language))
        return _Choice(tuple(t.path for t in ranked), by_stem=True)
    candidates = [
        (path, *match)
        for path, table in given.tables.items()
        if (match := table.of(file.path, file.relative))
    ]
    rows = candidates
    if len(rows) > 1:
        rows = [row for row in rows if _same_split(row[0], file.path)]
    if len(rows) == 1:
        return _Choice(table=rows[0])
    unclear = [PurePath(t.path).name for t in same_name] or [_row_name(p, key) for p, key, _ in candidates]
    return _Choice(tuple(folders.beside(file, language)), unclear=tuple(unclear))


def _row_name(table: str, key: str) -> str:
    return f"{storable(Path(table).name)}: {key or 'rows that name no file'}"


def _without_suffix(file: SourceFile) -> str:
    return _normal(str(PurePath(file.relative).with_suffix("")))


def _same_split(table: str, video: str) -> bool:
    """Whether ``train_sent_emo.csv`` names the folder that the video lies in, as in MELD."""
    first = re.split(r"[^a-z]", PurePath(table).stem.lower())[0]
    return bool(first) and first in re.split(r"[^a-z]+", str(PurePath(video).parent).lower())


def _with_transcript(
    file: SourceFile, choice: _Choice, given: GivenTranscripts, options: TranscriptOptions
) -> SourceFile | None:
    """The file with its transcript, and with a stat that changes with it; None when the file is gone."""
    if choice.options:
        given.used[choice.options[0]].add("")
        given.used.update({path: {""} for path in choice.options[1:]})
        if is_url(file.path):
            return _with_content(file, read_transcript(Path(choice.options[0]), options=options))
        try:
            facts = stat_of(file.path, choice.options[0])
        except OSError:
            return file
        return None if facts is None else replace(file, stat=facts, sidecar=choice.options[0])
    if choice.table is not None:
        path, key, rows = choice.table
        given.used[path].add(key)
        return _with_content(file, rows)
    return file


def _with_content(file: SourceFile, transcript: Transcript) -> SourceFile:
    # The hash covers only the rows of this video: other rows of the table may change.
    mark = int(fingerprint(transcript), 16) >> 8
    stat = replace(file.stat, sidecar_mtime_ns=mark)
    return replace(file, stat=stat, sidecar=None, transcript=transcript)


def fingerprint(transcript: Transcript) -> str:
    """Hash (16 hex digits) of the cues: words, speakers and times."""
    content = repr(transcript.cues) + transcript.whole_numbers
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class _FolderIndex:
    """The transcripts beside the videos; each folder is listed once."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self._folders: dict[str, dict[str, list[_TranscriptFile]]] = {}
        self._videos = {_normal(str(PurePath(file.path).with_suffix(""))) for file in files}

    def beside(self, file: SourceFile, language: str) -> list[str]:
        """Paths, the best first; none for a remote video, which has the one of its listing."""
        if is_url(file.path):
            return []
        folder, stem = str(PurePath(file.path).parent), _normal(PurePath(file.path).stem)
        if folder not in self._folders:
            self._folders[folder] = self._list(folder)
        beside = sorted(self._folders[folder].get(stem, []), key=lambda t: t.rank(stem, language))
        # Much else than transcripts ends in .json and .csv, so the content of these is looked at.
        return [
            t.path for t in beside if Path(t.path).suffix.lower() not in AMBIGUOUS or promises(Path(t.path))
        ]

    def _list(self, folder: str) -> dict[str, list[_TranscriptFile]]:
        """The transcripts in a folder by name, with and without a language."""
        listed: dict[str, list[_TranscriptFile]] = defaultdict(list)
        try:
            with os.scandir(folder) as entries:
                files = [
                    _parse_name(entry.path)
                    for entry in entries
                    if Path(entry.name).suffix.lower() in SUFFIXES
                    and not entry.name.startswith(".")
                    and entry.is_file()
                ]
        except OSError:
            return {}
        for file in files:
            listed[file.stem].append(file)
            # ``talk.zh.srt`` does not belong to ``talk.mp4`` where there is a ``talk.zh.mp4``.
            if file.base != file.stem and _normal(f"{folder}/{file.stem}") not in self._videos:
                listed[file.base].append(file)
        return listed


def _parse_name(path: str) -> _TranscriptFile:
    stem = _normal(PurePath(path).stem)
    return _TranscriptFile(path, stem, *named_language(stem))


def _normal(name: str) -> str:
    """The same text for composed and decomposed accents: file systems differ there."""
    return unicodedata.normalize("NFC", name)


def find_given(path: Path | None, options: TranscriptOptions = DEFAULT) -> GivenTranscripts:
    """The transcripts in the folder `path`, or the table or transcript that `path` itself is.

    Raises `UsageError` when there is no transcript, a table cannot be read, or `options` name an encoding
    that does not exist.
    """
    if options.encoding and not known_encoding(options.encoding):
        raise UsageError(
            f"{options.encoding!r} is not a known encoding",
            hint="try utf-8, cp1252, cp1251, cp1250, gb18030, big5, shift_jis or euc_kr",
        )
    given = GivenTranscripts()
    if path is None:
        return given
    if not path.exists():
        if _URL.match(str(path)):
            raise UsageError(f"{path} is not a path on this machine", hint="copy the transcripts here first")
        raise UsageError(f"{path} does not exist", hint=_HINT)
    names = [str(path.absolute())]
    if path.is_dir():
        names = []
        for folder, folders, files in os.walk(path.absolute()):
            folders[:] = [name for name in folders if not name.startswith(".")]
            names += [str(Path(folder, name)) for name in files if not name.startswith(".")]
    for name in sorted(names):
        _add(given, name, path, options)
    if not given.files and not given.tables:
        kinds = " ".join(SUFFIXES)
        raise UsageError(f"{path} holds no transcript", hint=f"looked for names that end in {kinds}")
    return given


def _add(given: GivenTranscripts, name: str, root: Path, options: TranscriptOptions) -> None:
    """Add the file `name` as a table of many videos, or as the transcript of one; skip any other file."""
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        return
    if suffix in (".csv", ".tsv") and (root.is_file() or promises(Path(name))):
        try:
            table = read_shared(Path(name), options)
        except MediaError as error:
            raise UsageError(str(error), hint=_HINT) from error
        if table.shared:
            given.tables[name] = table
            return
    file = _parse_name(name)
    base = PurePath(os.path.relpath(name, root.absolute())) if root.is_dir() else PurePath(file.base)
    for stem in {file.stem, file.base}:
        given.files.setdefault(_normal(str(base.with_name(stem))), []).append(file)
