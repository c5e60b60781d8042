"""Finds out which format a transcript has, and reads it."""

import re
from collections.abc import Callable
from pathlib import Path

from annotate.errors import MediaError
from annotate.transcripts import ass, elan, srt, textgrid, webvtt, whisper
from annotate.transcripts._text import Malformed, decode, guessed, language_code
from annotate.transcripts.tables import Table, read_table
from annotate.types import Transcript

SUFFIXES = (".eaf", ".textgrid", ".json", ".csv", ".tsv", ".ass", ".ssa", ".vtt", ".srt")
"""In small letters; those that tell more, such as speakers and times of words, in front."""

AMBIGUOUS = (".json", ".csv", ".tsv")
"""Much else has such a name."""

MAX_BYTES = 256 << 20
_HEAD_BYTES = 1 << 16
_LANGUAGE = re.compile(r"\.([a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*)$")

_READERS: dict[str, Callable[[str], Transcript]] = {
    ".eaf": elan.read,
    ".textgrid": textgrid.read,
    ".json": whisper.read,
    ".ass": ass.read,
    ".ssa": ass.read,
    ".vtt": webvtt.read,
    ".srt": srt.read,
}


def named_language(stem: str) -> tuple[str, str]:
    """What is left of a file name such as ``talk.zh-Hans``, and its language as two letters, or empty."""
    match = _LANGUAGE.search(stem)
    code = language_code(match[1]) if match else ""
    return (stem[: match.start()], code) if match and code else (stem, "")


def read_transcript(path: Path, video: Path | None = None) -> Transcript:
    """What the file at `path` says, times as written; of a table that names videos, the rows of `video`.

    Raises `MediaError` with code ``unreadable`` when the system refuses, ``no-cues`` when the content is not
    what its name promises.
    """
    text, notes = _text(path)
    try:
        found = (
            _of_table(text, video) if path.suffix.lower() in (".csv", ".tsv") else _reader(path, text)(text)
        )
    except Malformed as error:
        raise _malformed(path, error) from error
    language = found.language or named_language(path.stem)[1]
    return Transcript(found.cues, found.origin, language, found.notes + notes)


def promises(path: Path) -> bool:
    """Whether a file with an ambiguous name begins like a transcript; true when it cannot be read."""
    try:
        with path.open("rb") as stream:
            head, _ = decode(stream.read(_HEAD_BYTES))
    except OSError:
        return True
    if path.suffix.lower() == ".json":
        return all(f'"{key}"' in head for key in ("start", "end", "text"))
    try:
        read_table(head.partition("\n")[0])
    except Malformed:
        return False
    return True


def read_shared(path: Path) -> Table:
    """What the table at `path` says of all its videos.

    Raises `MediaError` like `read_transcript`.
    """
    text, notes = _text(path)
    try:
        table = read_table(text)
    except Malformed as error:
        raise _malformed(path, error) from error
    return Table(table.rows, table.notes + notes)


def _text(path: Path) -> tuple[str, tuple[str, ...]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MediaError(
                f"{path} is larger than {MAX_BYTES >> 20} MiB",
                code="no-cues",
                hint="no transcript is as large; take it away or divide it",
            )
        text, encoding = decode(path.read_bytes())
    except OSError as error:
        raise MediaError(
            f"{path} cannot be read: {error.strerror}",
            code="unreadable",
            hint="check that the file still exists and that you may read it",
        ) from error
    return text, guessed(encoding)


def _reader(path: Path, text: str) -> Callable[[str], Transcript]:
    """That of the suffix, but for what plainly is something else."""
    start = text.lstrip()[:200]
    if start.startswith("WEBVTT"):
        return webvtt.read
    if start.startswith("[Script Info]"):
        return ass.read
    return _READERS.get(path.suffix.lower(), srt.read)


def _of_table(text: str, video: Path | None) -> Transcript:
    table = read_table(text)
    found = table.of(str(video)) if video and table.shared else None
    cues = found[1].cues if found else table.rows.get("", ())
    return Transcript(cues, "transcript", notes=table.notes)


def _malformed(path: Path, error: Malformed) -> MediaError:
    where = f"{path}, line {error.line}" if error.line else str(path)
    return MediaError(
        f"{where}: {error}", code="no-cues", hint="mend it, or take it away to have the speech found by ear"
    )
