"""Which transcript belongs to which video: beside it by its name, or below what `--transcripts` names."""

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from annotate.corpus.paths import storable
from annotate.corpus.splits import some
from annotate.errors import MediaError, UsageError
from annotate.ingest.files import Found, SourceFile, stat_of
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
"""How a URL begins; as a path, it has lost one of its two slashes."""

_HINT = "name a folder of transcripts, or one table for all videos; see docs/ingest.md"


@dataclass(frozen=True, slots=True)
class _Named:
    """A transcript file, as its name is read."""

    path: str
    stem: str
    """Without ending; with what may be a language."""
    base: str
    """Without that language too."""
    language: str

    def rank(self, stem: str, language: str) -> tuple[bool, bool, int, str]:
        """Lower is taken first: no language in its name, else the language asked for; what tells more."""
        kind = SUFFIXES.index(Path(self.path).suffix.lower())
        return self.stem != stem, self.language != language, kind, self.path


@dataclass
class Given:
    """What `--transcripts` names."""

    files: dict[str, list[_Named]] = field(default_factory=dict)
    """By path below the folder, without ending and language."""
    tables: dict[str, Table] = field(default_factory=dict)
    """By path."""
    used: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By path: which keys of a table, or the file itself."""

    def unused(self) -> list[str]:
        """Names of files, and of rows of tables, that no video was found for; sorted."""
        files = {n.path for named in self.files.values() for n in named} - self.used.keys()
        rows = [
            _row(path, key)
            for path, table in self.tables.items()
            for key in table.rows.keys() - self.used[path]
        ]
        return sorted([*(storable(Path(path).name) for path in files), *rows])


def attach(found: Found, given: Given, language: str, options: TranscriptOptions = DEFAULT) -> None:
    """Give every file of `found` its transcript, and warn of those that fit none or more than one.

    What `--transcripts` names wins over what lies beside a video. Of several in one place that is taken which
    has no language in its name, else the one in `language`, and then the format that tells most.
    """
    shelf = _Shelf(found.files)
    exact = set(map(_without_ending, found.files))
    named: dict[str, list[_Named]] = defaultdict(list)
    for base in given.files.keys() - exact:
        named[PurePath(base).name] += given.files[base]
    chosen = [_choices(file, given, shelf, language, named) for file in found.files]
    stems: dict[str, list[str]] = defaultdict(list)
    for file, choice in zip(found.files, chosen, strict=True):
        if choice.by_stem:
            stems[choice.options[0]].append(file.name)
    several: list[str] = []
    ambiguous = [Path(path).name for path, videos in stems.items() if len(videos) > 1]
    files = []
    for file, choice in zip(found.files, chosen, strict=True):
        if choice.by_stem and len(stems[choice.options[0]]) > 1:
            choice = _Choice(tuple(shelf.beside(file, language)))  # noqa: PLW2901
        if len(choice.options) > 1:
            several.append(_which(file, choice.options))
        files.append(_with(file, choice, given, options))
        ambiguous += choice.unclear
    found.files = [file for file in files if file is not None]
    _warn(found, given, several, ambiguous)


def _which(file: SourceFile, paths: Sequence[str]) -> str:
    """Which of its transcripts a video has, and every one that is not read."""
    first, *others = (Path(path).name for path in paths)
    plain_text = Path(paths[0]).with_name(f"{Path(file.path).stem}.txt")
    # Whisper writes one beside the others; it holds no times.
    others += [plain_text.name] if plain_text.is_file() else []
    listed = " or ".join(filter(None, (", ".join(others[:-1]), others[-1])))
    return f"{file.name} ({storable(first)} is taken, not {storable(listed)})"


def _warn(found: Found, given: Given, several: list[str], ambiguous: list[str]) -> None:
    if several:
        found.warnings.append(
            f"{counted(len(several), 'video')} {either(len(several), 'has', 'have')} more than one "
            f"transcript: {some(several)}"
        )
    if ambiguous:
        names = sorted(set(ambiguous))
        found.warnings.append(
            f"{counted(len(names), 'transcript')} not used: one fits several videos, or several fit one; "
            f"lay transcripts out like the videos: {some(names)}"
        )
    found.warnings += [note for table in given.tables.values() for note in lost_rows(table)]
    if unused := [name for name in given.unused() if name not in ambiguous]:
        found.warnings.append(
            f"{counted(len(unused), 'transcript')} {either(len(unused), 'fits', 'fit')} no video: "
            f"{some(unused)}"
        )


@dataclass(frozen=True, slots=True)
class _Choice:
    """The transcripts of one video, the best first."""

    options: tuple[str, ...] = ()
    table: tuple[str, str, Transcript] | None = None
    """Path, key and rows; counts only without `options`."""
    by_stem: bool = False
    """Only the name fits, not the folder."""
    unclear: tuple[str, ...] = ()
    """Names of those of which any could be meant."""


def _choices(
    file: SourceFile, given: Given, shelf: "_Shelf", language: str, named: Mapping[str, list[_Named]]
) -> _Choice:
    """`named` holds, by their last part, the transcripts that fit no video by their whole path."""
    stem = _normal(PurePath(file.path).stem)
    exact = given.files.get(_without_ending(file), [])
    alike = named.get(stem, []) if not exact else []
    if exact:
        return _Choice(tuple(n.path for n in sorted(exact, key=lambda n: n.rank(stem, language))))
    if alike and len({PurePath(n.path).parent for n in alike}) == 1:
        return _Choice(
            tuple(n.path for n in sorted(alike, key=lambda n: n.rank(stem, language))), by_stem=True
        )
    rows = [
        (path, *hit) for path, table in given.tables.items() if (hit := table.of(file.path, file.relative))
    ]
    unsure = rows
    if len(rows) > 1:
        rows = [row for row in rows if _same_split(row[0], file.path)]
    if len(rows) == 1:
        return _Choice(table=rows[0])
    unclear = tuple(PurePath(n.path).name for n in alike) or tuple(_row(path, key) for path, key, _ in unsure)
    return _Choice(tuple(shelf.beside(file, language)), unclear=unclear)


def _row(table: str, key: str) -> str:
    return f"{storable(Path(table).name)}: {key or 'rows that name no file'}"


def _without_ending(file: SourceFile) -> str:
    return _normal(str(PurePath(file.relative).with_suffix("")))


def _same_split(table: str, video: str) -> bool:
    """Whether ``train_sent_emo.csv`` names the folder that the video lies in, as in MELD."""
    first = re.split(r"[^a-z]", PurePath(table).stem.lower())[0]
    return bool(first) and first in re.split(r"[^a-z]+", str(PurePath(video).parent).lower())


def _with(file: SourceFile, choice: _Choice, given: Given, options: TranscriptOptions) -> SourceFile | None:
    """The file with its transcript and the marks by which a change is seen; None when it is gone."""
    if choice.options:
        given.used[choice.options[0]].add("")
        given.used.update({path: {""} for path in choice.options[1:]})
        if not is_url(file.path):
            return _beside(file, choice.options[0])
        return _told(file, read_transcript(Path(choice.options[0]), options=options))
    if choice.table is not None:
        path, key, rows = choice.table
        given.used[path].add(key)
        return _told(file, rows)
    return file


def _beside(file: SourceFile, sidecar: str) -> SourceFile | None:
    try:
        facts = stat_of(file.path, sidecar)
    except OSError:
        return file
    return None if facts is None else replace(file, stat=facts, sidecar=sidecar)


def _told(file: SourceFile, transcript: Transcript) -> SourceFile:
    # Only its own rows count: a table that changes elsewhere leaves this video as it is.
    mark = int(fingerprint(transcript), 16) >> 8
    stat = replace(file.stat, sidecar_mtime_ns=mark)
    return replace(file, stat=stat, sidecar=None, transcript=transcript)


def fingerprint(transcript: Transcript) -> str:
    """16 hex digits of what is said, by whom and when."""
    content = repr(transcript.cues) + transcript.whole_numbers
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class _Shelf:
    """The transcripts beside the videos, each folder listed once."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self._folders: dict[str, dict[str, list[_Named]]] = {}
        self._videos = {_normal(str(PurePath(file.path).with_suffix(""))) for file in files}

    def beside(self, file: SourceFile, language: str) -> list[str]:
        """Paths, the best first. A remote video has the one that the listing showed."""
        if is_url(file.path):
            return []
        folder, stem = str(PurePath(file.path).parent), _normal(PurePath(file.path).stem)
        if folder not in self._folders:
            self._folders[folder] = self._list(folder)
        named = self._folders[folder].get(stem, [])
        return [n.path for n in sorted(named, key=lambda n: n.rank(stem, language)) if _meant(n.path)]

    def _list(self, folder: str) -> dict[str, list[_Named]]:
        found: dict[str, list[_Named]] = defaultdict(list)
        try:
            with os.scandir(folder) as entries:
                names = [_named(entry.path) for entry in entries if _is_transcript(entry)]
        except OSError:
            return {}
        for name in names:
            found[name.stem].append(name)
            # ``talk.zh.srt`` is not of ``talk.mp4`` where there is a ``talk.zh.mp4``.
            if name.base != name.stem and _normal(f"{folder}/{name.stem}") not in self._videos:
                found[name.base].append(name)
        return found


def _is_transcript(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()


def _meant(path: str) -> bool:
    """Whether a file beside a video is a transcript: much else ends in .json and .csv."""
    return Path(path).suffix.lower() not in AMBIGUOUS or promises(Path(path))


def _named(path: str) -> _Named:
    stem = _normal(PurePath(path).stem)
    return _Named(path, stem, *named_language(stem))


def _normal(name: str) -> str:
    """The same text for composed and decomposed accents: file systems differ there."""
    return unicodedata.normalize("NFC", name)


def read_given(path: Path | None, options: TranscriptOptions = DEFAULT) -> Given:
    """The transcripts in the folder `path`, or the table or transcript that it is.

    Raises `UsageError` when nothing is there that could be one, a table cannot be read, or `options` name an
    encoding that does not exist.
    """
    if options.encoding and not known_encoding(options.encoding):
        raise UsageError(
            f"{options.encoding!r} is no known encoding",
            hint="try utf-8, cp1252, cp1251, cp1250, gb18030, big5, shift_jis or euc_kr",
        )
    given = Given()
    if path is None:
        return given
    if not path.exists():
        if _URL.match(str(path)):
            raise UsageError(f"{path} is no path on this machine", hint="copy the transcripts here first")
        raise UsageError(f"{path} does not exist", hint=_HINT)
    for name in sorted(_walk(path)) if path.is_dir() else [str(path.absolute())]:
        _take(given, name, path, options)
    if not given.files and not given.tables:
        kinds = " ".join(SUFFIXES)
        raise UsageError(f"{path} holds no transcript", hint=f"looked for names that end in {kinds}")
    return given


def _walk(folder: Path) -> Iterator[str]:
    for inner, folders, names in os.walk(folder.absolute()):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (str(Path(inner, n)) for n in names if not n.startswith("."))


def _take(given: Given, name: str, root: Path, options: TranscriptOptions) -> None:
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        return
    if suffix in (".csv", ".tsv"):
        shared = _table(Path(name), options, named=root.is_file())
        if shared is not None:
            given.tables[name] = shared
            return
    called = _named(name)
    base = PurePath(os.path.relpath(name, root.absolute())) if root.is_dir() else PurePath(called.base)
    for stem in {called.stem, called.base}:
        given.files.setdefault(_normal(str(base.with_name(stem))), []).append(called)


def _table(path: Path, options: TranscriptOptions, *, named: bool) -> Table | None:
    """A table that serves many videos; None for one that is about a single video, or no transcript."""
    if not named and not promises(path):
        return None
    try:
        table = read_shared(path, options)
    except MediaError as error:
        raise UsageError(str(error), hint=_HINT) from error
    return table if table.shared else None
