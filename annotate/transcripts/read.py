"""Detects the format of a transcript, and reads it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from annotate.errors import MediaError
from annotate.transcripts import ass, elan, srt, textgrid, webvtt, whisper
from annotate.transcripts._text import Malformed, language_code
from annotate.transcripts.encoding import Decoded, decode
from annotate.transcripts.tables import Table, read_table
from annotate.types import Transcript, TranscriptOptions

DEFAULT = TranscriptOptions()

SUFFIXES = (".eaf", ".textgrid", ".json", ".csv", ".tsv", ".ass", ".ssa", ".vtt", ".srt")
"""Suffixes of transcripts; formats with more information, such as speakers and word times, come first."""

AMBIGUOUS = (".json", ".csv", ".tsv")
"""Suffixes that other files have, too."""

MAX_BYTES = 256 << 20
_BINARY_TEXTGRID = b"ooBinaryFile"
_HEAD_BYTES = 1 << 16
_LANGUAGE = re.compile(r"\.([a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*)$")

_KEYS = (
    (b'"segments"', b'"text"'),
    (b'"chunks"', b'"timestamp"'),
    (b'"transcription"', b'"offsets"'),
    (b'"words"', b'"start"'),
    (b'"start"', b'"end"', b'"text"'),
    (b'"start"', b'"duration"', b'"text"'),
)
"""Sets of keys, one of which the JSON of every supported speech recogniser contains."""

_READERS: dict[str, Callable[[str], Transcript]] = {
    ".json": whisper.read,
    ".ass": ass.read,
    ".ssa": ass.read,
    ".vtt": webvtt.read,
    ".srt": srt.read,
}
_WITH_TIERS: dict[str, Callable[[str, Sequence[str]], Transcript]] = {
    ".eaf": elan.read,
    ".textgrid": textgrid.read,
}


def named_language(stem: str) -> tuple[str, str]:
    """A stem such as ``talk.zh-Hans`` as name and ISO 639-1 code; the code is empty if there is none."""
    match = _LANGUAGE.search(stem)
    code = language_code(match[1]) if match else ""
    return (stem[: match.start()], code) if match and code else (stem, "")


def read_transcript(
    path: Path, video: Path | None = None, options: TranscriptOptions = DEFAULT, *, name: str = ""
) -> Transcript:
    """The transcript at `path`, times as written; from a table that names videos, the rows of `video`.

    Messages call the file `name`, or its path if that is empty. Raises `MediaError` with code ``unreadable``
    when the file cannot be read, and ``no-cues`` when its content does not match its format.
    """
    shown = name or str(path)
    decoded = _decoded(path, options, shown)
    text, suffix = decoded.text, path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            table = read_table(text)
            match = table.of(str(video)) if video and table.shared else None
            content = match[1] if match else table.transcript("")
        elif suffix in _WITH_TIERS:
            content = _WITH_TIERS[suffix](text, options.tiers)
        else:
            start = text.lstrip("\ufeff \n\t")[:200]
            reader = _READERS.get(suffix, srt.read)
            # Content that is obviously in another format counts more than the suffix.
            if start.startswith("WEBVTT"):
                reader = webvtt.read
            elif start.startswith("[Script Info]"):
                reader = ass.read
            content = reader(text)
    except Malformed as error:
        raise _malformed(shown, error) from error
    return replace(
        content,
        language=content.language or named_language(path.stem)[1],
        notes=content.notes + decoded.notes,
        file=PurePath(shown).name,
    )


def promises(path: Path) -> bool:
    """Whether a file with an ambiguous suffix looks like a transcript; true when it cannot be read."""
    try:
        if path.suffix.lower() == ".json":
            return _holds_keys(path)
        with path.open("rb") as stream:
            head = decode(stream.read(_HEAD_BYTES)).text
    except OSError:
        return True
    try:
        read_table("\n".join(head.split("\n")[:2]))
    except Malformed as error:
        # A quoted text may continue in the third line.
        return error.line != 1
    return True


def _holds_keys(path: Path) -> bool:
    """Whether the file contains the keys of a recogniser; the text in front of them can be long."""
    known = {key for keys in _KEYS for key in keys}
    present: set[bytes] = set()
    with path.open("rb") as stream:
        rest = b""
        while block := stream.read(_HEAD_BYTES):
            # In UTF-16 every other byte is zero.
            window = rest + block.replace(b"\0", b"")
            present |= {key for key in known - present if key in window}
            if any(present.issuperset(keys) for keys in _KEYS):
                return True
            rest = window[-32:]
    return False


def read_shared(path: Path, options: TranscriptOptions = DEFAULT) -> Table:
    """The table at `path` with the rows of all its videos. Raises `MediaError` like `read_transcript`."""
    decoded = _decoded(path, options, str(path))
    try:
        table = read_table(decoded.text)
    except Malformed as error:
        raise _malformed(str(path), error) from error
    return replace(table, notes=table.notes + decoded.notes, file=path.name)


def _decoded(path: Path, options: TranscriptOptions, shown: str) -> Decoded:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MediaError(
                f"{shown} is larger than {MAX_BYTES >> 20} MiB",
                code="no-cues",
                hint="no transcript is that large; remove it or divide it",
            )
        raw = path.read_bytes()
    except OSError as error:
        raise MediaError(
            f"{shown} cannot be read: {error.strerror}",
            code="unreadable",
            hint="check that the file still exists and that you may read it",
        ) from error
    if raw.startswith(_BINARY_TEXTGRID):
        raise MediaError(
            f"{shown} is in Praat's binary format",
            code="no-cues",
            hint="open it in Praat and use Save as text file",
        )
    return decode(raw, options.encoding)


def _malformed(shown: str, error: Malformed) -> MediaError:
    where = f"{shown}, line {error.line}" if error.line else shown
    return MediaError(
        f"{where}: {error}",
        code="no-cues",
        hint="correct it, or remove it so that voice activity detection finds the speech",
    )
